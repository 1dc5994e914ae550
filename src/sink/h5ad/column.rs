//! Columns of obs and var.

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};

use crate::dataset::numbers_of;
use crate::parallel::WorkerFault;
use crate::sink::SinkError;
use crate::sink::exact::exactly;
use crate::sink::hdf5::{ArrayOptions, ArrayWriter, Element, Filters, Group, TextsWriter};
use crate::source::{Column, ColumnKind, OriginalColumn, ScalarType, TypedVec};

/// A column that is being written.
pub(super) struct ColumnWriter {
    name: String,
    original: Option<OriginalColumn>,
    filters: Filters,
    state: State,
}

enum State {
    Texts {
        writer: TextsWriter,
        missing: Missing,
    },
    Numbers {
        number_type: ScalarType,
        writer: ArrayWriter,
        missing: Missing,
    },
    /// Before the first block, the categories are not known.
    Unknown { ordered: bool },
    Codes {
        number_type: ScalarType,
        writer: ArrayWriter,
        categories: StringArray,
    },
}

/// Which values are missing: a bit for each row.
struct Missing {
    rows: BooleanBufferBuilder,
    some: bool,
}

impl Missing {
    fn new() -> Self {
        Missing {
            rows: BooleanBufferBuilder::new(0),
            some: false,
        }
    }

    fn add(&mut self, array: &ArrayRef) {
        match array.logical_nulls() {
            None => self.rows.append_n(array.len(), false),
            Some(nulls) => {
                self.some |= nulls.null_count() > 0;
                nulls.iter().for_each(|valid| self.rows.append(!valid));
            }
        }
    }

    fn mask(&mut self) -> TypedVec {
        let rows = self.rows.finish();
        TypedVec::Bool(rows.iter().map(u8::from).collect())
    }
}

const ARRAY: [&str; 2] = ["array", "0.2.0"];

fn array(
    group: &Group,
    name: &str,
    number_type: ScalarType,
    filters: Filters,
) -> Result<ArrayWriter, SinkError> {
    let options = ArrayOptions {
        element: Element::Number(number_type),
        width: None,
        filters,
        kind: ARRAY,
    };
    group.array(name, options)
}

impl ColumnWriter {
    /// Begins a column of `rows` rows in a frame.
    pub fn create(
        frame: &Group,
        column: &Column,
        rows: u64,
        original: Option<OriginalColumn>,
        filters: Filters,
    ) -> Result<Self, SinkError> {
        let name = column.name.clone();
        let state = match column.kind {
            ColumnKind::Categorical { ordered } => State::Unknown { ordered },
            // anndata has no times.
            ColumnKind::Text | ColumnKind::Time => State::Texts {
                writer: frame.texts_array(&name, rows)?,
                missing: Missing::new(),
            },
            ColumnKind::Number(number_type) | ColumnKind::Nullable(number_type) => State::Numbers {
                number_type,
                writer: array(frame, &name, number_type, filters)?,
                missing: Missing::new(),
            },
        };
        Ok(ColumnWriter {
            name,
            original,
            filters,
            state,
        })
    }

    /// Writes the next rows.
    pub fn push(&mut self, frame: &Group, values: &ArrayRef) -> Result<(), SinkError> {
        let odd =
            |problem: String| SinkError::by_text(frame.file(), &frame.below(&self.name), problem);
        match &mut self.state {
            State::Texts { writer, missing } => {
                let texts = cast(values, &DataType::Utf8).map_err(|e| odd(e.to_string()))?;
                missing.add(values);
                writer.push(texts.as_string::<i32>())
            }
            State::Numbers {
                number_type,
                writer,
                missing,
            } => {
                missing.add(values);
                let numbers = filled(values, *number_type);
                let mut numbers = numbers.ok_or_else(|| odd("its type changes".into()))?;
                writer.push(&mut numbers)
            }
            State::Unknown { ordered } => {
                let dictionary = values.as_dictionary_opt::<Int32Type>();
                let dictionary = dictionary.ok_or_else(|| odd("it has no categories".into()))?;
                let categories = cast(dictionary.values(), &DataType::Utf8);
                let categories = categories.map_err(|e| odd(e.to_string()))?;
                let categories = categories.as_string::<i32>().clone();
                let number_type = match categories.len() {
                    0..=127 => ScalarType::Int8,
                    128..=32_767 => ScalarType::Int16,
                    _ => ScalarType::Int32,
                };
                let group = frame.encoded(&self.name, ["categorical", "0.2.0"])?;
                let ordered = u8::from(*ordered);
                group.numbers("ordered", &[], &mut TypedVec::Bool(vec![ordered]))?;
                let of = match self.original {
                    Some(OriginalColumn::Categories(number_type)) => Some(number_type),
                    _ => None,
                };
                write_categories(&group, &categories, of)?;
                self.state = State::Codes {
                    number_type,
                    writer: array(&group, "codes", number_type, self.filters)?,
                    categories,
                };
                self.push(frame, values)
            }
            State::Codes {
                number_type,
                writer,
                categories,
            } => {
                let codes = codes(values, categories).map_err(odd)?;
                let codes = exactly(&TypedVec::Int32(codes), *number_type);
                let mut codes = codes.map_err(|_| odd("it has more categories".into()))?;
                writer.push(&mut codes)
            }
        }
    }

