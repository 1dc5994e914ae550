//! The entries of a matrix, stored in a table with one row per entry.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::datatypes::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::starts::{NEGATIVE, Starts, identifiers};
use super::table::{OpenTable, finish, next};
use crate::remedy::Remedy;
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::row_chunker::{StoredRows, row_chunks};
use crate::source::transpose::{
    Entries as Unordered, ExternalTranspose, TransposeOptions, Transposed, TransposedOnce,
};
use crate::source::{ChunkBudget, Chunks, CsrChunk, Matrix, ScalarType, SourceError, TypedVec};
use crate::with_numbers;

/// Number of positions at which values are sampled, and number of rows at each.
const PLACES: u64 = 32;
const SAMPLED: u64 = 1 << 12;

/// A matrix, stored as one value column of a table.
#[derive(Clone)]
pub(super) struct Entries {
    /// First rows of the matrix's rows in the table.
    pub starts: Arc<Starts>,
    /// Names of the table's columns with row, column and value of each entry.
    pub columns: [String; 3],
    /// Type of the values.
    pub number_type: ScalarType,
    /// Number of columns of the matrix.
    pub width: u64,
    /// Meaning of rows without a value.
    pub zeros: Zeros,
    /// Options for sorting the matrix if the table is not sorted.
    pub transposing: TransposeOptions,
    /// The sorted matrix, if the table is not sorted.
    pub transposed: Arc<TransposedOnce>,
}

/// Meaning of a table row without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zeros {
    /// Every row is an entry, even if its value is zero; nulls are refused.
    Entries,
    /// Several matrices share the rows; where one has no entry, its value is null or zero.
    Absent,
}

impl Entries {
    fn table(&self) -> &Arc<OpenTable> {
        &self.starts.table
    }

    /// Maximum number of entries.
    pub fn at_most(&self) -> u64 {
        self.table().rows
    }

    /// Sorts the entries, unless that was done already.
    fn transpose(&self, report: &(dyn Fn(u64) + Sync)) -> Result<Arc<Transposed>, SourceError> {
        self.transposed.get_or_make(|| {
            let all = self.table().rows;
            let external = ExternalTranspose::new(
                self.table().place(),
                [self.starts.rows, self.width],
                all,
                self.number_type,
                &self.transposing,
            )?;
            let step = external.block_entries().max(1);
            let pieces = (0..all.div_ceil(step)).map(|piece| {
                let rows = piece * step..((piece + 1) * step).min(all);
                Ok(move || {
                    let entries = self.unordered(rows.clone())?;
                    report(rows.end - rows.start);
                    Ok(entries)
                })
            });
            external.fill(pieces)?;
            Ok(external.finish())
        })
    }

    /// Reads rows of the table, whichever rows of the matrix they belong to.
    fn unordered(&self, rows: Range<u64>) -> Result<Unordered, SourceError> {
        let own = self.clone();
        finish(&self.table().path, async move {
            let place = own.table().place();
            let mut all = Unordered {
                rows: TypedVec::UInt32(Vec::new()),
                columns: Vec::new(),
                values: own.nothing()?,
            };
            let columns = own.columns.each_ref().map(String::as_str);
            let mut reader = own.table().reader(&columns, rows).await?;
            while let Some(batch) = next(&mut reader).await? {
                let ids = [0, 1].map(|column| identifiers(batch.column(column)));
                let [Some(of_rows), Some(of_columns)] = ids else {
                    return Err(place.damaged(NEGATIVE));
                };
                let of_rows = of_rows.as_primitive::<UInt32Type>().values();
                let of_columns = of_columns.as_primitive::<UInt32Type>().values();
                own.check_columns(of_columns)?;
                let numbers = own.numbers(batch.column(2))?;
                let (these, columns, numbers) = match own.kept(batch.column(2), &numbers)? {
                    None => (of_rows.to_vec(), of_columns.to_vec(), numbers),
                    Some(kept) => {
                        let of = |ids: &[u32]| kept.iter().map(|&place| ids[place]).collect();
                        (of(of_rows), of(of_columns), numbers.picked(&kept))
                    }
                };
                all.rows.append(TypedVec::UInt32(these));
                all.columns.extend(columns);
                all.values.append(numbers);
            }
            Ok(all)
        })
    }

