//! Changes that other programs made to a dataset.
