//! Embeddings: arrays, sparse matrices and data frames with one row per cell or gene.

use std::ops::Range;

use super::column::{ColumnReader, Opened};
use super::frame::UNLISTED;
use super::matrix;
use super::members::Members;
use crate::source::error::ErrorContext;
use crate::source::hdf5::matrix::StoredMatrix;
use crate::source::hdf5::{Element, Hdf5File, Kind, NumberArray};
use crate::source::{ChunkBudget, ColumnKind, Embedding, Note, ScalarType, SourceError, TypedVec};
use crate::with_numbers;

/// Maximum number of columns of an embedding. Anything wider is not an embedding but a matrix of
/// another kind of features.
const WIDEST: u64 = 1 << 16;

/// An embedding, opened and checked to have as many rows as its axis.
pub(super) struct EmbeddingReader {
    place: ErrorContext,
    width: u64,
    number_type: ScalarType,
    columns: Option<Vec<String>>,
    values: Values,
    left_out: Vec<Note>,
}

enum Values {
    Array(NumberArray),
    Sparse(Box<StoredMatrix>),
    Columns(Vec<ColumnReader>),
}

/// Result of opening a member of obsm or varm.
pub(super) enum OpenedEmbedding {
    /// The embedding, and how it is converted, if it is.
    Embedding(EmbeddingReader, Option<&'static str>),
    LeftOut(String),
}

impl EmbeddingReader {
    /// Opens `object`, which must have `rows` rows.
    pub fn open(file: &Hdf5File, object: &str, rows: u64) -> Result<OpenedEmbedding, SourceError> {
        let opened = Self::open_any_width(file, object, rows)?;
        let OpenedEmbedding::Embedding(reader, _) = &opened else {
            return Ok(opened);
        };
        if (1..=WIDEST).contains(&reader.width) {
            return Ok(opened);
        }
        Ok(OpenedEmbedding::LeftOut(format!(
            "lists of {} numbers have no place in a table (1 to {WIDEST} have)",
            reader.width
        )))
    }

    fn open_any_width(
        file: &Hdf5File,
        object: &str,
        rows: u64,
    ) -> Result<OpenedEmbedding, SourceError> {
        let left_out = |reason: String| Ok(OpenedEmbedding::LeftOut(reason));
        let place = file.place(object);
        if file.kind(object)? == Kind::Dataset {
            let header = file.array(object)?;
            if !matches!(header.element, Element::Number { .. }) {
                return left_out("an embedding must be of numbers".into());
            }
            if !(1..=2).contains(&header.shape.len()) {
                return left_out(format!(
                    "an array of {} dimensions has no place in a table",
                    header.shape.len()
                ));
            }
            let array = file.numbers(object)?;
            check_rows(&place, array.rows(), rows)?;
            let width = array.shape().get(1).copied().unwrap_or(1);
            let number_type = array.number_type();
            let reader = EmbeddingReader {
                place,
                width,
                number_type,
                columns: None,
                values: Values::Array(array),
                left_out: Vec::new(),
            };
            return Ok(OpenedEmbedding::Embedding(reader, None));
        }
        match matrix::encoding(file, object)?.as_deref() {
            Some("dataframe") => Self::open_frame(file, object, rows),
            Some("csr_matrix" | "csr" | "csc_matrix" | "csc") => {
                let shape = matrix::declared_shape(file, object)?;
                let width = match shape.as_deref() {
                    Some(&[_, width]) => u64::try_from(width).ok(),
                    _ => None,
                };
                let Some(width) = width else {
                    return Err(place.damaged("its shape is not declared"));
                };
                let matrix = matrix::open(file, object, [rows, width])?;
                let reader = EmbeddingReader {
                    place,
                    width,
                    number_type: matrix.number_type(),
                    columns: None,
                    values: Values::Sparse(Box::new(matrix)),
                    left_out: Vec::new(),
                };
                Ok(OpenedEmbedding::Embedding(
                    reader,
                    Some("from a sparse matrix"),
                ))
            }
            Some(known @ ("awkward-array" | "dict")) => left_out(format!(
                "an embedding of the kind {known:?} has no place in a table"
            )),
            other => Err(place.unsupported(
                format!("an embedding of the kind {:?}", other.unwrap_or("")),
                "rewrite the file with a current anndata",
            )),
        }
    }

