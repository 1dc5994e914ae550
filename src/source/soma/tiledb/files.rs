//! Folders of an experiment, accessed through one interface for file systems and object stores.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::source::SourceError;
use crate::source::error::ErrorContext;
use crate::source::probed_path::remote_scheme;
use crate::store::{Files, LocalFiles};

/// A folder of an experiment: a group, an array, or a folder inside one.
#[derive(Clone)]
pub(in crate::source::soma) struct Folder {
    files: Arc<dyn Files>,
    root: Arc<PathBuf>,
    path: String,
    /// Path relative to the experiment, for messages and users.
    object: String,
    /// Memory that reading may use, in bytes.
    memory: u64,
}

impl Folder {
    /// Opens the folder of an experiment on this machine.
    pub fn local(path: &Path, memory: u64) -> Result<Self, SourceError> {
        let place = ErrorContext::whole(path);
        let absolute = std::path::absolute(path).map_err(|error| place.io("open", error))?;
        let Some(text) = absolute.to_str() else {
            return Err(place.unsupported("a path that is not UTF-8", "rename the folder"));
        };
        Ok(Folder {
            files: Arc::new(LocalFiles::default()),
            root: Arc::new(path.to_path_buf()),
            path: text.trim_end_matches('/').to_string(),
            object: String::new(),
            memory,
        })
    }

    pub fn memory(&self) -> u64 {
        self.memory
    }

    pub fn object(&self) -> &str {
        &self.object
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the context for errors about this folder.
    pub fn place(&self) -> ErrorContext {
        ErrorContext::within(&self.root, &self.object)
    }

    fn named(&self, path: String, name: &str) -> Self {
        let object = if self.object.is_empty() {
            name.to_string()
        } else {
            format!("{}/{name}", self.object)
        };
        Folder {
            path,
            object,
            ..self.clone()
        }
    }

    /// Returns the folder `name` in this one.
    pub fn child(&self, name: &str) -> Self {
        self.named(format!("{}/{name}", self.path), name)
    }

    /// Returns the folder of the group member `name`; `uri` is what the group stores for it.
    pub fn member(&self, name: &str, uri: &str, relative: bool) -> Result<Self, SourceError> {
        if relative {
            return Ok(self.named(format!("{}/{uri}", self.path), name));
        }
        let member = self.named(String::new(), name);
        if let Some(scheme) = remote_scheme(uri) {
            return Err(member.place().unsupported(
                format!("a member that lies elsewhere ({scheme}://…)"),
                "copy the whole experiment to this machine and make its members relative",
            ));
        }
        let path = uri.strip_prefix("file://").unwrap_or(uri);
        Ok(Folder {
            path: path.trim_end_matches('/').to_string(),
            ..member
        })
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Returns the names in this folder, sorted; empty if it does not exist.
    pub fn list(&self) -> Result<Vec<String>, SourceError> {
        self.files
            .list(&self.path)
            .map_err(|error| self.place().io("list", error))
    }

    /// Returns the context for errors about a file of this folder.
    pub fn place_of(&self, name: &str) -> ErrorContext {
        self.child(name).place()
    }

    fn missing(&self, name: &str, error: io::Error) -> SourceError {
        let place = self.place_of(name);
        if error.kind() == io::ErrorKind::NotFound {
            return place.damaged("the file is missing");
        }
        place.io("read", error)
    }

    pub fn size(&self, name: &str) -> Result<u64, SourceError> {
        self.files
            .size(&self.file(name))
            .map_err(|error| self.missing(name, error))
    }

    /// Reads `length` bytes of a file from offset `at` into a buffer, replacing its content.
    pub fn read(
        &self,
        name: &str,
        at: u64,
        length: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<(), SourceError> {
        buffer.clear();
        let too_large = || {
            let what = format!("{length} bytes");
            self.place_of(name)
                .too_large(what, length, length.saturating_mul(4))
        };
        if length > self.memory {
            return Err(too_large());
        }
        let length = usize::try_from(length).map_err(|_| too_large())?;
        buffer.try_reserve_exact(length).map_err(|_| too_large())?;
        buffer.resize(length, 0);
        self.files
            .read(&self.file(name), at, buffer)
            .map_err(|error| self.missing(name, error))
    }

    /// Reads a small file completely.
    pub fn read_all(&self, name: &str) -> Result<Vec<u8>, SourceError> {
        let size = self.size(name)?;
        let mut bytes = Vec::new();
        self.read(name, 0, size, &mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_told_from_paths() {
        assert_eq!(remote_scheme("s3://bucket/x"), Some("s3"));
        assert_eq!(remote_scheme("tiledb://name/x"), Some("tiledb"));
        assert_eq!(remote_scheme("file:///data/x"), None);
        assert_eq!(remote_scheme("/data/x"), None);
    }

    #[test]
    fn a_missing_folder_is_empty_and_a_missing_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::local(root.path(), 1 << 20).unwrap();
        assert!(folder.child("none").list().unwrap().is_empty());
        let message = folder.child("a").read_all("b").unwrap_err().to_string();
        assert!(message.contains("a/b: the file is missing"), "{message}");
    }
}
