//! Columns of data frames.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, DictionaryArray, Int32Array, StringArray, StringBuilder,
    TimestampNanosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;

use super::rows::{PickedRows, Rows};
use super::tiledb::datatype::{Datatype, TimeUnit};
use super::tiledb::fault::Fault;
use super::tiledb::{Attribute, Cells, ColumnFile, Scratch};
use crate::remedy::Remedy;
use crate::source::error::ErrorContext;
use crate::source::number_column::arrow_numbers;
use crate::source::{ColumnKind, ScalarType, SourceError, TypedVec};

/// A column, opened in every fragment.
pub(super) struct FrameColumn {
    place: ErrorContext,
    attribute: Attribute,
    kind: ColumnKind,
    categories: Option<Arc<StringArray>>,
    /// `None` for fragments that were written before the column was added.
    files: Vec<Option<ColumnFile>>,
    /// How the column is left out, for errors about values that no table can hold.
    skip: Remedy,
}

/// Result of opening a column.
pub(super) enum Opened {
    Column(Box<FrameColumn>),
    /// The column has a type that cannot be read; the reason.
    LeftOut(String),
}

impl FrameColumn {
    /// Opens an attribute in every fragment. `skip` leaves it out.
    pub fn open(rows: &Rows, attribute: &Attribute, skip: Remedy) -> Result<Opened, SourceError> {
        let array = &rows.array;
        let place = array.folder.child(&attribute.name).place();
        let kind = match attribute.datatype {
            _ if attribute.values.is_some_and(|values| values != 1) => {
                return Ok(Opened::LeftOut("its cells have several values".into()));
            }
            Datatype::Ascii | Datatype::Utf8 if attribute.variable() => ColumnKind::Text,
            Datatype::Number(number_type) if !attribute.variable() => {
                ColumnKind::Number(number_type)
            }
            Datatype::Datetime(unit) if unit != TimeUnit::Other && !attribute.variable() => {
                ColumnKind::Time
            }
            other => {
                return Ok(Opened::LeftOut(format!(
                    "{other} cannot be read as a column"
                )));
            }
        };
        let mut column = FrameColumn {
            place,
            attribute: attribute.clone(),
            kind,
            categories: None,
            files: Vec::new(),
            skip,
        };
        column.open_files(rows)?;
        match (&attribute.enumeration, &column.kind) {
            (None, _) => {}
            (Some(name), ColumnKind::Number(codes)) if codes.is_integer() => {
                let enumeration = array.enumeration(name)?;
                column.kind = ColumnKind::Categorical {
                    ordered: enumeration.ordered,
                };
                column.categories = Some(Arc::new(enumeration.values));
                return Ok(Opened::Column(Box::new(column)));
            }
            (Some(_), _) => {
                return Err(column
                    .place
                    .damaged("its codes of categories are not whole numbers"));
            }
        }
        if let ColumnKind::Number(number_type) = column.kind
            && !is_float(number_type)
            && column.has_nulls(rows)?
        {
            column.kind = ColumnKind::Nullable(number_type);
        }
        Ok(Opened::Column(Box::new(column)))
    }

    fn open_files(&mut self, rows: &Rows) -> Result<(), SourceError> {
        for fragment in &rows.array.fragments {
            let name = &self.attribute.name;
            let written = fragment.schema.attribute(name);
            let same = written.is_none_or(|written| {
                written.datatype == self.attribute.datatype
                    && written.values == self.attribute.values
                    && written.enumeration == self.attribute.enumeration
            });
            if !same {
                let what = "a column that was of another type when its first rows were written";
                return Err(self.place.unsupported(what, self.skip.clone()));
            }
            let file = match written {
                Some(_) => ColumnFile::open(fragment, name, fragment.tiles)
                    .map_err(|error| self.with_skip(error))?,
                None => None,
            };
            self.files.push(file);
        }
        Ok(())
    }

    /// Adds to an `Unsupported` error how to leave the column out.
    fn with_skip(&self, error: SourceError) -> SourceError {
        match error {
            SourceError::Unsupported {
                path,
                object,
                what,
                help,
            } => SourceError::Unsupported {
                path,
                object,
                what,
                help: help.or(self.skip.clone()),
            },
            other => other,
        }
    }

