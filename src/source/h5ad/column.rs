//! Columns of data frames.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Int32Array, PrimitiveArray, StringArray,
    StringBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::ArrowPrimitiveType;
use arrow::datatypes::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use crate::source::error::Place;
use crate::source::hdf5::{Attribute, Container, Element, Kind, NumberArray};
use crate::source::{ColumnKind, Numbers, ReadBudget, SourceError};
use crate::with_numbers;

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

/// Categories are read when the first rows are, once.
struct Categories {
    container: Arc<dyn Container>,
    object: String,
    count: u64,
    numbers: Option<NumberArray>,
    read: OnceLock<Arc<StringArray>>,
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
            Element::Text => Ok(Ok(Values::Texts {
                container: self.container.clone(),
                object: self.checked(self.object.to_string(), header.shape[0])?,
                mask: None,
            })),
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
            Element::Text => None,
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

impl Categories {
    fn read(&self, place: &Place) -> Result<Arc<StringArray>, SourceError> {
        if let Some(categories) = self.read.get() {
            return Ok(categories.clone());
        }
        if i32::try_from(self.count).is_err() {
            return Err(place.damaged(format!("it has {} categories", self.count)));
        }
        let categories = match &self.numbers {
            Some(numbers) => text_of_numbers(&numbers.read(0..self.count)?),
            None if self.count == 0 => StringArray::from(Vec::<String>::new()),
            None => self.container.texts(&self.object, 0..self.count)?,
        };
        Ok(self.read.get_or_init(|| Arc::new(categories)).clone())
    }
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}

fn arrow_numbers(numbers: Numbers, nulls: Option<NullBuffer>) -> ArrayRef {
    match numbers {
        Numbers::Bool(v) => {
            let values = v.iter().map(|&value| value != 0).collect::<Vec<bool>>();
            Arc::new(BooleanArray::new(values.into(), nulls))
        }
        Numbers::Int8(v) => primitive::<Int8Type>(v, nulls),
        Numbers::Int16(v) => primitive::<Int16Type>(v, nulls),
        Numbers::Int32(v) => primitive::<Int32Type>(v, nulls),
        Numbers::Int64(v) => primitive::<Int64Type>(v, nulls),
        Numbers::UInt8(v) => primitive::<UInt8Type>(v, nulls),
        Numbers::UInt16(v) => primitive::<UInt16Type>(v, nulls),
        Numbers::UInt32(v) => primitive::<UInt32Type>(v, nulls),
        Numbers::UInt64(v) => primitive::<UInt64Type>(v, nulls),
        Numbers::Float16(v) => primitive::<Float16Type>(v, nulls),
        Numbers::Float32(v) => primitive::<Float32Type>(v, nulls),
        Numbers::Float64(v) => primitive::<Float64Type>(v, nulls),
    }
}

/// Numbers as Python writes them, which is how users of anndata name such categories and rows.
pub(super) fn text_of_numbers(numbers: &Numbers) -> StringArray {
    let mut texts = StringBuilder::new();
    let mut push = |text: String| texts.append_value(text);
    match numbers {
        Numbers::Bool(v) => v
            .iter()
            .for_each(|&b| push(if b != 0 { "True" } else { "False" }.into())),
        Numbers::Float16(v) => v
            .iter()
            .for_each(|x| push(text_of_float(format!("{:?}", x.to_f32())))),
        Numbers::Float32(v) => v.iter().for_each(|x| push(text_of_float(format!("{x:?}")))),
        Numbers::Float64(v) => v.iter().for_each(|x| push(text_of_float(format!("{x:?}")))),
        integers => with_numbers!(integers, v => v.iter().for_each(|x| push(x.to_string()))),
    }
    texts.finish()
}

/// Rust's shortest text of a float with Python's words and exponents.
fn text_of_float(text: String) -> String {
    match text.as_str() {
        "NaN" => return "nan".into(),
        _ if text.ends_with("inf") => return text,
        _ => {}
    }
    match text.split_once('e') {
        None => text,
        Some((mantissa, exponent)) => {
            let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_python_writes_them() {
        let text = |numbers: Numbers| {
            let texts = text_of_numbers(&numbers);
            texts
                .iter()
                .flatten()
                .map(str::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(text(Numbers::Bool(vec![0, 1])), ["False", "True"]);
        assert_eq!(text(Numbers::Int64(vec![-3, 10])), ["-3", "10"]);
        assert_eq!(
            text(Numbers::Float64(vec![
                1.0,
                0.1,
                1e16,
                1.5e-7,
                f64::NAN,
                f64::NEG_INFINITY
            ])),
            ["1.0", "0.1", "1e+16", "1.5e-07", "nan", "-inf"]
        );
    }

    #[test]
    fn number_types_become_arrow_types() {
        let array = arrow_numbers(Numbers::Bool(vec![1, 0]), Some(vec![true, false].into()));
        assert_eq!(array.null_count(), 1);
    }
}