    /// Ends the column, which becomes a group if values are missing.
    pub fn finish(self, frame: &Group) -> Result<(), SinkError> {
        let nullable = self.original == Some(OriginalColumn::Nullable);
        let (kind, mut missing) = match self.state {
            // There was no block, not even an empty one.
            State::Unknown { .. } => return Err(SinkError::Workers(WorkerFault::Died)),
            State::Codes { writer, .. } => return writer.finish().map(|_| ()),
            State::Texts { writer, missing } => {
                drop(writer);
                ("nullable-string-array", missing)
            }
            State::Numbers {
                number_type,
                writer,
                missing,
            } => {
                writer.finish()?;
                match number_type {
                    ScalarType::Bool => ("nullable-boolean", missing),
                    // Missing floats are NaN.
                    number_type if !number_type.is_integer() => return Ok(()),
                    _ => ("nullable-integer", missing),
                }
            }
        };
        if !missing.some && !nullable {
            return Ok(());
        }
        let group = frame.enclose(&self.name, "values")?;
        group.encoding([kind, "0.1.0"])?;
        let mask = array(&group, "mask", ScalarType::Bool, self.filters)?;
        mask.push(&mut missing.mask())?;
        mask.finish().map(|_| ())
    }
}

/// The numbers of a column, with zero, or NaN of floats, where there is none.
fn filled(values: &ArrayRef, number_type: ScalarType) -> Option<TypedVec> {
    let numbers = numbers_of(values).filter(|numbers| numbers.number_type() == number_type)?;
    let Some(nulls) = values.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return Some(numbers);
    };
    fn patched<T: Copy>(mut numbers: Vec<T>, nulls: &arrow::buffer::NullBuffer, by: T) -> Vec<T> {
        for (number, valid) in numbers.iter_mut().zip(nulls.iter()) {
            if !valid {
                *number = by;
            }
        }
        numbers
    }
    use TypedVec as V;
    Some(match numbers {
        V::Bool(v) => V::Bool(patched(v, nulls, 0)),
        V::Int8(v) => V::Int8(patched(v, nulls, 0)),
        V::Int16(v) => V::Int16(patched(v, nulls, 0)),
        V::Int32(v) => V::Int32(patched(v, nulls, 0)),
        V::Int64(v) => V::Int64(patched(v, nulls, 0)),
        V::UInt8(v) => V::UInt8(patched(v, nulls, 0)),
        V::UInt16(v) => V::UInt16(patched(v, nulls, 0)),
        V::UInt32(v) => V::UInt32(patched(v, nulls, 0)),
        V::UInt64(v) => V::UInt64(patched(v, nulls, 0)),
        V::Float16(v) => V::Float16(patched(v, nulls, half::f16::NAN)),
        V::Float32(v) => V::Float32(patched(v, nulls, f32::NAN)),
        V::Float64(v) => V::Float64(patched(v, nulls, f64::NAN)),
    })
}

/// The codes of values for known categories; -1 where there is none.
fn codes(values: &ArrayRef, categories: &StringArray) -> Result<Vec<i32>, String> {
    let dictionary = values.as_dictionary_opt::<Int32Type>();
    let dictionary = dictionary.ok_or("it has no categories")?;
    let own = cast(dictionary.values(), &DataType::Utf8).map_err(|e| e.to_string())?;
    let own = own.as_string::<i32>();
    // Mostly they are the same, block after block.
    let renumbered: Option<Vec<i32>> = if own == categories {
        None
    } else {
        let known: std::collections::HashMap<&str, i32> =
            categories.iter().flatten().zip(0i32..).collect();
        let found = own.iter().map(|text| {
            let found = text.and_then(|text| known.get(text)).copied();
            // A category that no row has may be any.
            found.unwrap_or(i32::MIN)
        });
        Some(found.collect())
    };
    let keys = dictionary.keys().iter();
    keys.map(|key| match (key, &renumbered) {
        (None, _) => Ok(-1),
        (Some(key), None) => Ok(key),
        (Some(key), Some(renumbered)) => {
            let code = usize::try_from(key)
                .ok()
                .and_then(|key| renumbered.get(key));
            let code = code.copied().filter(|&code| code >= 0);
            code.ok_or_else(|| "its categories change from row to row".to_string())
        }
    })
    .collect()
}

/// Writes the list of categories: as numbers, if they were numbers.
fn write_categories(
    group: &Group,
    categories: &StringArray,
    of: Option<ScalarType>,
) -> Result<(), SinkError> {
    let name = "categories";
    let shape = [categories.len() as u64];
    if let Some(mut numbers) = of.and_then(|of| parsed(categories, of)) {
        return group.whole(name, &shape, &mut numbers, ARRAY);
    }
    let texts: Vec<&str> = categories.iter().map(Option::unwrap_or_default).collect();
    group.whole_texts(name, &shape, &texts)
}

/// Texts as the numbers that they were; `None` if one is no such number.
fn parsed(texts: &StringArray, number_type: ScalarType) -> Option<TypedVec> {
    let texts = || texts.iter().map(Option::unwrap_or_default);
    if number_type == ScalarType::Bool {
        let bits = texts().map(|text| match text {
            "true" | "True" => Some(1),
            "false" | "False" => Some(0),
            _ => None,
        });
        return bits.collect::<Option<Vec<u8>>>().map(TypedVec::Bool);
    }
    let numbers = if number_type == ScalarType::UInt64 {
        TypedVec::UInt64(
            texts()
                .map(|text| text.parse().ok())
                .collect::<Option<_>>()?,
        )
    } else if number_type.is_integer() {
        TypedVec::Int64(
            texts()
                .map(|text| text.parse().ok())
                .collect::<Option<_>>()?,
        )
    } else {
        TypedVec::Float64(
            texts()
                .map(|text| text.parse().ok())
                .collect::<Option<_>>()?,
        )
    };
    // Numbers of float32 are written with as many digits as tell them apart.
    match (&numbers, number_type) {
        (TypedVec::Float64(values), ScalarType::Float32) => Some(TypedVec::Float32(
            values.iter().map(|&value| value as f32).collect(),
        )),
        (numbers, number_type) => exactly(numbers, number_type).ok(),
    }
}
