//! Columns of data frames.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;

use super::categories::Categories;
use crate::source::error::Place;
use crate::source::hdf5::{Attribute, Container, Element, Kind, NumberArray, check_texts};
use crate::source::number_column::arrow_numbers;
use crate::source::{ColumnKind, ReadBudget, SourceError};

/// A column, opened and checked to have as many rows as its frame.
pub(super) struct ColumnReader {
    place: Place,
    values: Values,
}

/// What opening a member of a frame gives.
pub(super) enum Opened {
    Column(ColumnReader),
    /// The member is of a kind that cannot be read; why.
    LeftOut(String),
}

enum Values {
    Texts {
        container: Arc<dyn Container>,
        object: String,
        mask: Option<NumberArray>,
    },
    Numbers {
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
    container: &'a Arc<dyn Container>,
    file: &'a Arc<File>,
    object: &'a str,
    rows: u64,
    budget: ReadBudget,
    place: Place,
}

impl ColumnReader {
    /// Opens the member `object` of a frame with `rows` rows.
    pub fn open(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        rows: u64,
        budget: ReadBudget,
    ) -> Result<Opened, SourceError> {
        let place = Place::new(container.path(), object);
        let opener = Opener {
            container,
            file,
            object,
            rows,
            budget,
            place,
        };
        let opened = match container.kind(object)? {
            Kind::Dataset => opener.plain()?,
            Kind::Group => opener.group()?,
            Kind::Missing | Kind::Other => Err("it is neither a group nor a dataset".to_string()),
        };
        Ok(match opened {
            Ok(values) => Opened::Column(ColumnReader {
                place: opener.place,
                values,
            }),
            Err(reason) => Opened::LeftOut(reason),
        })
    }

    pub fn kind(&self) -> ColumnKind {
        match &self.values {
            Values::Texts { .. } => ColumnKind::Text,
            Values::Numbers { values, mask: None } => ColumnKind::Number(values.number_type()),
            Values::Numbers {
                values,
                mask: Some(_),
            } => ColumnKind::Nullable(values.number_type()),
            Values::Categorical { ordered, .. } => ColumnKind::Categorical { ordered: *ordered },
        }
    }

    /// The rows of a range in the Arrow type that keeps their meaning.
    pub fn read(&self, rows: Range<u64>) -> Result<ArrayRef, SourceError> {
        match &self.values {
            Values::Texts {
                container,
                object,
                mask,
            } => {
                let texts = if rows.is_empty() {
                    StringArray::from(Vec::<String>::new())
                } else {
                    container.texts(object, rows.clone())?
                };
                let nulls = self.nulls(mask, rows)?;
                let (offsets, bytes, _) = texts.into_parts();
                let texts = StringArray::try_new(offsets, bytes, nulls);
                Ok(Arc::new(
                    texts.map_err(|e| self.place.damaged(e.to_string()))?,
                ))
            }
            Values::Numbers { values, mask } => {
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
                // The code -1 means a missing value.
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
        let header = self.container.array(self.object)?;
        if self
            .container
            .attribute(self.object, "categories")?
            .is_some()
        {
            return Err(self.place.unsupported(
                "an encoding of anndata before 0.8 (categories by reference)",
                "rewrite the file with a current anndata",
            ));
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
                check_texts(&self.place, &header)?;
                Ok(Ok(Values::Texts {
                    container: self.container.clone(),
                    object: self.checked(self.object.to_string(), header.shape[0])?,
                    mask: None,
                }))
            }
            Element::Number { .. } => Ok(Ok(Values::Numbers {
                values: self.numbers("")?,
                mask: None,
            })),
            Element::Other(what) => Ok(Err(format!("{what} cannot be read as a column"))),
        }
    }

    fn group(&self) -> Result<Found, SourceError> {
        match self.encoding()?.as_deref() {
            Some("categorical") => self.categorical().map(Ok),
            Some("nullable-integer" | "nullable-boolean") => Ok(Ok(Values::Numbers {
                values: self.numbers("/values")?,
                mask: Some(self.numbers("/mask")?),
            })),
            Some("nullable-string-array") => {
                let object = format!("{}/values", self.object);
                let header = self.container.array(&object)?;
                check_texts(&self.place, &header)?;
                let rows = header.shape.first().copied().unwrap_or(0);
                Ok(Ok(Values::Texts {
                    container: self.container.clone(),
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
        let encoding = self.container.attribute(self.object, "encoding-type")?;
        Ok(encoding
            .as_ref()
            .and_then(Attribute::text)
            .map(str::to_string))
    }

    fn unknown(&self, encoding: &str) -> SourceError {
        self.place.unsupported(
            format!("a column of the unknown kind {encoding:?}"),
            "rewrite the file without it",
        )
    }

    fn categorical(&self) -> Result<Values, SourceError> {
        let object = format!("{}/categories", self.object);
        let ordered = match self.container.attribute(self.object, "ordered")? {
            Some(attribute) => attribute.integers().is_some_and(|value| value == [1]),
            None => false,
        };
        // Categories of nullable texts are a group.
        let kind = self.container.kind(&object)?;
        let object = if kind == Kind::Group {
            format!("{object}/values")
        } else {
            object
        };
        let header = self.container.array(&object)?;
        let [count] = header.shape[..] else {
            return Err(self.place.damaged("its categories are not a list"));
        };
        let numbers = match header.element {
            Element::Text => {
                check_texts(&self.place, &header)?;
                None
            }
            _ => Some(NumberArray::open(
                self.container,
                self.file,
                &object,
                self.budget,
            )?),
        };
        let codes = self.numbers("/codes")?;
        let categories = Categories {
            container: self.container.clone(),
            object,
            count,
            numbers,
            read: OnceLock::new(),
        };
        Ok(Values::Categorical {
            codes,
            categories,
            ordered,
        })
    }

    fn numbers(&self, member: &str) -> Result<NumberArray, SourceError> {
        let object = format!("{}{member}", self.object);
        let array = NumberArray::open(self.container, self.file, &object, self.budget)?;
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
