//! Files and groups that are written, with names for messages.

use std::path::{Path, PathBuf};

use super::ffi::{self, Handle, Headers};
use super::{ArrayOptions, ArrayWriter, Filters, TextsWriter};
use crate::sink::SinkError;
use crate::source::TypedVec;

/// A file that is being written.
pub(in crate::sink) struct Hdf5Writer {
    file: Handle,
    /// What the file will be called, for messages.
    name: PathBuf,
}

/// A group of a file, or its root.
pub(in crate::sink) struct Group {
    handle: Handle,
    name: PathBuf,
    path: String,
}

impl Hdf5Writer {
    /// Creates a file at `path` that will be called `name`.
    pub fn create(path: &Path, name: &Path, headers: Headers) -> Result<Self, SinkError> {
        let file = ffi::create_file(path, headers);
        let file = file.map_err(|problem| SinkError::by_text(name, "", problem))?;
        Ok(Hdf5Writer {
            file,
            name: name.to_path_buf(),
        })
    }

    /// Opens a file at `path`, to write more into it.
    pub fn open(path: &Path, name: &Path, headers: Headers) -> Result<Self, SinkError> {
        let file = ffi::open_file(path, headers);
        let file = file.map_err(|problem| SinkError::by_text(name, "", problem))?;
        Ok(Hdf5Writer {
            file,
            name: name.to_path_buf(),
        })
    }

    /// The root group.
    pub fn root(&self) -> Result<Group, SinkError> {
        let handle = ffi::open_group(&self.file, "/");
        Ok(Group {
            handle: handle.map_err(|problem| SinkError::by_text(&self.name, "", problem))?,
            name: self.name.clone(),
            path: String::new(),
        })
    }

    /// Writes what libhdf5 still holds. All groups and arrays must be closed.
    pub fn close(self) -> Result<(), SinkError> {
        let closed = self.file.close();
        closed.map_err(|problem| SinkError::by_text(&self.name, "", problem))
    }
}