    fn nothing(&self) -> Result<TypedVec, SourceError> {
        let nothing = TypedVec::zeroed(self.number_type, 0);
        nothing.ok_or_else(|| self.table().place().too_large("a chunk", 0, 0))
    }

    fn check_columns(&self, columns: &[u32]) -> Result<(), SourceError> {
        let width = self.width;
        match columns.iter().find(|&&column| u64::from(column) >= width) {
            None => Ok(()),
            Some(outside) => {
                let what = format!("a row names number {outside}, and there are {width}");
                Err(self.table().place().damaged(what))
            }
        }
    }

    /// Samples values from all over the table.
    fn sampled(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        let all = self.table().rows;
        let places = if all <= PLACES * SAMPLED {
            all.div_ceil(SAMPLED)
        } else {
            PLACES
        };
        for place in 0..places {
            let start = if all <= PLACES * SAMPLED {
                place * SAMPLED
            } else {
                let last = u128::from(all - SAMPLED);
                (last * u128::from(place) / u128::from(PLACES - 1)) as u64
            };
            let rows = start..(start + SAMPLED).min(all);
            let batch = self.table().read(&self.columns[2..], rows)?;
            let column = batch.column(0);
            let numbers = self.numbers(column)?;
            match self.kept(column, &numbers)? {
                None => visit(&numbers),
                Some(kept) => visit(&numbers.picked(&kept)),
            }
        }
        Ok(())
    }

    fn numbers(&self, column: &ArrayRef) -> Result<TypedVec, SourceError> {
        let numbers = numbers_of(column);
        let numbers = numbers.filter(|numbers| numbers.number_type() == self.number_type);
        numbers.ok_or_else(|| {
            let what = format!("{} is {}", self.columns[2], column.data_type());
            self.table().place().damaged(what)
        })
    }

    /// Returns the positions of rows that have a value; `None` if all have one.
    fn kept(
        &self,
        column: &ArrayRef,
        numbers: &TypedVec,
    ) -> Result<Option<Vec<usize>>, SourceError> {
        if self.zeros == Zeros::Entries {
            return match column.null_count() {
                0 => Ok(None),
                missing => {
                    let what = format!("{missing} rows have no {}", self.columns[2]);
                    Err(self.table().place().damaged(what))
                }
            };
        }
        let kept: Vec<usize> = with_numbers!(numbers, values => {
            let rows = values.iter().enumerate();
            let some = rows.filter(|(row, value)| is_some(**value) && column.is_valid(*row));
            some.map(|(row, _)| row).collect()
        });
        Ok((kept.len() < numbers.len()).then_some(kept))
    }

    async fn read_rows(&self, rows: Range<u64>, lie: Range<u64>) -> Result<CsrChunk, SourceError> {
        let place = self.table().place();
        let length = usize::try_from(lie.end - lie.start).unwrap_or(usize::MAX);
        let too_many = || place.too_large("a chunk", lie.end - lie.start, lie.end - lie.start);
        let mut indices: Vec<u32> = Vec::new();
        indices.try_reserve_exact(length).map_err(|_| too_many())?;
        let mut data = self.nothing()?;
        let mut counts = vec![0usize; (rows.end - rows.start) as usize];
        let mut seen = 0usize;
        if length > 0 {
            let columns = self.columns.each_ref().map(String::as_str);
            let mut reader = self.table().reader(&columns, lie.clone()).await?;
            while let Some(batch) = next(&mut reader).await? {
                let ids = [0, 1].map(|column| identifiers(batch.column(column)));
                let [Some(of_rows), Some(of_columns)] = ids else {
                    return Err(place.damaged(NEGATIVE));
                };
                let of_rows = of_rows.as_primitive::<UInt32Type>().values();
                let of_columns = of_columns.as_primitive::<UInt32Type>().values();
                if let Some(outside) = of_rows.iter().find(|row| !rows.contains(&u64::from(**row)))
                {
                    let (first, last) = (rows.start, rows.end - 1);
                    return Err(place.damaged(format!(
                        "where the rows of {first}–{last} should be, there is one of {outside}; {}",
                        Remedy::Verify
                    )));
                }
                self.check_columns(of_columns)?;
                seen += of_rows.len();
                let numbers = self.numbers(batch.column(2))?;
                let mut count = |row: u32| counts[(u64::from(row) - rows.start) as usize] += 1;
                match self.kept(batch.column(2), &numbers)? {
                    None => {
                        of_rows.iter().for_each(|&row| count(row));
                        indices.extend_from_slice(of_columns);
                        data.append(numbers);
                    }
                    Some(kept) => {
                        kept.iter().for_each(|&place| count(of_rows[place]));
                        indices.extend(kept.iter().map(|&place| of_columns[place]));
                        data.append(numbers.picked(&kept));
                    }
                }
                if !of_rows.is_sorted() {
                    return Err(place.damaged("its rows do not lie in their order"));
                }
            }
        }
        if seen != length {
            return Err(place.damaged(format!("{length} of its rows were read, and {seen} came")));
        }
        let mut indptr = Vec::with_capacity(counts.len() + 1);
        indptr.push(0);
        let mut before = 0;
        for count in counts {
            before += count;
            indptr.push(before);
        }
        Ok(CsrChunk {
            rows,
            indptr,
            indices: TypedVec::UInt32(indices),
            data,
            strays: 0,
        })
    }
}

