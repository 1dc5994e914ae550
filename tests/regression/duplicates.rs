//! The same cells under other names.