    /// Whether any value was ever written as missing. Fragments store the count.
    fn has_nulls(&self, rows: &Rows) -> Result<bool, SourceError> {
        if !self.attribute.nullable {
            return Ok(false);
        }
        for fragment in &rows.array.fragments {
            let attributes = &fragment.schema.attributes;
            let number = attributes
                .iter()
                .position(|other| other.name == self.attribute.name);
            let nulls = match number {
                None => !self.attribute.fill_is_valid,
                Some(number) if attributes[number].nullable => {
                    fragment.nulls(number, fragment.tiles)? > 0
                }
                Some(_) => false,
            };
            if nulls {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Name of the column.
    pub fn name(&self) -> &str {
        &self.attribute.name
    }

    /// Type of the values.
    pub fn kind(&self) -> &ColumnKind {
        &self.kind
    }

    /// Reads the picked rows into the Arrow type that preserves their meaning. `first` is the
    /// position of the first one, for messages.
    pub fn read(
        &self,
        rows: &Rows,
        picked: &PickedRows,
        first: u64,
    ) -> Result<ArrayRef, SourceError> {
        let mut scratch = Scratch::new().map_err(|fault: Fault| fault.at(&self.place))?;
        let mut tiles = Vec::with_capacity(picked.tiles.len());
        for &(fragment, tile) in &picked.tiles {
            let cells = rows.cells((fragment, tile));
            tiles.push(match &self.files[fragment] {
                Some(file) => Some(file.read(tile, cells, &mut scratch)?),
                None => None,
            });
        }
        let values = Values {
            column: self,
            picked,
            tiles,
        };
        match &self.kind {
            ColumnKind::Text => values.texts(first),
            ColumnKind::Number(number_type) | ColumnKind::Nullable(number_type) => {
                values.numbers(*number_type)
            }
            ColumnKind::Categorical { .. } => values.categories(first),
            ColumnKind::Time => values.times(first),
        }
    }
}

fn is_float(number_type: ScalarType) -> bool {
    matches!(
        number_type,
        ScalarType::Float16 | ScalarType::Float32 | ScalarType::Float64
    )
}

/// The decoded tiles of a column and which of their cells are wanted.
struct Values<'a> {
    column: &'a FrameColumn,
    picked: &'a PickedRows,
    tiles: Vec<Option<Cells>>,
}

impl Values<'_> {
    /// Iterates over the values; `None` for missing ones.
    fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let attribute = &self.column.attribute;
        let width = attribute.datatype.size();
        let fill = (!attribute.nullable || attribute.fill_is_valid).then_some(&attribute.fill[..]);
        self.picked
            .cells
            .iter()
            .map(move |cell| match &self.tiles[cell.tile as usize] {
                Some(tile) => tile.value(cell.cell as usize, width),
                None => fill,
            })
    }

    fn texts(&self, first: u64) -> Result<ArrayRef, SourceError> {
        let place = &self.column.place;
        let bytes: usize = self.iter().flatten().map(<[u8]>::len).sum();
        if i32::try_from(bytes).is_err() {
            return Err(place.too_large("a block of its texts", bytes as u64, u64::MAX));
        }
        let mut texts = StringBuilder::with_capacity(self.picked.cells.len(), bytes);
        for (row, value) in (first..).zip(self.iter()) {
            match value.map(std::str::from_utf8) {
                None => texts.append_null(),
                Some(Ok(text)) => texts.append_value(text),
                Some(Err(_)) => return Err(place.damaged(format!("row {row} is not UTF-8"))),
            }
        }
        Ok(Arc::new(texts.finish()))
    }

    /// Collects the numbers, with zeros in place of missing ones, and the mask of missing values.
    fn gather(
        &self,
        number_type: ScalarType,
    ) -> Result<(TypedVec, Option<NullBuffer>), SourceError> {
        let place = &self.column.place;
        let length = self.picked.cells.len();
        let width = number_type.size();
        let mut numbers = TypedVec::zeroed(number_type, length)
            .ok_or_else(|| Fault::TooLarge((length * width) as u64).at(place))?;
        let mut valid = vec![true; length];
        let target = numbers.as_bytes_mut().chunks_exact_mut(width);
        for ((target, valid), value) in target.zip(&mut valid).zip(self.iter()) {
            match value {
                Some(value) if value.len() == width => target.copy_from_slice(value),
                Some(_) => return Err(place.damaged("its fill value is not one of its type")),
                None => *valid = false,
            }
        }
        let all = valid.iter().all(|&valid| valid);
        Ok((numbers, (!all).then(|| valid.into())))
    }

