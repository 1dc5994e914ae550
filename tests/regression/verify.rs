//! What verify must see, and in what time and memory.
