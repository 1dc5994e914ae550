//! The options that 10x matrices have in all forms.

use crate::remedy::{Remedy, Setting};
use crate::source::error::ErrorContext;
use crate::source::{
    MainMatrix, OpenOptions, OptionKind, OptionScope, OptionSpec, RawUse, SourceError,
};

const HEADING: &str = "10x matrices";
const OF: &str = "10x matrix";

/// The genomes whose features are kept; all, where none is named.
pub(in crate::source) const GENOME: OptionSpec = OptionSpec {
    name: "genome",
    key: "genomes",
    kind: OptionKind::Texts,
    scope: OptionScope::Settings,
    of: OF,
    heading: HEADING,
    value_name: "GENOME",
    help: "Keep only features of this genome; may be given several times [default: all genomes]",
    one_input: None,
};

/// The types of features that are kept (`Gene Expression`, `Antibody Capture`, …); all, where none is
/// named.
pub(in crate::source) const FEATURE_TYPE: OptionSpec = OptionSpec {
    name: "feature-type",
    key: "feature_types",
    kind: OptionKind::Texts,
    scope: OptionScope::Settings,
    of: OF,
    heading: HEADING,
    value_name: "TYPE",
    help: "Keep only features of this type, such as \"Gene Expression\" or \"Antibody Capture\"; may be given several times [default: all types]",
    one_input: None,
};

/// What identifies a gene.
pub(in crate::source) const GENE_ID: OptionSpec = OptionSpec {
    name: "gene-id",
    key: "gene_id",
    kind: OptionKind::Choice {
        values: &["symbol", ENSEMBL],
        default: Some("symbol"),
    },
    scope: OptionScope::Settings,
    of: OF,
    heading: HEADING,
    value_name: "GENE_ID",
    help: "What identifies a gene: its symbol, made unique as scanpy does it, or its Ensembl identifier. The other one becomes a column",
    one_input: None,
};

const ENSEMBL: &str = "ensembl";

/// The list of the cells of a matrix that has none beside it.
pub(in crate::source) const BARCODES: OptionSpec = OptionSpec {
    name: "barcodes",
    key: "barcodes",
    kind: OptionKind::File,
    scope: OptionScope::Command,
    of: OF,
    heading: HEADING,
    value_name: "FILE",
    help: "The list of the cells, one a line, of a matrix that has none beside it",
    one_input: Some([
        "lists the cells of one matrix",
        "convert them one by one, or put a list beside each",
    ]),
};

/// Likewise the list of its features.
pub(in crate::source) const FEATURES: OptionSpec = OptionSpec {
    name: "features",
    key: "features",
    kind: OptionKind::File,
    scope: OptionScope::Command,
    of: OF,
    heading: HEADING,
    value_name: "FILE",
    help: "The list of the features (identifier, symbol and type, tabs between), likewise; several matrices may share it",
    one_input: None,
};

/// What identifies a gene of a 10x matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum GeneId {
    /// Its symbol, made unique as scanpy does it.
    Symbol,
    /// Its identifier, which for genes is that of Ensembl.
    Ensembl,
}

impl GeneId {
    /// What was asked for.
    pub fn of(options: &OpenOptions) -> Self {
        match options.own.text(&GENE_ID) {
            Some(ENSEMBL) => GeneId::Ensembl,
            _ => GeneId::Symbol,
        }
    }
}

/// Refuses what a 10x matrix has nothing of.
pub(in crate::source) fn check(
    place: &ErrorContext,
    options: &OpenOptions,
) -> Result<(), SourceError> {
    let refused = |option: &'static str, of: &str| {
        let problem = format!("the input is a 10x matrix, which has no {of}");
        Err(place.refuses(Setting::any(option), problem, Remedy::omit(option)))
    };
    if options.matrix != MainMatrix::Own {
        return refused("matrix", "other");
    }
    if options.raw == RawUse::Layer {
        return refused("raw-as-layer", "raw one");
    }
    Ok(())
}
