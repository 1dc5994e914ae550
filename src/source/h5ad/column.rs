//! Columns of data frames.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;

use super::categories::{Categories, Stored};
use crate::source::error::ErrorContext;
use crate::source::hdf5::{Element, Hdf5File, Kind, NumberArray};
use crate::source::number_column::arrow_numbers;
use crate::source::{ColumnKind, OriginalColumn, SourceError, TypedVec};

/// Maximum length in bytes of a scalar text that stands for all rows.
const LONGEST_SCALAR: usize = 1 << 8;

/// Member of a frame that holds categories, in files of anndata 0.7.
pub(super) const CATEGORIES: &str = "__categories";

/// Maximum number of bytes of text in all columns of a block of rows, unless it is a single row.
pub(super) const TEXT_BYTES: u64 = 8 << 20;

/// A column, opened and checked to have as many rows as its frame.
pub(super) struct ColumnReader {
    place: ErrorContext,
    values: Values,
}

/// Result of opening a member of a frame.
pub(super) enum Opened {
    Column(ColumnReader),
    /// The member has a type that cannot be read; the reason.
    LeftOut(String),
}

enum Values {
    /// A scalar that stands for all rows.
    Text(String),
    Number(TypedVec),
    Texts {
        file: Hdf5File,
        object: String,
        mask: Option<NumberArray>,
    },
    TypedVec {
        values: NumberArray,
        mask: Option<NumberArray>,
    },
    Categorical {
        codes: NumberArray,
        categories: Categories,
        ordered: bool,
    },
}

struct Opener<'a> {
    file: &'a Hdf5File,
    frame: &'a str,
    /// Name of the column in the frame; may be a path.
    name: &'a str,
    object: String,
    rows: u64,
    place: ErrorContext,
}

impl<'a> Opener<'a> {
    fn new(file: &'a Hdf5File, frame: &'a str, name: &'a str, rows: u64) -> Self {
        let object = format!("{frame}/{name}");
        Opener {
            file,
            frame,
            name,
            rows,
            place: file.place(&object),
            object,
        }
    }
}

impl ColumnReader {
    /// Opens the column `name` of a frame with `rows` rows.
    pub fn open(
        file: &Hdf5File,
        frame: &str,
        name: &str,
        rows: u64,
    ) -> Result<Opened, SourceError> {
        let opener = Opener::new(file, frame, name, rows);
        let opened = match file.kind(&opener.object)? {
            Kind::Dataset => opener.plain()?,
            Kind::Group => opener.group()?,
            Kind::Compound => Err("a compound type cannot be read as a column".to_string()),
            Kind::Missing => {
                return Err(opener.place.damaged("it is missing, though it is listed"));
            }
            Kind::Other => Err("it is neither a group nor a dataset".to_string()),
        };
        Ok(match opened {
            Ok(values) => Opened::Column(ColumnReader {
                place: opener.place,
                values,
            }),
            Err(reason) => Opened::LeftOut(reason),
        })
    }

    /// Opens integers as codes for the categories in another object, as before anndata 0.7. Returns
    /// `None` if they are not codes: the object is missing or has too few entries.
    pub fn with_categories(
        file: &Hdf5File,
        frame: &str,
        name: &str,
        categories: &str,
        rows: u64,
    ) -> Result<Option<Self>, SourceError> {
        let opener = Opener::new(file, frame, name, rows);
        if file.kind(categories)? != Kind::Dataset {
            return Ok(None);
        }
        let header = file.array(&opener.object)?;
        let whole = matches!(header.element, Element::Number { number_type, .. } if number_type.is_integer());
        // A single category is a scalar.
        if !whole || header.shape.len() != 1 || file.array(categories)?.shape.len() > 1 {
            return Ok(None);
        }
        let codes = opener.numbers("")?;
        let categories = opener.categories(categories.to_string())?;
        for start in (0..rows).step_by(1 << 16) {
            let block = codes.read(start..(start + (1 << 16)).min(rows))?.to_i64();
            let known = |&code: &i64| {
                code == -1 || u64::try_from(code).is_ok_and(|code| code < categories.count)
            };
            if !block.is_ok_and(|block| block.iter().all(known)) {
                return Ok(None);
            }
        }
        Ok(Some(ColumnReader {
            place: opener.place,
            values: Values::Categorical {
                codes,
                categories,
                ordered: false,
            },
        }))
    }

    /// Reads a range of rows of a column of plain numbers.
    pub fn read_numbers(&self, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        match &self.values {
            Values::TypedVec { values, mask: None } => values.read(rows),
            Values::Number(number) => Ok(number.picked(&rows.map(|_| 0).collect::<Vec<usize>>())),
            _ => Err(self.place.damaged("it is not of plain numbers")),
        }
    }

    /// Type of the values.
    pub fn kind(&self) -> ColumnKind {
        match &self.values {
            Values::Number(number) => ColumnKind::Number(number.number_type()),
            Values::Text(_) | Values::Texts { .. } => ColumnKind::Text,
            Values::TypedVec { values, mask: None } => ColumnKind::Number(values.number_type()),
            Values::TypedVec {
                values,
                mask: Some(_),
            } => ColumnKind::Nullable(values.number_type()),
            Values::Categorical { ordered, .. } => ColumnKind::Categorical { ordered: *ordered },
        }
    }