    fn open_frame(
        file: &Hdf5File,
        object: &str,
        rows: u64,
    ) -> Result<OpenedEmbedding, SourceError> {
        let members = Members::of(file, object)?;
        let names = members.columns;
        let unlisted = members.unlisted.into_iter();
        let mut readers = Vec::new();
        for name in &names {
            let column = match ColumnReader::open(file, object, name, rows)? {
                Opened::Column(column) => column,
                Opened::LeftOut(reason) => {
                    return Ok(OpenedEmbedding::LeftOut(format!(
                        "its column {name:?}: {reason}"
                    )));
                }
            };
            let ColumnKind::Number(_) = column.kind() else {
                return Ok(OpenedEmbedding::LeftOut(format!(
                    "its column {name:?} is not of plain numbers"
                )));
            };
            readers.push(column);
        }
        let types = readers.iter().filter_map(|column| match column.kind() {
            ColumnKind::Number(number_type) => Some(number_type),
            _ => None,
        });
        let types: Vec<ScalarType> = types.collect();
        // Columns of the same type keep it; otherwise all become float64, if that is exact.
        let number_type = match types.as_slice() {
            [] => ScalarType::Float32,
            [first, rest @ ..] if rest.iter().all(|other| other == first) => *first,
            _ => ScalarType::Float64,
        };
        let reader = EmbeddingReader {
            place: file.place(object),
            width: names.len() as u64,
            number_type,
            columns: Some(names),
            values: Values::Columns(readers),
            left_out: unlisted
                .map(|name| Note::new(format!("{object}/{name}"), UNLISTED))
                .collect(),
        };
        Ok(OpenedEmbedding::Embedding(
            reader,
            Some("from a data frame"),
        ))
    }

    /// Members of a data frame that are not columns.
    pub fn left_out(&self) -> &[Note] {
        &self.left_out
    }

    /// Returns the entry of the embedding in a description.
    pub fn described(&self, name: &str) -> Embedding {
        Embedding {
            name: name.to_string(),
            width: self.width,
            number_type: self.number_type,
            columns: self.columns.clone(),
        }
    }

    /// See [`crate::source::CellSource::embedding`].
    pub fn read(&self, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        match &self.values {
            Values::Array(array) => array.read(rows),
            Values::Sparse(matrix) => self.read_sparse(matrix, rows),
            Values::Columns(columns) => self.read_columns(columns, rows),
        }
    }

    fn zeros(&self, rows: &Range<u64>) -> Result<(TypedVec, usize), SourceError> {
        let width = usize::try_from(self.width).ok();
        let length = usize::try_from(rows.end - rows.start).ok();
        width
            .zip(length)
            .and_then(|(width, length)| Some((width, length.checked_mul(width)?)))
            .and_then(|(width, length)| Some((TypedVec::zeroed(self.number_type, length)?, width)))
            .ok_or_else(|| self.place.damaged("it is absurdly large"))
    }

    fn read_sparse(
        &self,
        matrix: &StoredMatrix,
        rows: Range<u64>,
    ) -> Result<TypedVec, SourceError> {
        let (mut numbers, width) = self.zeros(&rows)?;
        let budget = ChunkBudget {
            bytes: 8 << 20,
            cells: u64::MAX,
        };
        let size = self.number_type.size();
        for chunk in matrix.chunks(rows.clone(), budget)? {
            let chunk = chunk?.read()?;
            let columns = chunk.indices.to_i64();
            let columns = columns.map_err(|_| self.place.damaged("an index is absurdly large"))?;
            let out = numbers.as_bytes_mut();
            // For each column, the last row with an entry, counted from one.
            let mut filled = vec![0u64; width];
            with_numbers!(&chunk.data, values => {
                let values: &[u8] = bytemuck::cast_slice(values);
                for (row, ends) in (chunk.rows.start - rows.start..).zip(chunk.indptr.windows(2)) {
                    for entry in ends[0]..ends[1] {
                        let column = usize::try_from(columns[entry]).ok().filter(|&c| c < width);
                        let column = column.ok_or_else(|| self.place.damaged(format!(
                            "an index names column {}, but there are {width}", columns[entry]
                        )))?;
                        if std::mem::replace(&mut filled[column], row + 1) == row + 1 {
                            return Err(self.place.unsupported(
                                format!("a second entry for row {} and column {column}", rows.start + row),
                                "add up its duplicate entries (sum_duplicates() in Python)",
                            ));
                        }
                        let at = (row as usize * width + column) * size;
                        out[at..at + size].copy_from_slice(&values[entry * size..][..size]);
                    }
                }
            });
        }
        Ok(numbers)
    }

    fn read_columns(
        &self,
        columns: &[ColumnReader],
        rows: Range<u64>,
    ) -> Result<TypedVec, SourceError> {
        let (mut numbers, width) = self.zeros(&rows)?;
        let size = self.number_type.size();
        let out = numbers.as_bytes_mut();
        for (number, column) in columns.iter().enumerate() {
            let mut values = column.read_numbers(rows.clone())?;
            if values.number_type() != self.number_type {
                values = TypedVec::Float64(values.to_f64().map_err(|row| {
                    self.place.unsupported(
                        format!(
                            "the value in row {} of column {number}, which float64 does not hold,",
                            rows.start + row as u64
                        ),
                        "store its columns as one type",
                    )
                })?);
            }
            for (row, value) in values.as_bytes_mut().chunks_exact(size).enumerate() {
                let at = (row * width + number) * size;
                out[at..at + size].copy_from_slice(value);
            }
        }
        Ok(numbers)
    }
}

fn check_rows(place: &ErrorContext, found: u64, expected: u64) -> Result<(), SourceError> {
    if found == expected {
        return Ok(());
    }
    Err(place.damaged(format!("it has {found} rows where {expected} are expected")))
}
