//! Counts, and values that are no counts any more.