impl Group {
    fn failed(&self, name: &str) -> impl Fn(String) -> SinkError + '_ {
        let path = self.below(name);
        move |problem| SinkError::by_text(&self.name, &path, problem)
    }

    /// What the file is called.
    pub fn file(&self) -> &Path {
        &self.name
    }

    /// The path of a member.
    pub fn below(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            ("", name) => name.to_string(),
            (path, "") => path.to_string(),
            (path, name) => format!("{path}/{name}"),
        }
    }

    /// Creates a group in this one.
    pub fn group(&self, name: &str) -> Result<Group, SinkError> {
        let handle = ffi::create_group(&self.handle, name).map_err(self.failed(name))?;
        Ok(Group {
            handle,
            name: self.name.clone(),
            path: self.below(name),
        })
    }

    /// Opens a group in this one.
    pub fn open(&self, name: &str) -> Result<Group, SinkError> {
        let handle = ffi::open_group(&self.handle, name).map_err(self.failed(name))?;
        Ok(Group {
            handle,
            name: self.name.clone(),
            path: self.below(name),
        })
    }

    /// Creates a group with the attributes by which anndata knows what it is.
    pub fn encoded(&self, name: &str, kind: [&str; 2]) -> Result<Group, SinkError> {
        let group = self.group(name)?;
        group.encoding(kind)?;
        Ok(group)
    }

    /// Sets the attributes by which anndata knows what the group is.
    pub fn encoding(&self, kind: [&str; 2]) -> Result<(), SinkError> {
        encoding(&self.handle, kind).map_err(self.failed(""))
    }

    pub fn text(&self, name: &str, text: &str) -> Result<(), SinkError> {
        ffi::text_attribute(&self.handle, name, text).map_err(self.failed(""))
    }

    pub fn texts<S: AsRef<str>>(&self, name: &str, texts: &[S]) -> Result<(), SinkError> {
        ffi::texts_attribute(&self.handle, name, texts).map_err(self.failed(""))
    }

    pub fn numbers(
        &self,
        name: &str,
        shape: &[u64],
        numbers: &mut TypedVec,
    ) -> Result<(), SinkError> {
        let number_type = numbers.number_type();
        ffi::number_attribute(
            &self.handle,
            name,
            number_type,
            shape,
            numbers.as_bytes_mut(),
        )
        .map_err(self.failed(""))
    }

    /// A second name in this group for an object of another.
    pub fn link(&self, name: &str, of: &Group, other: &str) -> Result<(), SinkError> {
        ffi::link(&of.handle, other, &self.handle, name).map_err(self.failed(name))
    }

    /// Makes what is called `name` a member of a new group of that name.
    pub fn enclose(&self, name: &str, member: &str) -> Result<Group, SinkError> {
        // No path of a column ends so.
        let aside = format!("{name}\u{1}");
        ffi::move_link(&self.handle, name, &self.handle, &aside).map_err(self.failed(name))?;
        let group = self.group(name)?;
        ffi::move_link(&self.handle, &aside, &group.handle, member).map_err(self.failed(name))?;
        Ok(group)
    }

    /// An array of numbers that grows while it is written.
    pub fn array(&self, name: &str, options: ArrayOptions) -> Result<ArrayWriter, SinkError> {
        let parent = self.again()?;
        Ok(ArrayWriter::new(parent, name, options))
    }

    /// An array of `count` texts.
    pub fn texts_array(&self, name: &str, count: u64) -> Result<TextsWriter, SinkError> {
        TextsWriter::create(self, name, count)
    }

    /// Writes a whole array of numbers; a scalar where `shape` is empty.
    pub fn whole(
        &self,
        name: &str,
        shape: &[u64],
        numbers: &mut TypedVec,
        kind: [&str; 2],
    ) -> Result<(), SinkError> {
        let number_type = numbers.number_type();
        let array = self.create(name, ffi::Element::Number(number_type), shape, None)?;
        if !shape.contains(&0) {
            let bytes = numbers.as_bytes_mut();
            ffi::write_all(&array, ffi::Element::Number(number_type), bytes)
                .map_err(self.failed(name))?;
        }
        encoding(&array, kind).map_err(self.failed(name))
    }

    /// Writes a whole array of texts.
    pub fn whole_texts(&self, name: &str, shape: &[u64], texts: &[&str]) -> Result<(), SinkError> {
        let array = self.create(name, ffi::Element::Text, shape, None)?;
        if !texts.is_empty() {
            let texts = texts.iter().copied();
            ffi::write_texts(&array, None, texts).map_err(self.failed(name))?;
        }
        encoding(&array, ["string-array", "0.2.0"]).map_err(self.failed(name))
    }

    /// Writes a text that is no array.
    pub fn scalar_text(&self, name: &str, text: &str, kind: [&str; 2]) -> Result<(), SinkError> {
        let array = self.create(name, ffi::Element::Text, &[], None)?;
        ffi::write_texts(&array, None, std::iter::once(text)).map_err(self.failed(name))?;
        encoding(&array, kind).map_err(self.failed(name))
    }

    /// Creates an array: contiguous, or in chunks of this shape.
    pub(super) fn create(
        &self,
        name: &str,
        element: ffi::Element,
        shape: &[u64],
        chunks: Option<(Vec<u64>, Filters)>,
    ) -> Result<Handle, SinkError> {
        let storage = match chunks {
            None => ffi::Storage::Contiguous,
            Some((chunk, filters)) => ffi::Storage::Chunked { chunk, filters },
        };
        ffi::create_array(&self.handle, name, element, shape, &storage).map_err(self.failed(name))
    }

    /// Another handle of the same group.
    pub fn again(&self) -> Result<Group, SinkError> {
        let handle = ffi::open_group(&self.handle, ".").map_err(self.failed(""))?;
        Ok(Group {
            handle,
            name: self.name.clone(),
            path: self.path.clone(),
        })
    }

    pub(super) fn error(&self, name: &str, problem: String) -> SinkError {
        self.failed(name)(problem)
    }
}

/// The attributes of an object by which anndata knows how it is encoded.
pub(super) fn encoding(object: &Handle, [kind, version]: [&str; 2]) -> Result<(), String> {
    if kind.is_empty() {
        return Ok(());
    }
    ffi::text_attribute(object, "encoding-type", kind)?;
    ffi::text_attribute(object, "encoding-version", version)
}