    /// What of the column the values do not show.
    pub fn original(&self) -> Option<OriginalColumn> {
        match &self.values {
            Values::Texts { mask: Some(_), .. } | Values::TypedVec { mask: Some(_), .. } => {
                Some(OriginalColumn::Nullable)
            }
            Values::Categorical { categories, .. } => {
                let number_type = match categories.numbers.as_ref()? {
                    Stored::List(numbers) => numbers.number_type(),
                    Stored::One(number) => number.number_type(),
                };
                Some(OriginalColumn::Categories(number_type))
            }
            _ => None,
        }
    }

    /// Reads a range of rows into the Arrow type that preserves their meaning.
    pub fn read(&self, rows: Range<u64>) -> Result<ArrayRef, SourceError> {
        self.read_within(rows, TEXT_BYTES)
    }

    /// Likewise, with at most `most` bytes of text if there is more than one row.
    pub fn read_within(&self, rows: Range<u64>, most: u64) -> Result<ArrayRef, SourceError> {
        match &self.values {
            Values::Text(text) => {
                let texts = rows.map(|_| text.as_str());
                Ok(Arc::new(StringArray::from_iter_values(texts)))
            }
            Values::Number(_) => Ok(arrow_numbers(self.read_numbers(rows)?, None)),
            Values::Texts { file, object, mask } => {
                let texts = if rows.is_empty() {
                    StringArray::from(Vec::<String>::new())
                } else {
                    file.texts_within(object, rows.clone(), most)?
                };
                let nulls = self.nulls(mask, rows)?;
                let (offsets, bytes, _) = texts.into_parts();
                let texts = StringArray::try_new(offsets, bytes, nulls);
                Ok(Arc::new(
                    texts.map_err(|e| self.place.damaged(e.to_string()))?,
                ))
            }
            Values::TypedVec { values, mask } => {
                let nulls = self.nulls(mask, rows.clone())?;
                Ok(arrow_numbers(values.read(rows)?, nulls))
            }
            Values::Categorical {
                codes, categories, ..
            } => {
                let categories = categories.read(&self.place)?;
                let codes = codes.read(rows.clone())?.to_i64();
                let codes =
                    codes.map_err(|_| self.place.damaged("its codes are not whole numbers"))?;
                // The code -1 stands for a missing value.
                let keys = codes
                    .iter()
                    .zip(rows)
                    .map(|(&code, row)| match i32::try_from(code) {
                        Ok(-1) => Ok(None),
                        Ok(code) if code >= 0 && (code as usize) < categories.len() => {
                            Ok(Some(code))
                        }
                        _ => Err(self.place.damaged(format!(
                            "row {row} has the code {code}, but there are {} categories",
                            categories.len()
                        ))),
                    });
                let keys = keys.collect::<Result<Int32Array, _>>()?;
                let dictionary = DictionaryArray::<Int32Type>::try_new(keys, categories);
                Ok(Arc::new(
                    dictionary.map_err(|e| self.place.damaged(e.to_string()))?,
                ))
            }
        }
    }

    fn nulls(
        &self,
        mask: &Option<NumberArray>,
        rows: Range<u64>,
    ) -> Result<Option<NullBuffer>, SourceError> {
        let Some(mask) = mask else { return Ok(None) };
        let missing = mask.read(rows)?.to_i64();
        let missing = missing.map_err(|_| self.place.damaged("its mask is not boolean"))?;
        Ok(Some(
            missing
                .iter()
                .map(|&missing| missing == 0)
                .collect::<Vec<bool>>()
                .into(),
        ))
    }
}

/// The values of a column, or why it is left out.
type Found = Result<Values, String>;