impl StoredRows for &Entries {
    fn entry_bytes(self) -> u64 {
        2 * (4 + self.number_type.size() as u64) + EXPANDED_BYTES
    }

    fn step(self) -> u64 {
        self.starts.step()
    }

    fn offsets(self, rows: Range<u64>) -> Result<Vec<u64>, SourceError> {
        let (first, last) = (rows.start, rows.end);
        let offsets = self.starts.of(rows)?.unwrap_or_default();
        if offsets.len() as u64 == (last - first).saturating_add(1) {
            Ok(offsets)
        } else {
            let what = format!("it has no rows {first}–{last}");
            Err(self.table().place().damaged(what))
        }
    }

    /// Reads rows of the matrix, which are the rows of the table between two offsets.
    fn read(self, rows: Range<u64>, offsets: &[u64]) -> Result<CsrChunk, SourceError> {
        let lie = offsets[0]..offsets[offsets.len() - 1];
        let bytes = (lie.end - lie.start).saturating_mul(self.entry_bytes());
        if bytes > self.transposing.memory {
            let entries = lie.end - lie.start;
            return Err(self.table().place().too_large(
                format!("row {} with its {entries} entries", rows.start),
                bytes,
                bytes.saturating_mul(2),
            ));
        }
        let own = self.clone();
        finish(
            &self.table().path,
            async move { own.read_rows(rows, lie).await },
        )
    }
}

impl Matrix for Entries {
    fn n_rows(&self) -> u64 {
        self.starts.rows
    }

    fn prepare(&self, report: &(dyn Fn(u64) + Sync)) -> Result<(), SourceError> {
        if self.starts.are_in_order()? {
            Ok(())
        } else {
            self.transpose(report).map(|_| ())
        }
    }

    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        self.starts.of(rows)
    }

    fn entries_at_most(&self) -> Option<u64> {
        Some(self.at_most())
    }

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        self.sampled(visit)
    }

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        if !self.starts.are_in_order()? {
            return Ok(self.transpose(&|_| ())?.chunks(rows, budget));
        }
        Ok(row_chunks(self, rows, budget))
    }
}

fn is_some<T: bytemuck::Zeroable + PartialEq>(value: T) -> bool {
    value != T::zeroed()
}

/// Converts a column to numbers, ignoring nulls; `None` if its type is not numeric.
pub(crate) fn numbers_of(column: &ArrayRef) -> Option<TypedVec> {
    macro_rules! values {
        ($variant:ident, $arrow:ty) => {
            TypedVec::$variant(column.as_primitive::<$arrow>().values().to_vec())
        };
    }
    Some(match column.data_type() {
        DataType::Boolean => {
            let values = column.as_boolean().values().iter();
            TypedVec::Bool(values.map(u8::from).collect())
        }
        DataType::Int8 => values!(Int8, Int8Type),
        DataType::Int16 => values!(Int16, Int16Type),
        DataType::Int32 => values!(Int32, Int32Type),
        DataType::Int64 => values!(Int64, Int64Type),
        DataType::UInt8 => values!(UInt8, UInt8Type),
        DataType::UInt16 => values!(UInt16, UInt16Type),
        DataType::UInt32 => values!(UInt32, UInt32Type),
        DataType::UInt64 => values!(UInt64, UInt64Type),
        DataType::Float16 => values!(Float16, Float16Type),
        DataType::Float32 => values!(Float32, Float32Type),
        DataType::Float64 => values!(Float64, Float64Type),
        _ => return None,
    })
}
