//! Layers, embeddings and pairwise matrices of the inputs.

use std::path::Path;

use super::columns::identifiers;
use super::join::JoinedMatrix;
use super::{BaseMatrix, PlanError, PlannedColumn, PlannedEmbedding, Table};
use crate::source::Embedding;
use crate::survey::FloatType;

/// Returns the columns for matrices: those that the dataset already has for them, otherwise unused
/// names.
fn matrix_names(
    matrices: &[JoinedMatrix],
    kept: &[BaseMatrix],
    suffix: &str,
    own: &[&str],
) -> Vec<String> {
    let known = |joined: &JoinedMatrix| kept.iter().find(|known| known.name == joined.name);
    let new = matrices.iter().filter(|joined| known(joined).is_none());
    let taken = kept.iter().map(|known| known.written_as.clone());
    let taken = own.iter().map(ToString::to_string).chain(taken);
    let mut new = identifiers(new.map(|joined| joined.name.as_str()), suffix, taken).into_iter();
    let names = matrices.iter().map(|joined| match known(joined) {
        Some(known) => known.written_as.clone(),
        None => new.next().unwrap_or_default(),
    });
    names.collect()
}

/// Returns the columns for layers.
pub(super) fn layer_names(
    layers: &[JoinedMatrix],
    kept: &[BaseMatrix],
    others: &[String],
) -> Vec<String> {
    let own = ["cell_integer_id", "gene_integer_id"].into_iter();
    let own: Vec<&str> = own.chain(others.iter().map(String::as_str)).collect();
    matrix_names(layers, kept, "_layer", &own)
}

/// Plans embeddings, which are columns of the same table as obs or var.
pub(super) fn embeddings(
    path: &Path,
    embeddings: &[Embedding],
    types: &[FloatType],
    table: Table,
    columns: &[PlannedColumn],
    kept: &[PlannedEmbedding],
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
    let known = |name: &str| kept.iter().find(|known| known.name == name);
    let names = embeddings.iter().map(|embedding| embedding.name.as_str());
    let new = names.filter(|name| known(name).is_none());
    let own = table.reserved().iter().map(ToString::to_string);
    let taken = columns.iter().map(|column| column.written_as.clone());
    let taken = taken.chain(kept.iter().map(|known| known.written_as.clone()));
    let mut new = identifiers(new, &format!("_{part}"), own.chain(taken)).into_iter();
    Ok(embeddings
        .iter()
        .zip(types)
        .map(|(embedding, &float_type)| PlannedEmbedding {
            name: embedding.name.clone(),
            written_as: match known(&embedding.name) {
                Some(known) => known.written_as.clone(),
                None => new.next().unwrap_or_default(),
            },
            width: embedding.width,
            float_type,
            columns: embedding.columns.clone(),
        })
        .collect())
}

/// Returns the columns for pairwise matrices.
pub(super) fn pair_names(matrices: &[JoinedMatrix], kept: &[BaseMatrix]) -> Vec<String> {
    let own = [
        "cell_integer_id_i",
        "cell_integer_id_j",
        "gene_integer_id_i",
        "gene_integer_id_j",
    ];
    matrix_names(matrices, kept, "_pairs", &own)
}
