//! What a user may choose.

use serde::{Deserialize, Serialize};

use super::{Compression, Dtypes, GeneKey, IdVersions, Join};
use crate::survey::ValueType;

/// What a user may choose.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    pub dtypes: Dtypes,
    /// A forced type of the values; a value that does not fit it is refused.
    pub value_type: Option<ValueType>,
    pub compression: Compression,
    /// Rows of a fragment of the expression table at most (a single cell may have more).
    pub fragment_rows: u64,
    /// How the genes of several inputs are joined.
    pub join: Join,
    /// By what genes are joined; `None` for identifiers that do not change where all inputs have
    /// them, else the names of the genes.
    pub gene_key: Option<GeneKey>,
    /// Whether genes are joined with or without the versions of their identifiers.
    pub id_versions: IdVersions,
    /// How the columns, layers and embeddings of cells are joined.
    pub obs_join: Join,
    /// How the columns and embeddings of genes are joined.
    pub var_join: Join,
    pub duplicate_cells: Duplicates,
    pub duplicate_sources: Duplicates,
    /// What is done about inputs whose values are on different scales.
    pub mixed_scales: MixedScales,
    /// What is done about cells that another input, or the dataset, has under other names.
    pub same_counts: SameCounts,
    /// Of a dataset that is appended to.
    pub widening: Widening,
}

/// What to do where the types of a dataset do not hold what is appended to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Widening {
    #[default]
    Refuse,
    /// Rewrite its tables in wider types, as a part of the same commit.
    Allow,
}

/// What to do about things that occur twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    #[default]
    Refuse,
    Allow,
}

/// What to do about matrices of different scales that become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MixedScales {
    #[default]
    Refuse,
    Allow,
}

impl MixedScales {
    pub(super) fn is_default(&self) -> bool {
        *self == MixedScales::default()
    }
}

/// What to do about cells that are there under other names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameCounts {
    #[default]
    Warn,
    Refuse,
}

impl SameCounts {
    pub(super) fn is_default(&self) -> bool {
        *self == SameCounts::default()
    }
}

impl Default for PlanOptions {
    /// Narrow types, few fragments, and inputs that must be alike.
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
