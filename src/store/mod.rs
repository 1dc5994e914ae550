//! Storage: reading files, durable writes, locks and folder swaps on a local file system.
//!
//! This module knows nothing about what is stored. Every function that changes something returns
//! only once the change would survive a power failure.

mod durable;
mod error;
mod files;
mod lock;
mod regular;
mod swap;

pub use durable::{
    create_folder, remove_file, remove_folder, replace_file, replace_file_with, sync_file,
    sync_folder,
};
pub(crate) use error::Named;
pub use error::StoreError;
pub use files::{Files, LocalFiles};
pub use lock::{FolderLock, LockPolicy};
pub use regular::{open_regular, read_regular, read_text};
pub use swap::exchange_folders;
