//! What an input holds besides its main matrix and the columns of cells and genes.

use std::path::Path;

use super::columns::identifiers;
use super::{
    Dtypes, PlanError, PlannedColumn, PlannedEmbedding, PlannedLayer, PlannedPairs, Table,
    ValuePlan,
};
use crate::source::{Description, Embedding, Matrix};
use crate::survey::{FloatType, MatrixSurvey, Survey};

pub(super) fn layers(
    description: &Description,
    survey: &Survey,
    dtypes: Dtypes,
) -> Result<Vec<PlannedLayer>, PlanError> {
    let names = description.layers.iter().map(|layer| layer.name.key());
    let taken = ["cell_integer_id", "gene_integer_id"].map(String::from);
    let written = identifiers(names, "_layer", taken.into_iter());
    let layers = description.layers.iter().zip(&survey.layers).zip(written);
    layers
        .map(|((layer, survey), written_as)| {
            Ok(PlannedLayer {
                name: layer.name.key().to_string(),
                written_as,
                value: ValuePlan::new(&description.path, dtypes, None, layer, survey)?,
            })
        })
        .collect()
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

pub(super) fn pairs(
    path: &Path,
    matrices: &[Matrix],
    surveys: &[MatrixSurvey],
) -> Result<Vec<PlannedPairs>, PlanError> {
    let names = matrices.iter().map(|matrix| matrix.name.key());
    let taken = [
        "cell_integer_id_i",
        "cell_integer_id_j",
        "gene_integer_id_i",
        "gene_integer_id_j",
    ];
    let written = identifiers(names, "_pairs", taken.map(String::from).into_iter());
    let pairs = matrices.iter().zip(surveys).zip(written);
    pairs
        .map(|((matrix, survey), written_as)| {
            Ok(PlannedPairs {
                name: matrix.name.key().to_string(),
                written_as,
                value: ValuePlan::of_pairs(path, matrix, survey)?,
            })
        })
        .collect()
}