    fn numbers(&self, number_type: ScalarType) -> Result<ArrayRef, SourceError> {
        let (mut numbers, nulls) = self.gather(number_type)?;
        let Some(nulls) = nulls else {
            return Ok(arrow_numbers(numbers, None));
        };
        if let ColumnKind::Nullable(_) = self.column.kind {
            return Ok(arrow_numbers(numbers, Some(nulls)));
        }
        if !is_float(number_type) {
            let place = &self.column.place;
            return Err(place.damaged("it has missing values, where its headers count none"));
        }
        // tiledbsoma writes NaN as missing, and reads it back as NaN.
        for row in (0..nulls.len()).filter(|&row| nulls.is_null(row)) {
            match &mut numbers {
                TypedVec::Float16(v) => v[row] = half::f16::NAN,
                TypedVec::Float32(v) => v[row] = f32::NAN,
                TypedVec::Float64(v) => v[row] = f64::NAN,
                _ => {}
            }
        }
        Ok(arrow_numbers(numbers, None))
    }

    fn categories(&self, first: u64) -> Result<ArrayRef, SourceError> {
        let place = &self.column.place;
        let (Some(categories), Datatype::Number(codes)) =
            (&self.column.categories, self.column.attribute.datatype)
        else {
            return Err(place.damaged("it has no categories"));
        };
        let (codes, nulls) = self.gather(codes)?;
        let codes = codes.to_i64().map_err(|row| {
            place.damaged(format!("row {} has an absurd code", first + row as u64))
        })?;
        let known = |code: i64| {
            let key = i32::try_from(code).ok();
            key.filter(|&key| usize::try_from(key).is_ok_and(|key| key < categories.len()))
        };
        let mut keys = Vec::with_capacity(codes.len());
        for (row, code) in codes.into_iter().enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                keys.push(None);
                continue;
            }
            match known(code) {
                Some(key) => keys.push(Some(key)),
                None => {
                    return Err(place.damaged(format!(
                        "row {} has the code {code}, but there are {} categories",
                        first + row as u64,
                        categories.len()
                    )));
                }
            }
        }
        let keys = Int32Array::from(keys);
        let dictionary = DictionaryArray::<Int32Type>::try_new(keys, categories.clone());
        Ok(Arc::new(
            dictionary.map_err(|error| place.damaged(error.to_string()))?,
        ))
    }

    fn times(&self, first: u64) -> Result<ArrayRef, SourceError> {
        let nanoseconds = match self.column.attribute.datatype {
            Datatype::Datetime(TimeUnit::Seconds) => 1_000_000_000,
            Datatype::Datetime(TimeUnit::Milliseconds) => 1_000_000,
            Datatype::Datetime(TimeUnit::Microseconds) => 1_000,
            _ => 1i64,
        };
        let (numbers, nulls) = self.gather(ScalarType::Int64)?;
        let TypedVec::Int64(mut times) = numbers else {
            return Err(self.column.place.damaged("its times are not whole numbers"));
        };
        let mut valid: Vec<bool> = match nulls {
            Some(nulls) => nulls.iter().collect(),
            None => vec![true; times.len()],
        };
        for (row, (time, valid)) in times.iter_mut().zip(&mut valid).enumerate() {
            // The smallest int64 is pandas' "not a time" (NaT).
            *valid &= *time != i64::MIN;
            if !*valid {
                continue;
            }
            *time = time.checked_mul(nanoseconds).ok_or_else(|| {
                let row = first + row as u64;
                let what =
                    format!("the time in row {row}, which is beyond what nanoseconds can say,");
                let skip = self.column.skip.clone();
                self.column.place.unsupported(what, skip)
            })?;
        }
        Ok(Arc::new(TimestampNanosecondArray::new(
            times.into(),
            Some(valid.into()),
        )))
    }
}