impl Opener<'_> {
    fn plain(&self) -> Result<Found, SourceError> {
        let header = self.file.array(&self.object)?;
        if self.file.attribute(&self.object, "categories")?.is_some() {
            return self.categorical_by_reference().map(Ok);
        }
        if header.shape.is_empty() {
            return self.scalar(&header.element);
        }
        if header.shape.len() != 1 {
            return Ok(Err(format!("it has {} dimensions", header.shape.len())));
        }
        match self.encoding()?.as_deref() {
            None | Some("array" | "string-array") => {}
            Some(unknown) => return Err(self.unknown(unknown)),
        }
        match header.element {
            Element::Text => {
                self.file.check_readable(&self.object, &header)?;
                Ok(Ok(Values::Texts {
                    file: self.file.clone(),
                    object: self.checked(self.object.clone(), header.shape[0])?,
                    mask: None,
                }))
            }
            Element::Number { .. } => Ok(Ok(Values::TypedVec {
                values: self.numbers("")?,
                mask: None,
            })),
            Element::Other(what) => Ok(Err(format!("{what} cannot be read as a column"))),
        }
    }

    /// Reads a value that is stored once for all rows, which pandas repeats.
    fn scalar(&self, element: &Element) -> Result<Found, SourceError> {
        match element {
            Element::Text => {
                let texts = self.file.texts(&self.object, 0..1)?;
                let text = texts.iter().flatten().next().unwrap_or_default();
                if text.len() > LONGEST_SCALAR {
                    let reason =
                        "a text of more than 256 bytes, stored once for all rows, is no column";
                    return Ok(Err(reason.into()));
                }
                Ok(Ok(Values::Text(text.to_string())))
            }
            Element::Number { .. } => self
                .file
                .flat_numbers(&self.object)
                .map(|number| Ok(Values::Number(number))),
            Element::Other(what) => Ok(Err(format!("{what} cannot be read as a column"))),
        }
    }

    fn group(&self) -> Result<Found, SourceError> {
        match self.encoding()?.as_deref() {
            Some("categorical") => self.categorical().map(Ok),
            Some("nullable-integer" | "nullable-boolean") => Ok(Ok(Values::TypedVec {
                values: self.numbers("/values")?,
                mask: Some(self.numbers("/mask")?),
            })),
            Some("nullable-string-array") => {
                let object = format!("{}/values", self.object);
                let header = self.file.array(&object)?;
                self.file.check_readable(&object, &header)?;
                let rows = header.shape.first().copied().unwrap_or(0);
                Ok(Ok(Values::Texts {
                    file: self.file.clone(),
                    object: self.checked(object, rows)?,
                    mask: Some(self.numbers("/mask")?),
                }))
            }
            Some(
                known @ ("csr_matrix" | "csc_matrix" | "awkward-array" | "dataframe" | "dict"),
            ) => Ok(Err(format!(
                "a column of the kind {known:?} has no place in a table"
            ))),
            Some(unknown) => Err(self.unknown(unknown)),
            None => Ok(Err("a group without the attribute \"encoding-type\"".into())),
        }
    }

    fn encoding(&self) -> Result<Option<String>, SourceError> {
        self.file.text_attribute(&self.object, "encoding-type")
    }

    fn unknown(&self, encoding: &str) -> SourceError {
        self.place.unsupported(
            format!("a column of the unknown kind {encoding:?}"),
            "rewrite the file with a current anndata",
        )
    }

    /// Opens categories stored next to the frame's columns, as written by anndata 0.7. The
    /// attribute is a reference to them, but they are always in the same place.
    fn categorical_by_reference(&self) -> Result<Values, SourceError> {
        let object = format!("{}/{CATEGORIES}/{}", self.frame, self.name);
        if self.file.kind(&object)? != Kind::Dataset {
            return Err(self
                .place
                .damaged(format!("its categories are not at {object}")));
        }
        let ordered = self.ordered(&object)?;
        Ok(Values::Categorical {
            codes: self.numbers("")?,
            categories: self.categories(object)?,
            ordered,
        })
    }

    /// Whether an object says that its categories are ordered.
    fn ordered(&self, object: &str) -> Result<bool, SourceError> {
        let attribute = self.file.attribute(object, "ordered")?;
        let value = attribute.and_then(|attribute| attribute.integers());
        Ok(value.is_some_and(|value| value == [1]))
    }

    fn categorical(&self) -> Result<Values, SourceError> {
        let object = format!("{}/categories", self.object);
        // The categories of nullable text are a group.
        let kind = self.file.kind(&object)?;
        let object = if kind == Kind::Group {
            format!("{object}/values")
        } else {
            object
        };
        Ok(Values::Categorical {
            codes: self.numbers("/codes")?,
            categories: self.categories(object)?,
            ordered: self.ordered(&self.object)?,
        })
    }

    fn categories(&self, object: String) -> Result<Categories, SourceError> {
        let header = self.file.array(&object)?;
        let count = match header.shape[..] {
            [] => 1,
            [count] => count,
            _ => return Err(self.place.damaged("its categories are not a list")),
        };
        let numbers = match header.element {
            Element::Text => {
                self.file.check_readable(&object, &header)?;
                None
            }
            _ if header.shape.is_empty() => Some(Stored::One(self.file.flat_numbers(&object)?)),
            _ => Some(Stored::List(self.file.numbers(&object)?)),
        };
        Ok(Categories {
            file: self.file.clone(),
            object,
            count,
            numbers,
            read: OnceLock::new(),
        })
    }

    fn numbers(&self, member: &str) -> Result<NumberArray, SourceError> {
        let object = format!("{}{member}", self.object);
        let array = self.file.numbers(&object)?;
        if array.shape().len() != 1 {
            return Err(self.place.damaged("it is not one-dimensional"));
        }
        self.checked((), array.rows())?;
        Ok(array)
    }

    fn checked<T>(&self, value: T, rows: u64) -> Result<T, SourceError> {
        if rows == self.rows {
            Ok(value)
        } else {
            Err(self.place.damaged(format!(
                "it has {rows} rows where the index has {}",
                self.rows
            )))
        }
    }
}
