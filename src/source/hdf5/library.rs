//! Implements [`Container`] with libhdf5.

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::{Array, StringArray, StringBuilder};
use hdf5::plist::file_access::{
    CacheDecreaseMode, CacheIncreaseMode, FlashIncreaseMode, MetadataCacheConfig,
};
use hdf5_metno as hdf5;

use super::container::{ArrayHeader, Attribute, Container, Element, Identity, Kind};
use super::dense_attributes::DenseAttributes;
use super::ffi::{self, Class, Link, RawAttribute, TypeBits};
use super::heap::Heaps;
use super::messages::{Messages, texts_of_attribute};
use super::pipeline;
use super::stored_texts::TextLayout;
use crate::source::error::{ErrorContext, SourceError};
use crate::source::{ScalarType, TypedVec};

/// Size of libhdf5's metadata cache per file, in bytes.
const METADATA_CACHE: usize = 128 << 10;

/// Number of text rows that are in memory both as returned by libhdf5 and as Arrow stores them.
const TEXTS: u64 = 1 << 11;

/// A file opened with libhdf5.
pub(crate) struct LibHdf5 {
    path: PathBuf,
    file: hdf5::File,
    /// The same file, for what libhdf5 does not tell.
    bytes: std::fs::File,
}

impl LibHdf5 {
    /// Opens a file for reading. It is called `path` and located at `at`.
    pub fn open(path: &Path, at: &Path) -> Result<Self, SourceError> {
        let place = ErrorContext::whole(path);
        ffi::register_filters(pipeline::undo_alone);
        // HDF5 file locking fails on many network file systems, and readers of finished files do
        // not need it.
        let file = hdf5::FileBuilder::new()
            .with_fapl(|access| {
                // A copy has no name, which other drivers would need.
                let access = if at == path { access } else { access.stdio() };
                access.file_locking(false).mdc_config(&small_cache())
            })
            .open(at)
            .map_err(|error| place.damaged(in_plain_words(&error.to_string())))?;
        let bytes = std::fs::File::open(at).map_err(|error| place.io("open", error))?;
        Ok(LibHdf5 {
            path: path.to_path_buf(),
            file,
            bytes,
        })
    }

    fn place(&self, object: &str) -> ErrorContext {
        ErrorContext::within(&self.path, object)
    }

