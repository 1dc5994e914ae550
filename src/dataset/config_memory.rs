//! What holding config.json takes: it has all categories, of which there may be millions.

use std::path::Path;

use super::{CONFIG, DatasetError};
use crate::store::Named;

/// Memory for everything but the config.
const OTHERS: u64 = 112 << 20;

/// What is done with a dataset's config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigUse {
    /// It is read.
    Read,
    /// It is changed: what it was, what is added and what it becomes are held at once.
    Change,
}

impl ConfigUse {
    /// How many times the bytes of the file are in memory, at most.
    fn times(self) -> u64 {
        match self {
            ConfigUse::Read => 2,
            ConfigUse::Change => 4,
        }
    }

    /// Checks that the config of the dataset in a folder fits this memory, before it is read.
    ///
    /// # Errors
    /// [`DatasetError::ConfigTooLarge`] if it does not. A missing file is none.
    pub fn check(self, dataset: &Path, memory: u64) -> Result<(), DatasetError> {
        let path = dataset.join(CONFIG);
        let bytes = match std::fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // The dataset itself may be a file, which is told where it is opened.
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(()),
            other => other.named("open", &path)?.len(),
        };
        let needed = bytes.saturating_mul(self.times()).saturating_add(OTHERS);
        if needed <= memory {
            return Ok(());
        }
        Err(DatasetError::ConfigTooLarge {
            path,
            bytes,
            needed,
            granted: memory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_what_it_needs() {
        let folder = tempfile::tempdir().unwrap();
        ConfigUse::Read.check(folder.path(), 0).unwrap();
        let file = std::fs::File::create(folder.path().join(CONFIG)).unwrap();
        file.set_len(100 << 20).unwrap();
        ConfigUse::Read.check(folder.path(), 512 << 20).unwrap();
        ConfigUse::Change.check(folder.path(), 512 << 20).unwrap();
        file.set_len(150 << 20).unwrap();
        ConfigUse::Read.check(folder.path(), 512 << 20).unwrap();
        let refused = ConfigUse::Change.check(folder.path(), 512 << 20);
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("150.0 MiB") && refused.contains("712.0 MiB"),
            "{refused}"
        );
    }
}
