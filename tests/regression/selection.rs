//! Conditions on cells, and what is chosen of an input.
