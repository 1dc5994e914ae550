//! How chunks become rows.

use std::path::PathBuf;

use super::{ColumnMap, GeneIdentity, IdHash};
use crate::plan::IdType;
use crate::survey::ValueType;

/// How chunks of one input become rows.
#[derive(Debug, Clone)]
pub struct CooSpec<'a> {
    /// The input, for messages.
    pub path: PathBuf,
    /// The matrix, for messages.
    pub matrix: String,
    /// The dataset's identifier of the input's first cell.
    pub first_cell: u64,
    /// Genes of the input.
    pub genes: u64,
    /// Where they are in the dataset, and how many that has.
    pub columns: ColumnMap<'a>,
    pub dataset_genes: u64,
    pub cell_type: IdType,
    pub gene_type: IdType,
    pub value_type: ValueType,
    /// The hash of each gene's identifier, by its number in the dataset.
    pub gene_hashes: ColumnHashes<'a>,
    /// What each gene is known by, likewise, where it is asked what cells hold.
    pub identities: Option<&'a [GeneIdentity]>,
}

/// The hashes of the identifiers of columns: of all, or of those from one on that an input has.
#[derive(Debug, Clone, Copy)]
pub struct ColumnHashes<'a> {
    /// The number in the dataset of the first.
    pub first: u32,
    pub own: &'a [IdHash],
}

impl ColumnHashes<'_> {
    /// The hash of a column by its number in the dataset.
    pub(super) fn of(&self, column: usize) -> IdHash {
        let place = column.wrapping_sub(self.first as usize);
        self.own.get(place).copied().unwrap_or(IdHash::NOBODY)
    }
}

impl<'a> From<&'a [IdHash]> for ColumnHashes<'a> {
    fn from(own: &'a [IdHash]) -> Self {
        ColumnHashes { first: 0, own }
    }
}

impl<'a> From<&'a Vec<IdHash>> for ColumnHashes<'a> {
    fn from(own: &'a Vec<IdHash>) -> Self {
        Self::from(&own[..])
    }
}
