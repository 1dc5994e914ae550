//! Options of a conversion.

use serde::{Deserialize, Serialize};

use super::{Compression, Dtypes, GeneKey, IdVersions, Join};
use crate::survey::ValueType;

/// Options of a conversion.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Family of types of the expression table.
    pub dtypes: Dtypes,
    /// Forced type of the values; values that do not fit are refused.
    pub value_type: Option<ValueType>,
    /// Compression of the tables of non-zeros.
    pub compression: Compression,
    /// Maximum number of rows of a fragment of the expression table (exceeded if a single cell has
    /// more).
    pub fragment_rows: u64,
    /// How the genes of several inputs are joined.
    pub join: Join,
    /// The key by which genes are joined; `None` for stable identifiers if all inputs have them,
    /// otherwise gene names.
    pub gene_key: Option<GeneKey>,
    /// Whether genes are joined with or without the versions of their identifiers.
    pub id_versions: IdVersions,
    /// How the columns, layers and embeddings of cells are joined.
    pub obs_join: Join,
    /// How the columns and embeddings of genes are joined.
    pub var_join: Join,
    /// What to do about cells of two inputs that have the same identifier.
    pub duplicate_cells: Duplicates,
    /// What to do about inputs that occur twice.
    pub duplicate_sources: Duplicates,
    /// What to do about inputs whose values are on different scales.
    pub mixed_scales: MixedScales,
    /// What to do about cells that another input or the dataset has under other names.
    pub same_counts: SameCounts,
    /// Whether the types of the dataset that is appended to may be widened.
    pub widening: Widening,
}

/// What to do if the types of a dataset do not hold what is appended to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Widening {
    /// Refuse what does not fit.
    #[default]
    Refuse,
    /// Rewrite its tables with wider types, as part of the same commit.
    Allow,
}

/// What to do about duplicates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// Refuse duplicates.
    #[default]
    Refuse,
    /// Accept duplicates.
    Allow,
}

/// What to do about matrices of different scales that are combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MixedScales {
    /// Refuse to combine different scales.
    #[default]
    Refuse,
    /// Combine them nevertheless.
    Allow,
}

impl MixedScales {
    /// Whether this is the default, which is omitted when serialized.
    pub(super) fn is_default(&self) -> bool {
        *self == MixedScales::default()
    }
}

/// What to do about cells that exist under other names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameCounts {
    /// Accept such cells with a warning.
    #[default]
    Warn,
    /// Refuse such cells.
    Refuse,
    /// Leave them out, before the plan is made.
    Drop,
}

impl SameCounts {
    /// Whether this is the default, which is omitted when serialized.
    pub(super) fn is_default(&self) -> bool {
        *self == SameCounts::default()
    }
}

impl Default for PlanOptions {
    /// Narrow types, few fragments, and exact joins.
    fn default() -> Self {
        PlanOptions {
            dtypes: Dtypes::Narrow,
            value_type: None,
            compression: Compression::None,
            fragment_rows: 100_000_000,
            join: Join::Exact,
            gene_key: None,
            id_versions: IdVersions::Keep,
            obs_join: Join::Exact,
            var_join: Join::Exact,
            duplicate_cells: Duplicates::Refuse,
            duplicate_sources: Duplicates::Refuse,
            mixed_scales: MixedScales::Refuse,
            same_counts: SameCounts::Warn,
            widening: Widening::Refuse,
        }
    }
}