    /// Opens a dataset, or, if `object` is a field, the compound dataset it belongs to; also
    /// returns the name of the field.
    fn dataset<'o>(&self, object: &'o str) -> Result<(ffi::Handle, Option<&'o str>), SourceError> {
        let open = |object: &str| {
            ffi::open_dataset(self.file.id(), object).map_err(|error| {
                let problem = if error.contains("doesn't exist") {
                    "it is missing".to_string()
                } else {
                    error
                };
                self.place(object).damaged(problem)
            })
        };
        match self.compound_of(object)? {
            Some((parent, field)) => Ok((open(parent)?, Some(field))),
            None => Ok((open(object)?, None)),
        }
    }

    /// Returns the compound dataset that an object is a field of, and the name of the field.
    fn compound_of<'o>(&self, object: &'o str) -> Result<Option<(&'o str, &'o str)>, SourceError> {
        // Field names may contain slashes: the parent is the shortest path that is a dataset.
        for (slash, _) in object.match_indices('/') {
            let parent = &object[..slash];
            match self.linked(parent)? {
                Linked::Found(Class::Group) => {}
                Linked::Found(Class::Dataset) => {
                    return Ok(Some((parent, &object[slash + 1..])));
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    fn fields(&self, object: &str) -> Result<Option<Vec<String>>, SourceError> {
        let dataset = ffi::open_dataset(self.file.id(), object);
        dataset
            .and_then(|dataset| ffi::fields(&dataset))
            .map_err(|e| self.place(object).damaged(e))
    }

    /// Returns what a path of links leads to.
    fn linked(&self, object: &str) -> Result<Linked, SourceError> {
        let place = self.place(object);
        let mut path = String::new();
        for part in object.split('/') {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(part);
            match ffi::link(self.file.id(), &path).map_err(|e| place.damaged(e))? {
                Link::Missing => return Ok(Linked::Missing),
                Link::Inside => {}
                Link::OtherFile => {
                    return Err(place.unsupported(OTHER_FILE.0, OTHER_FILE.1));
                }
            }
        }
        // A soft link whose target is missing exists but leads nowhere.
        let found = self.found(object)?;
        if found.file == self.found("")?.file {
            Ok(Linked::Found(found.class))
        } else {
            Err(place.unsupported(OTHER_FILE.0, OTHER_FILE.1))
        }
    }

    fn found(&self, object: &str) -> Result<ffi::Found, SourceError> {
        let path = if object.is_empty() { "/" } else { object };
        ffi::find(self.file.id(), path).map_err(|_| {
            let problem = "it cannot be opened: a damaged header or a broken link";
            self.place(object).damaged(problem)
        })
    }

    /// The messages in the header of an object; `None` where they are not understood: in files with
    /// shorter addresses, among others.
    fn messages(&self, object: &str) -> Result<Option<Messages>, SourceError> {
        let [a0, a1, a2, a3, a4, a5, a6, a7, ..] = self.found(object)?.token;
        let address = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
        let read = || Messages::read(&self.bytes, self.file.userblock(), address);
        Ok(self.has_wide_addresses().then(read).flatten())
    }

    /// Whether places in this file take eight bytes, as references have it.
    fn has_wide_addresses(&self) -> bool {
        let properties = self.file.create_plist();
        properties.is_ok_and(|properties| usize::from(properties.sizes().sizeof_addr) == 8)
    }

    /// Looks for an attribute in a heap. The outer `None` where that is not understood.
    fn dense_attribute(&self, name: &str, heap: u64, names: u64) -> Option<Option<Dense>> {
        let base = self.file.userblock();
        let attributes = DenseAttributes::of(&self.bytes, base, heap, names)?;
        let Some(found) = attributes.find(name)? else {
            return Some(None);
        };
        if found.length > MOST_OF_ATTRIBUTE {
            return Some(Some(Dense::Long(found.length)));
        }
        let message = attributes.bytes(&found, MOST_OF_ATTRIBUTE)?;
        Some(Some(Dense::Message(message)))
    }

    /// Checks that the texts of an attribute are in the file, and no more of them than an attribute
    /// can have.
    fn check_attribute(
        &self,
        object: &str,
        name: &str,
        place: &ErrorContext,
    ) -> Result<(), SourceError> {
        let Some(messages) = self.messages(object)? else {
            return Ok(());
        };
        let base = self.file.userblock();
        let dense = match messages.dense_attributes() {
            Some((heap, names)) => {
                let dense = self.dense_attribute(name, heap, names);
                let unclear = "its attributes are damaged, or stored in an unknown way";
                dense.ok_or_else(|| place.damaged(unclear))?
            }
            None => None,
        };
        let texts = match &dense {
            Some(Dense::Message(message)) => texts_of_attribute(message, name),
            Some(Dense::Long(bytes)) => {
                return Err(place.damaged(format!(
                    "it has {bytes} bytes, more than {MOST_OF_ATTRIBUTE}"
                )));
            }
            None => messages.texts_of_attribute(name),
        };
        let mut heaps = Heaps::of(&self.bytes, base);
        let bytes = heaps.measure(texts.unwrap_or_default(), || "a text of it".into(), place)?;
        if bytes <= MOST_OF_ATTRIBUTE {
            Ok(())
        } else {
            Err(place.damaged(format!(
                "it claims {bytes} bytes of text, more than {MOST_OF_ATTRIBUTE}"
            )))
        }
    }
}

/// An attribute that is not in the header of its object.
enum Dense {
    /// As it would lie there.
    Message(Vec<u8>),
    /// It has more bytes than an attribute may have.
    Long(u64),
}

/// Bytes of text that an attribute may have. The longest are lists of names of columns.
const MOST_OF_ATTRIBUTE: u64 = 32 << 20;

/// The cache of metadata, which counts bytes as stored: a node of an index of chunks takes eight times
/// as many in memory. What is read of an index is read once, and not worth keeping: by default, the
/// memory would grow with the number of chunks.
fn small_cache() -> MetadataCacheConfig {
    MetadataCacheConfig {
        initial_size: METADATA_CACHE,
        max_size: METADATA_CACHE,
        min_size: METADATA_CACHE,
        incr_mode: CacheIncreaseMode::Off,
        flash_incr_mode: FlashIncreaseMode::Off,
        decr_mode: CacheDecreaseMode::Off,
        ..MetadataCacheConfig::default()
    }
}

enum Linked {
    Missing,
    Found(Class),
}

/// A link that is not followed, and advice for it.
const OTHER_FILE: (&str, &str) = (
    "a link to another file",
    "copy the object into this file (h5copy, or rewrite it with anndata)",
);

/// Rephrases libhdf5's messages where that helps users.
fn in_plain_words(message: &str) -> String {
    if message.contains("truncated file") {
        format!("the file was cut short ({message})")
    } else {
        message.to_string()
    }
}

fn number_type(size: usize, signed: bool) -> ScalarType {
    match (size, signed) {
        (1, true) => ScalarType::Int8,
        (2, true) => ScalarType::Int16,
        (4, true) => ScalarType::Int32,
        (_, true) => ScalarType::Int64,
        (1, false) => ScalarType::UInt8,
        (2, false) => ScalarType::UInt16,
        (4, false) => ScalarType::UInt32,
        (_, false) => ScalarType::UInt64,
    }
}

fn element(bits: &TypeBits) -> Element {
    let here = cfg!(target_endian = "little");
    match bits {
        TypeBits::Integer {
            size,
            signed,
            little,
        } => Element::Number {
            number_type: number_type(*size, *signed),
            swapped: *little != here,
        },
        TypeBits::Float { size, little } => Element::Number {
            number_type: match size {
                2 => ScalarType::Float16,
                4 => ScalarType::Float32,
                _ => ScalarType::Float64,
            },
            swapped: *little != here,
        },
        TypeBits::Enumeration { base, members } => {
            let mut members: Vec<(&str, i64)> = members
                .iter()
                .map(|(name, value)| (name.as_str(), *value))
                .collect();
            members.sort_by_key(|member| member.1);
            let boolean = matches!(**base, TypeBits::Integer { size: 1, .. })
                && members == [("FALSE", 0), ("TRUE", 1)];
            if boolean {
                Element::Number {
                    number_type: ScalarType::Bool,
                    swapped: false,
                }
            } else {
                Element::Other("an enumeration".into())
            }
        }
        TypeBits::VariableText { .. } | TypeBits::FixedText { .. } => Element::Text,
        TypeBits::Other(what) => Element::Other(what.clone()),
    }
}

/// Returns the size of a text value in bytes, if all have the same.
fn text_size(bits: &TypeBits) -> Option<u64> {
    match bits {
        TypeBits::FixedText { size, .. } => Some(*size as u64),
        _ => None,
    }
}

fn utf8(
    bytes: Vec<u8>,
    place: &ErrorContext,
    what: impl FnOnce() -> String,
) -> Result<String, SourceError> {
    String::from_utf8(bytes).map_err(|_| {
        place.unsupported(
            format!("{}, which is not valid UTF-8,", what()),
            "rewrite the file with its texts in UTF-8",
        )
    })
}

impl Container for LibHdf5 {
    fn path(&self) -> &Path {
        &self.path
    }

    fn members(&self, group: &str) -> Result<Vec<String>, SourceError> {
        let place = self.place(group);
        if self.kind(group)? == Kind::Compound {
            return Ok(self.fields(group)?.unwrap_or_default());
        }
        let opened = if group.is_empty() {
            self.file.as_group()
        } else {
            self.file.group(group)
        };
        let names = opened
            .and_then(|group| group.member_names())
            .map_err(|e| place.damaged(e.to_string()))?;
        // The binding does not check that names are UTF-8. A name that is not UTF-8 is changed
        // here, and no object will be found under it.
        let known = |name: String| String::from_utf8_lossy(&name.into_bytes()).into_owned();
        Ok(names.into_iter().map(known).collect())
    }

    fn kind(&self, object: &str) -> Result<Kind, SourceError> {
        if object.is_empty() {
            return Ok(Kind::Group);
        }
        if let Some((parent, field)) = self.compound_of(object)? {
            let fields = self.fields(parent)?.unwrap_or_default();
            return Ok(if fields.iter().any(|name| name == field) {
                Kind::Dataset
            } else {
                Kind::Missing
            });
        }
        Ok(match self.linked(object)? {
            Linked::Missing => Kind::Missing,
            Linked::Found(Class::Group) => Kind::Group,
            Linked::Found(Class::Dataset) if self.fields(object)?.is_some() => Kind::Compound,
            Linked::Found(Class::Dataset) => Kind::Dataset,
            Linked::Found(_) => Kind::Other,
        })
    }

    fn identity(&self, object: &str) -> Result<Identity, SourceError> {
        self.found(object).map(|found| Identity(found.token))
    }

    fn attribute(&self, object: &str, name: &str) -> Result<Option<Attribute>, SourceError> {
        let place = match object {
            "" => ErrorContext::new(&self.path, format!("attribute {name} of the root group")),
            object => ErrorContext::new(&self.path, format!("{object}@{name}")),
        };
        if self.compound_of(object)?.is_some() {
            return Ok(None);
        }
        let path = if object.is_empty() { "/" } else { object };
        let handle = ffi::open_object(self.file.id(), path).map_err(|e| place.damaged(e))?;
        self.check_attribute(object, name, &place)?;
        let raw = ffi::attribute(&handle, name).map_err(|e| place.damaged(e))?;
        Ok(match raw {
            None => None,
            Some(RawAttribute::Texts { scalar, texts }) => {
                let mut texts = texts
                    .into_iter()
                    .map(|text| utf8(text, &place, || "its text".into()))
                    .collect::<Result<Vec<_>, _>>()?;
                Some(if scalar && texts.len() == 1 {
                    Attribute::Text(texts.swap_remove(0))
                } else {
                    Attribute::Texts(texts)
                })
            }
            Some(RawAttribute::Bytes { bits, bytes, .. }) => {
                let bits = match bits {
                    // Enumerations are read as numbers; a boolean is FALSE = 0, TRUE = 1.
                    TypeBits::Enumeration { base, .. } => *base,
                    other => other,
                };
                match element(&bits) {
                    Element::Number {
                        number_type,
                        swapped,
                    } => {
                        let mut numbers = TypedVec::of_bytes(number_type, &bytes)
                            .ok_or_else(|| place.damaged("it is absurdly large"))?;
                        if swapped {
                            numbers.swap_bytes();
                        }
                        Some(Attribute::Number(numbers))
                    }
                    _ => Some(Attribute::Other("an unusual type".into())),
                }
            }
            Some(RawAttribute::Other(what)) => Some(Attribute::Other(what)),
        })
    }

    fn array(&self, object: &str) -> Result<ArrayHeader, SourceError> {
        let place = self.place(object);
        let (dataset, field) = self.dataset(object)?;
        let header = ffi::header(&dataset).map_err(|e| place.damaged(e))?;
        if header.null {
            return Err(place.damaged("it has no data space"));
        }
        if let Some(field) = field {
            let field = ffi::field(&dataset, field).map_err(|e| place.damaged(e))?;
            return Ok(ArrayHeader {
                element: element(&field.bits),
                shape: header.shape.into_iter().chain(field.shape).collect(),
                filters: header.filters,
                // Fields of a row are interleaved, and only libhdf5 separates them.
                storage: ffi::RawStorage::Compact,
                fill: Vec::new(),
                text_size: text_size(&field.bits),
            });
        }
        Ok(ArrayHeader {
            element: element(&header.bits),
            shape: header.shape,
            filters: header.filters,
            storage: header.storage,
            fill: header.fill,
            text_size: text_size(&header.bits),
        })
    }

    fn chunks(&self, object: &str) -> Result<Vec<ffi::RawChunk>, SourceError> {
        let place = self.place(object);
        let (dataset, _) = self.dataset(object)?;
        let rank = self.array(object)?.shape.len();
        ffi::chunks(&dataset, rank).map_err(|e| place.damaged(e))
    }

    fn text_layout(&self, object: &str) -> Result<Option<TextLayout>, SourceError> {
        let (dataset, field) = self.dataset(object)?;
        let layout = ffi::text_layout(&dataset, field);
        let layout = layout.map_err(|e| self.place(object).damaged(e))?;
        let parent = match field {
            Some(field) => object
                .strip_suffix(field)
                .and_then(|parent| parent.strip_suffix('/'))
                .unwrap_or(object),
            None => object,
        };
        // Files with shorter addresses are read as they are.
        let Some((element, references)) = layout.filter(|_| self.has_wide_addresses()) else {
            return Ok(None);
        };
        let header = ffi::header(&dataset).map_err(|e| self.place(object).damaged(e))?;
        let messages = match header.storage {
            ffi::RawStorage::Compact => self.messages(parent)?,
            _ => None,
        };
        let in_header = messages.and_then(|m| m.compact_data().map(<[u8]>::to_vec));
        Ok(Some(TextLayout {
            dataset: parent.to_string(),
            element,
            references,
            in_header,
            base: self.file.userblock(),
        }))
    }

    fn texts(&self, object: &str, rows: Range<u64>) -> Result<StringArray, SourceError> {
        let place = self.place(object);
        let (dataset, field) = self.dataset(object)?;
        let mut builder = StringBuilder::new();
        let mut bytes = 0usize;
        for start in (rows.start..rows.end).step_by(TEXTS as usize) {
            let count = TEXTS.min(rows.end - start);
            let texts = match field {
                Some(field) => ffi::read_field_texts(&dataset, field, start, count),
                None => ffi::read_texts(&dataset, start, count),
            };
            let texts = texts.map_err(|e| place.damaged(e))?;
            bytes = bytes.saturating_add(texts.iter().flatten().map(Vec::len).sum());
            // Text in Arrow has 32-bit offsets.
            if i32::try_from(bytes).is_err() {
                return Err(place.unsupported(
                    format!(
                        "more than 2 GiB of text in the rows {} to {}",
                        rows.start, rows.end
                    ),
                    "shorten the texts",
                ));
            }
            for (row, text) in (start..).zip(texts) {
                let text = utf8(text.unwrap_or_default(), &place, || {
                    format!("the text of row {row}")
                })?;
                builder.append_value(text);
            }
        }
        let mut texts = builder.finish();
        // Up to half of a builder's capacity may be unused, and a writer may keep the array for a
        // long time.
        texts.shrink_to_fit();
        Ok(texts)
    }

    fn read_bytes(
        &self,
        object: &str,
        rows: Range<u64>,
        out: &mut [u8],
    ) -> Result<(), SourceError> {
        let (dataset, field) = self.dataset(object)?;
        let count = rows.end - rows.start;
        let read = match field {
            Some(field) => ffi::read_field_bytes(&dataset, field, rows.start, count, out),
            None => ffi::read_bytes(&dataset, rows.start, count, out),
        };
        read.map_err(|e| self.place(object).damaged(e))
    }
}
