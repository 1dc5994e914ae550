//! What can be refused only once all values were read.

use std::collections::HashMap;
use std::path::Path;

use super::IngestError;
use super::contents::{self, ContentsBefore};
use super::output_dir::OutputDir;
use crate::chunk::Digest;
use crate::dataset::{Checkpoint, Dataset};
use crate::plan::{self, Duplicates, PlanError, SameCounts, ScaledMatrix, ShardTable};
use crate::source::Inputs;
use crate::survey::Scale;

/// Refuses an input that has the cells, genes and values of another or of a source of the dataset.
/// The contents are only known now.
pub(super) fn check_contents(
    checkpoint: &Checkpoint,
    before: Option<&Dataset>,
) -> Result<(), IngestError> {
    let plan = &checkpoint.plan;
    if plan.duplicate_sources == Duplicates::Allow {
        return Ok(());
    }
    let mut digests = vec![(Digest::default(), 0); plan.inputs.len()];
    for record in checkpoint.records(ShardTable::Expression) {
        for part in &record.parts {
            for matrix in &part.matrices {
                let (digest, rows) = &mut digests[part.input];
                digest.add(matrix.digest);
                *rows += matrix.stats.rows;
            }
        }
    }
    let mut known: HashMap<Digest, &Path> = HashMap::new();
    for source in before.map_or(&[][..], |before| &before.config().sources) {
        if let Some(&digest) = source.digests.get("expression") {
            known.insert(digest, &source.path);
        }
    }
    for (input, (digest, rows)) in plan.inputs.iter().zip(digests) {
        if rows == 0 {
            continue;
        }
        if let Some(other) = known.insert(digest, &input.path) {
            return Err(IngestError::SameContent {
                path: input.path.clone(),
                other: other.to_path_buf(),
            });
        }
    }
    Ok(())
}

/// Refuses matrices of different scales again, now that all of their values are known.
pub(super) fn check_scales(checkpoint: &Checkpoint) -> Result<(), IngestError> {
    let plan = &checkpoint.plan;
    let check = |before: Option<Scale>, object: &str, own: &[ScaledMatrix<'_>]| {
        let mut same = vec![ScaledMatrix {
            path: Path::new("the dataset"),
            object,
            scale: before.unwrap_or(Scale::UNKNOWN),
        }];
        same.extend_from_slice(own);
        plan::check_scales(&same, plan.mixed_scales).map(|_| ())
    };
    let found = || -> Result<(), PlanError> {
        let totals = checkpoint.totals(ShardTable::Expression);
        let inputs = plan.inputs.iter().zip(&totals);
        let main: Vec<ScaledMatrix<'_>> = inputs
            .filter_map(|(input, totals)| {
                Some(ScaledMatrix {
                    path: &input.path,
                    object: &input.main.object,
                    scale: totals.first()?.rechecked(input.scale?),
                })
            })
            .collect();
        let before = plan.base.as_ref().and_then(|base| base.scale);
        check(before, "expression", &main)?;
        let totals = checkpoint.totals(ShardTable::Layers);
        for (place, layer) in plan.layers.iter().enumerate() {
            let inputs = plan.inputs.iter().zip(&totals);
            let same: Vec<ScaledMatrix<'_>> = inputs
                .filter_map(|(input, totals)| {
                    Some(ScaledMatrix {
                        path: &input.path,
                        object: &input.layers.get(place)?.object,
                        scale: totals
                            .get(place)?
                            .rechecked(*input.layer_scales.get(place)?),
                    })
                })
                .collect();
            check(layer.scale, &layer.name, &same)?;
        }
        Ok(())
    };
    found().map_err(|refusal| IngestError::MixedScales { refusal })
}

/// Finds cells that other inputs or the dataset have under other names. Refuses them, or returns
/// warnings for each input.
pub(super) fn check_counts(
    checkpoint: &Checkpoint,
    target: &OutputDir,
    inputs: &Inputs,
    before: &ContentsBefore<'_>,
    runtime: &tokio::runtime::Runtime,
) -> Result<Vec<Vec<String>>, IngestError> {
    let plan = &checkpoint.plan;
    let mut warnings = vec![Vec::new(); plan.inputs.len()];
    if !plan.is_joined() {
        return Ok(warnings);
    }
    for found in contents::duplicates(checkpoint, target, inputs, before, runtime.handle())? {
        if plan.same_counts == SameCounts::Refuse {
            return Err(IngestError::SameCounts {
                path: found.path.clone(),
                found,
            });
        }
        warnings[found.input].push(found.to_string());
    }
    Ok(warnings)
}
