//! Two-dimensional arrays read row by row: X and its layers, obsm, varm, obsp and varp.

mod dense;
mod dense_array;
mod entries;
mod newest;
mod position;
mod sparse;
mod strays;
mod sum;
mod tile;
mod tile_chunker;

use std::ops::Range;
use std::sync::Arc;

use super::joinids::Joinids;
use super::object::{self, Kind};
use super::tiledb::fault::REWRITE;
use super::tiledb::files::Folder;
use super::tiledb::{Array, Schema};
use crate::source::chunk::no_entries;
use crate::source::error::ErrorContext;
use crate::source::{
    ChunkBudget, Chunks, Layout, MatrixDescription, MatrixName, ScalarType, SourceError, TypedVec,
};
use dense::DenseMatrix;
pub(super) use dense_array::DenseArray;
use sparse::SparseMatrix;

/// Joinids of the rows and columns of a matrix.
#[derive(Clone)]
pub(super) struct Axes {
    /// The rows.
    pub rows: Arc<Joinids>,
    /// The columns.
    pub columns: Columns,
}

/// Columns of a matrix.
#[derive(Clone)]
pub(super) enum Columns {
    /// The rows of a frame. Entries of other joinids, which deleting a row leaves behind, are
    /// skipped.
    Joined(Arc<Joinids>),
    /// The columns of an embedding; an entry of any other column means damage.
    Counted(Arc<Joinids>),
}

impl Columns {
    /// Joinids of the columns.
    pub fn joinids(&self) -> &Joinids {
        match self {
            Columns::Joined(joinids) | Columns::Counted(joinids) => joinids,
        }
    }
}

/// A matrix of an experiment.
pub(super) enum StoredMatrix {
    Sparse(SparseMatrix),
    Dense(DenseMatrix),
    Absent,
}

impl StoredMatrix {
    /// Opens the array in a folder.
    pub fn open(folder: &Folder, axes: Axes) -> Result<Self, SourceError> {
        match object::kind(folder)? {
            Kind::SparseArray | Kind::DenseArray => StoredMatrix::of(object::array(folder)?, axes),
            Kind::Missing => Err(object::missing(folder)),
            _ => Err(folder.place().unsupported(
                "an object that is not an array, where a matrix is expected,",
                REWRITE,
            )),
        }
    }

    /// Creates a matrix from an open array.
    pub fn of(array: Array, axes: Axes) -> Result<Self, SourceError> {
        if array.schema.dense {
            DenseMatrix::open(array, axes).map(StoredMatrix::Dense)
        } else {
            SparseMatrix::open(array, axes).map(StoredMatrix::Sparse)
        }
    }

    /// How the matrix is stored.
    pub fn layout(&self) -> Layout {
        match self {
            StoredMatrix::Sparse(_) => Layout::Coo,
            StoredMatrix::Dense(_) => Layout::Dense,
            StoredMatrix::Absent => Layout::Absent,
        }
    }

    /// Stored type of the values.
    pub fn number_type(&self) -> ScalarType {
        match self {
            StoredMatrix::Sparse(matrix) => matrix.number_type(),
            StoredMatrix::Dense(matrix) => matrix.number_type(),
            StoredMatrix::Absent => ScalarType::Float32,
        }
    }

    /// Whether anything was ever written.
    pub fn is_written(&self) -> bool {
        match self {
            StoredMatrix::Sparse(matrix) => matrix.cells() > 0,
            StoredMatrix::Dense(matrix) => matrix.is_written(),
            StoredMatrix::Absent => false,
        }
    }

    /// The rows and columns of a dense array that nobody has, which are passed over.
    pub fn of_nobody(&self) -> [u64; 2] {
        match self {
            StoredMatrix::Dense(matrix) => matrix.of_nobody(),
            StoredMatrix::Sparse(_) | StoredMatrix::Absent => [0, 0],
        }
    }

    /// Whether there may be entries whose joinid is not in a frame, which are skipped.
    pub fn may_have_strays(&self) -> bool {
        match self {
            StoredMatrix::Sparse(matrix) => !matrix.is_settled(),
            StoredMatrix::Dense(_) | StoredMatrix::Absent => false,
        }
    }

    /// Number of stored entries, if the headers determine it.
    pub fn entries(&self) -> Option<u64> {
        match self {
            StoredMatrix::Sparse(matrix) => matrix.entries(),
            StoredMatrix::Dense(_) => None,
            StoredMatrix::Absent => Some(0),
        }
    }

    /// See [`crate::source::Matrix::entries_at_most`].
    pub fn entries_at_most(&self) -> Option<u64> {
        match self {
            StoredMatrix::Sparse(matrix) => Some(matrix.cells()),
            StoredMatrix::Dense(_) => None,
            StoredMatrix::Absent => Some(0),
        }
    }

    /// Returns the entry of the matrix in a description.
    pub fn described(&self, name: MatrixName, object: &str) -> MatrixDescription {
        MatrixDescription {
            name,
            object: object.to_string(),
            layout: self.layout(),
            number_type: self.number_type(),
            entries: self.entries(),
        }
    }

    /// See [`crate::source::Matrix::offsets`].
    pub fn offsets(&self, rows: Range<u64>) -> Option<Vec<u64>> {
        match self {
            StoredMatrix::Absent => Some(rows.chain([0]).map(|_| 0).collect()),
            StoredMatrix::Sparse(_) | StoredMatrix::Dense(_) => None,
        }
    }

    /// See [`crate::source::Matrix::sample`].
    pub fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        match self {
            StoredMatrix::Sparse(matrix) => matrix.sample(visit),
            StoredMatrix::Dense(matrix) => matrix.sample(visit),
            StoredMatrix::Absent => Ok(()),
        }
    }

    /// See [`crate::source::Matrix::chunks`].
    pub fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        match self {
            StoredMatrix::Sparse(matrix) => matrix.chunks(rows, budget),
            StoredMatrix::Dense(matrix) => Ok(matrix.chunks(rows, budget)),
            StoredMatrix::Absent => Ok(no_entries(rows, budget)),
        }
    }
}

/// Returns the index of the attribute of a two-dimensional array of numbers, and its type.
fn number_attribute(
    schema: &Schema,
    place: &ErrorContext,
) -> Result<(usize, ScalarType), SourceError> {
    let two = schema.dimensions.len() == 2;
    if !two
        || !schema
            .dimensions
            .iter()
            .all(|dimension| dimension.is_int64())
    {
        return Err(place.unsupported(
            "an array that does not have two dimensions of int64",
            REWRITE,
        ));
    }
    let number = schema
        .attributes
        .iter()
        .position(|attribute| attribute.name == DATA);
    let Some(number) = number else {
        return Err(place.damaged(format!("it has no attribute {DATA:?}")));
    };
    let attribute = &schema.attributes[number];
    match attribute.datatype {
        super::tiledb::datatype::Datatype::Number(number_type)
            if attribute.values == Some(1) && attribute.enumeration.is_none() =>
        {
            Ok((number, number_type))
        }
        other => Err(place.unsupported(format!("a matrix of {other}"), REWRITE)),
    }
}

/// Name of the attribute in all SOMA arrays.
const DATA: &str = "soma_data";
