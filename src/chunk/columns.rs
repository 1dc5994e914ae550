//! Maps the columns of an input's matrix to those of the dataset.

use super::{ChunkError, CooSpec};
use crate::plan::GeneMap;
use crate::source::{CsrChunk, TypedVec};
use crate::with_numbers;

/// Maps the columns of an input's matrix to those of the dataset.
#[derive(Debug, Clone, Copy)]
pub enum ColumnMap<'a> {
    /// Positions are unchanged.
    Same,
    /// Positions are shifted by this offset.
    Shifted(u32),
    /// New position of each column; [`ColumnMap::DROPPED`] if the dataset lacks the column.
    Moved(&'a [u32]),
}

impl<'a> From<&'a GeneMap> for ColumnMap<'a> {
    fn from(map: &'a GeneMap) -> Self {
        match map {
            GeneMap::Same => ColumnMap::Same,
            GeneMap::Moved(places) => ColumnMap::Moved(places),
        }
    }
}

impl ColumnMap<'_> {
    /// Marks a column that the dataset lacks.
    pub const DROPPED: u32 = GeneMap::DROPPED;

    /// Returns the chunk with its columns mapped to those of the dataset; `None` if nothing
    /// changes.
    pub(super) fn applied(
        &self,
        chunk: &CsrChunk,
        spec: &CooSpec<'_>,
    ) -> Result<Option<CsrChunk>, ChunkError> {
        if let ColumnMap::Same = self {
            return Ok(None);
        }
        let columns = super::coo::checked_columns(chunk, spec)?;
        // The indices have been checked against the input's columns.
        let place = |column: i64| match self {
            ColumnMap::Same => column as u32,
            ColumnMap::Shifted(by) => by + column as u32,
            ColumnMap::Moved(places) => places[column as usize],
        };
        let places: Vec<u32> = columns.into_iter().map(place).collect();
        if !places.contains(&Self::DROPPED) {
            return Ok(Some(CsrChunk {
                indices: TypedVec::UInt32(places),
                ..chunk.clone()
            }));
        }
        let kept: Vec<usize> = (0..places.len())
            .filter(|&entry| places[entry] != Self::DROPPED)
            .collect();
        let ends = chunk.indptr.iter();
        Ok(Some(CsrChunk {
            rows: chunk.rows.clone(),
            indptr: ends
                .map(|&end| kept.partition_point(|&entry| entry < end))
                .collect(),
            indices: TypedVec::UInt32(kept.iter().map(|&entry| places[entry]).collect()),
            data: taken(&chunk.data, &kept),
            strays: chunk.strays,
        }))
    }
}

/// Returns the numbers at these positions.
fn taken(numbers: &TypedVec, places: &[usize]) -> TypedVec {
    let number_type = numbers.number_type();
    let size = number_type.size();
    let mut kept = TypedVec::zeroed(number_type, places.len()).expect("fewer than there were");
    with_numbers!(numbers, values => {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        for (to, &place) in kept.as_bytes_mut().chunks_exact_mut(size).zip(places) {
            to.copy_from_slice(&bytes[place * size..(place + 1) * size]);
        }
    });
    kept
}
