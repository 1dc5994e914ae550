//! Jobs that are interrupted, disturbed or misled.
