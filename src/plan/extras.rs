//! What an input holds besides its main matrix and the columns of cells and genes.

use std::path::Path;

use super::columns::identifiers;
use super::{PlanError, PlannedColumn, PlannedEmbedding, Table};
use crate::source::{Embedding, Matrix};
use crate::survey::FloatType;

/// The columns that layers become.
pub(super) fn layer_names(layers: &[Matrix]) -> Vec<String> {
    let names = layers.iter().map(|layer| layer.name.key());
    let taken = ["cell_integer_id", "gene_integer_id"].map(String::from);
    identifiers(names, "_layer", taken.into_iter())
}

/// Embeddings are columns of the same table as those of obs or var.
pub(super) fn embeddings(
    path: &Path,
    embeddings: &[Embedding],
    types: &[FloatType],
    table: Table,
    columns: &[PlannedColumn],
) -> Result<Vec<PlannedEmbedding>, PlanError> {
    let part = match table {
        Table::Obs => "obsm",
        Table::Var => "varm",
    };
    let writable = |width: u64| width > 0 && i32::try_from(width).is_ok();
    if let Some(embedding) = embeddings.iter().find(|e| !writable(e.width)) {
        return Err(PlanError::EmbeddingWidth {
            path: path.to_path_buf(),
            part,
            name: embedding.name.clone(),
            width: embedding.width,
        });
    }
    let names = embeddings.iter().map(|embedding| embedding.name.as_str());
    let own = table.reserved().iter().map(|name| name.to_string());
    let taken = columns.iter().map(|column| column.written_as.clone());
    let written = identifiers(names, &format!("_{part}"), own.chain(taken));
    Ok(embeddings
        .iter()
        .zip(types)
        .zip(written)
        .map(|((embedding, &float_type), written_as)| PlannedEmbedding {
            name: embedding.name.clone(),
            written_as,
            width: embedding.width,
            float_type,
            columns: embedding.columns.clone(),
        })
        .collect())
}

/// The columns that matrices of pairs become.
pub(super) fn pair_names(matrices: &[Matrix]) -> Vec<String> {
    let names = matrices.iter().map(|matrix| matrix.name.key());
    let taken = [
        "cell_integer_id_i",
        "cell_integer_id_j",
        "gene_integer_id_i",
        "gene_integer_id_j",
    ];
    identifiers(names, "_pairs", taken.map(String::from).into_iter())
}
