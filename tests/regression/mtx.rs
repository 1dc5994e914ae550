//! Matrix Market files and their lists.
