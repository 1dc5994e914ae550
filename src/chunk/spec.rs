//! Parameters for converting chunks to rows.

use std::path::PathBuf;

use super::{GeneIdentity, IdHash};
use crate::plan::IdType;
use crate::source::Reindex;
use crate::survey::ValueType;

/// Parameters for converting chunks of one input to rows.
#[derive(Debug, Clone)]
pub struct CooSpec<'a> {
    /// Path of the input, for messages.
    pub path: PathBuf,
    /// Name of the matrix, for messages.
    pub matrix: String,
    /// Identifier of the input's first cell in the dataset.
    pub first_cell: u64,
    /// Number of genes of the input.
    pub genes: u64,
    /// Positions of these genes in the dataset.
    pub columns: &'a Reindex,
    /// Number of genes of the dataset.
    pub dataset_genes: u64,
    /// Type of the cell identifiers.
    pub cell_type: IdType,
    /// Type of the gene identifiers.
    pub gene_type: IdType,
    /// Type of the values.
    pub value_type: ValueType,
    /// Hash of each gene's identifier, by its number in the dataset.
    pub gene_hashes: ColumnHashes<'a>,
    /// Identity of each gene by its number in the dataset, if the contents of cells are to be
    /// hashed.
    pub identities: Option<&'a [GeneIdentity]>,
}

/// Hashes of the identifiers of consecutive columns: all, or those of one input.
#[derive(Debug, Clone, Copy)]
pub struct ColumnHashes<'a> {
    /// Number of the first column in the dataset.
    pub first: u32,
    /// Hashes of the columns from `first` on.
    pub own: &'a [IdHash],
}

impl ColumnHashes<'_> {
    /// Returns the hash of a column by its number in the dataset.
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
