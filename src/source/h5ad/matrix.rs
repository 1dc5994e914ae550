//! Opens matrices of an AnnData according to their encoding.

use crate::source::hdf5::matrix::{CompressedMatrix, DenseMatrix, StoredMatrix, TransposedMatrix};
use crate::source::hdf5::{Attribute, Hdf5File, Kind};
use crate::source::{MatrixDescription, MatrixName, SourceError};

/// Opens the matrix `object` of `shape` (rows × columns). A missing one is
/// [`StoredMatrix::Absent`].
pub(super) fn open(
    file: &Hdf5File,
    object: &str,
    shape: [u64; 2],
) -> Result<StoredMatrix, SourceError> {
    let place = file.place(object);
    let encoding = |file: &Hdf5File| encoding(file, object);
    match file.kind(object)? {
        Kind::Missing => Ok(StoredMatrix::Absent),
        Kind::Dataset if encoding(file)?.as_deref() == Some("null") => Ok(StoredMatrix::Absent),
        Kind::Dataset => DenseMatrix::open(file, object, shape).map(StoredMatrix::Dense),
        Kind::Group => match encoding(file)?.as_deref() {
            Some("csr_matrix" | "csr") => {
                check_shape(file, object, shape)?;
                CompressedMatrix::open(file, object, shape[0]).map(StoredMatrix::Rows)
            }
            Some("csc_matrix" | "csc") => {
                check_shape(file, object, shape)?;
                let columns = CompressedMatrix::open(file, object, shape[1])?;
                let options = file.transpose_options().clone();
                Ok(StoredMatrix::Columns(TransposedMatrix::new(
                    columns, shape, options,
                )))
            }
            Some(other) => Err(place.unsupported(
                format!("a matrix of the kind {other:?}"),
                "rewrite it as a CSR, CSC or dense matrix",
            )),
            None => Err(place.damaged("it is a group without the attribute \"encoding-type\"")),
        },
        Kind::Compound | Kind::Other => Err(place.damaged("it is neither a group nor a dataset")),
    }
}

/// Returns the entry of a matrix in a description.
pub(super) fn described(
    name: MatrixName,
    object: &str,
    matrix: &StoredMatrix,
) -> MatrixDescription {
    MatrixDescription {
        name,
        object: object.to_string(),
        layout: matrix.layout(),
        number_type: matrix.number_type(),
        entries: matrix.entries(),
    }
}

/// Returns the encoding of an object, from the current attribute or the one of h5sparse.
pub(super) fn encoding(file: &Hdf5File, object: &str) -> Result<Option<String>, SourceError> {
    for name in ["encoding-type", "h5sparse_format"] {
        if let Some(encoding) = file.text_attribute(object, name)? {
            return Ok(Some(encoding));
        }
    }
    Ok(None)
}

/// Returns the shape declared by the group of a sparse matrix, if it declares one.
pub(super) fn declared_shape(
    file: &Hdf5File,
    object: &str,
) -> Result<Option<Vec<i64>>, SourceError> {
    for name in ["shape", "h5sparse_shape"] {
        let Some(attribute) = file.attribute(object, name)? else {
            continue;
        };
        return match (attribute.integers(), &attribute) {
            (Some(shape), _) => Ok(Some(shape)),
            (None, Attribute::Number(_)) => {
                let problem = format!("its attribute {name:?} is not of whole numbers");
                Err(file.place(object).damaged(problem))
            }
            (None, _) => Ok(None),
        };
    }
    Ok(None)
}

fn check_shape(file: &Hdf5File, object: &str, shape: [u64; 2]) -> Result<(), SourceError> {
    match declared_shape(file, object)? {
        Some(declared)
            if !declared
                .iter()
                .map(|&n| u64::try_from(n).ok())
                .eq(shape.map(Some)) =>
        {
            Err(file.place(object).damaged(format!(
                "its shape is {declared:?}, where {} × {} is expected",
                shape[0], shape[1]
            )))
        }
        _ => Ok(()),
    }
}
