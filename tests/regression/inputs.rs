//! Folders and archives, and what is found in them.
