//! Embeddings: the arrays of obsm and varm. tiledbsoma writes them as sparse arrays, without the
//! zeros.

use std::ops::Range;
use std::sync::Arc;

use super::joinids::Joinids;
use super::matrix::{Axes, Columns, StoredMatrix};
use super::object::{self, Kind};
use super::tiledb::Array;
use super::tiledb::fault::REWRITE;
use super::tiledb::files::Folder;
use crate::remedy::Remedy;
use crate::source::error::ErrorContext;
use crate::source::{ChunkBudget, Embedding, SourceError, TypedVec};
use crate::with_numbers;

/// An opened embedding.
pub(super) struct EmbeddingReader {
    place: ErrorContext,
    matrix: StoredMatrix,
    width: u64,
}

/// Result of opening a member of obsm or varm.
pub(super) enum OpenedEmbedding {
    Embedding(Box<EmbeddingReader>),
    LeftOut(String),
}

/// Metadata key in which tiledbsoma versions before 1.15 store the last column in use.
const LAST_COLUMN: &str = "soma_dim_1_domain_upper";

/// Arrays with more columns than this are refused: either they are not embeddings or their width is
/// unknown.
const WIDEST: u64 = 1 << 20;

impl EmbeddingReader {
    /// Opens the array in a folder; `rows` are the joinids of its rows. Leaves out anything that is
    /// not an embedding.
    pub fn open(folder: &Folder, rows: &Arc<Joinids>) -> Result<OpenedEmbedding, SourceError> {
        let left_out = |reason: &str| Ok(OpenedEmbedding::LeftOut(reason.into()));
        match object::kind(folder)? {
            Kind::SparseArray | Kind::DenseArray => {}
            Kind::DataFrame => return left_out("a data frame has no place among embeddings"),
            Kind::Missing => return Err(object::missing(folder)),
            _ => return left_out("it is not an array"),
        }
        let array = object::array(folder)?;
        let place = array.place();
        if array.schema.dimensions.len() != 2 {
            return Ok(OpenedEmbedding::LeftOut(format!(
                "an array of {} dimensions has no place in a table",
                array.schema.dimensions.len()
            )));
        }
        let width = width(&array);
        if width == 0 {
            return left_out("it has no columns");
        }
        if width > WIDEST {
            return Err(place.unsupported(
                format!("an embedding of {width} columns"),
                [skip(folder), Remedy::Other(REWRITE.into())],
            ));
        }
        let axes = Axes {
            rows: rows.clone(),
            columns: Columns::Counted(Arc::new(Joinids::counted(width))),
        };
        Ok(OpenedEmbedding::Embedding(Box::new(EmbeddingReader {
            place,
            matrix: StoredMatrix::of(array, axes)?,
            width,
        })))
    }

    /// Whether there may be entries whose row is not in the frame, which are skipped.
    pub fn may_have_strays(&self) -> bool {
        self.matrix.may_have_strays()
    }

    /// Returns the entry of the embedding in a description.
    pub fn described(&self, name: &str) -> Embedding {
        Embedding {
            name: name.to_string(),
            width: self.width,
            number_type: self.matrix.number_type(),
            columns: None,
        }
    }

    /// See [`crate::source::CellSource::embedding`].
    pub fn read(&self, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        // At most `WIDEST`.
        let width = self.width as usize;
        let size = self.matrix.number_type().size();
        let length = usize::try_from(rows.end - rows.start)
            .ok()
            .and_then(|rows| rows.checked_mul(width));
        let mut numbers = length
            .and_then(|length| TypedVec::zeroed(self.matrix.number_type(), length))
            .ok_or_else(|| self.place.damaged("it is absurdly large"))?;
        let budget = ChunkBudget {
            bytes: 8 << 20,
            cells: u64::MAX,
        };
        for chunk in self.matrix.chunks(rows.clone(), budget)? {
            let chunk = chunk?.read()?;
            let TypedVec::UInt32(columns) = &chunk.indices else {
                return Err(self.place.damaged("its columns are not counted in 32 bits"));
            };
            let values: &[u8] = with_numbers!(&chunk.data, values => bytemuck::cast_slice(values));
            let out = numbers.as_bytes_mut();
            // For each column, the last row with an entry, counted from one.
            let mut filled = vec![0u64; width];
            for (row, ends) in (chunk.rows.start - rows.start..).zip(chunk.indptr.windows(2)) {
                for entry in ends[0]..ends[1] {
                    let column = columns[entry] as usize;
                    if std::mem::replace(&mut filled[column], row + 1) == row + 1 {
                        return Err(self.place.damaged(format!(
                            "it has two entries for row {} and column {column}",
                            rows.start + row
                        )));
                    }
                    let at = (row as usize * width + column) * size;
                    out[at..at + size].copy_from_slice(&values[entry * size..][..size]);
                }
            }
        }
        Ok(numbers)
    }
}

/// Returns the number of columns. tiledbsoma stores it in the array since 1.15 and in its metadata
/// since 1.5. Older arrays end at the last column that was written, so trailing columns of zeros
/// are lost. (tiledbsoma itself ignores that metadata and divides the number of cells by the number
/// of rows, which gives too few columns if cells are missing and the division happens to come out
/// even.)
fn width(array: &Array) -> u64 {
    let after = |last: i64| u64::try_from(last).map_or(0, |last| last.saturating_add(1));
    if let Some(current) = &array.schema.current_domain {
        return current.get(1).map_or(0, |range| after(range[1]));
    }
    if array.schema.dense
        && let Some(range) = array.schema.dimensions[1].domain
    {
        return after(range[1]);
    }
    if let Some(last) = array
        .metadata
        .get(LAST_COLUMN)
        .and_then(super::tiledb::metadata::MetadataValue::integer)
    {
        return after(last);
    }
    let last = array
        .fragments
        .iter()
        .filter_map(|fragment| Some(fragment.domain.as_ref()?.get(1)?[1]))
        .max();
    last.map_or(0, after)
}

/// How an object of a measurement is left out.
fn skip(folder: &Folder) -> Remedy {
    match folder.object().rsplit_once('/') {
        Some((parent, name)) => {
            let part = parent.rsplit_once('/').map_or(parent, |(_, part)| part);
            let part = if part == "X" { "layers" } else { part };
            Remedy::skip(part.to_string(), name)
        }
        None => Remedy::Skip {
            part: folder.object().to_string().into(),
            name: None,
        },
    }
}
