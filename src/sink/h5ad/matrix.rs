//! Compressed sparse matrices: three arrays of a group.

use std::sync::{Mutex, PoisonError};

use crate::sink::hdf5::{ArrayOptions, ArrayWriter, Element, Filters, Group};
use crate::sink::{Encode, MatrixSink, Rows, SinkError, WriteChunk};
use crate::source::{ScalarType, TypedVec};

/// Types of the arrays of a matrix.
#[derive(Debug, Clone, Copy)]
pub(in crate::sink) struct Parts {
    pub data: ScalarType,
    pub indices: ScalarType,
    pub indptr: ScalarType,
}

impl Parts {
    /// As scipy has them: 32 bits where that is enough for `columns` and for at most `entries`.
    pub fn anndata(data: ScalarType, columns: u64, entries: u64) -> Self {
        let narrowest = |most: u64| match i32::try_from(most) {
            Ok(_) => ScalarType::Int32,
            Err(_) => ScalarType::Int64,
        };
        Parts {
            data,
            indices: narrowest(columns),
            indptr: narrowest(entries),
        }
    }
}

/// A matrix that is being written.
pub(in crate::sink) struct CompressedMatrix {
    parts: Parts,
    data: ArrayWriter,
    indices: ArrayWriter,
    indptr: ArrayWriter,
    /// Entries of all chunks that were taken.
    entries: Mutex<u64>,
}

impl CompressedMatrix {
    /// Begins a matrix in a group.
    pub fn create(group: &Group, parts: Parts, filters: Filters) -> Result<Self, SinkError> {
        let array = |name: &str, number_type| {
            let options = ArrayOptions {
                element: Element::Number(number_type),
                width: None,
                filters,
                kind: ["", ""],
            };
            group.array(name, options)
        };
        let indptr = array("indptr", parts.indptr)?;
        let first = positions(parts.indptr, std::iter::once(0));
        indptr.push(&mut first.map_err(|problem| indptr.error(problem))?)?;
        Ok(CompressedMatrix {
            parts,
            data: array("data", parts.data)?,
            indices: array("indices", parts.indices)?,
            indptr,
            entries: Mutex::new(0),
        })
    }
}

/// Positions in 32 bits or in 64.
///
/// # Errors
/// If one does not fit: the matrix has more entries, or columns, than [`Parts`] were chosen for.
fn positions(number_type: ScalarType, all: impl Iterator<Item = u64>) -> Result<TypedVec, String> {
    fn of<T: TryFrom<u64>>(all: impl Iterator<Item = u64>) -> Result<Vec<T>, String> {
        all.map(|position| {
            let fits = T::try_from(position);
            fits.map_err(|_| format!("the position {position} does not fit into its type"))
        })
        .collect()
    }
    Ok(match number_type {
        ScalarType::Int32 => TypedVec::Int32(of(all)?),
        _ => TypedVec::Int64(of(all)?),
    })
}

impl MatrixSink for CompressedMatrix {
    fn value_type(&self) -> ScalarType {
        self.parts.data
    }

    fn take<'a>(&'a self, rows: Rows) -> Result<Encode<'a>, SinkError> {
        let start = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            let start = *entries;
            *entries += rows.indices.len() as u64;
            start
        };
        Ok(Box::new(move || {
            let ends = rows.indptr.iter().skip(1).map(|&end| start + end as u64);
            let mut ends =
                positions(self.parts.indptr, ends).map_err(|problem| self.indptr.error(problem))?;
            let mut data = rows.data;
            let values = self.data.piece(start, data.as_bytes_mut())?;
            drop(data);
            let indices = rows.indices.into_iter().map(u64::from);
            let mut indices = positions(self.parts.indices, indices)
                .map_err(|problem| self.indices.error(problem))?;
            let columns = self.indices.piece(start, indices.as_bytes_mut())?;
            Ok(Box::new(move || {
                self.indptr.push(&mut ends)?;
                self.data.write(values)?;
                self.indices.write(columns)
            }) as WriteChunk<'a>)
        }))
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        self.indptr.finish()?;
        self.data.finish()?;
        self.indices.finish()?;
        Ok(())
    }
}
