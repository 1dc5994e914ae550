//! Checks what an earlier run of a job left.

use super::IngestError;
use super::contents;
use super::counts::open_sound;
use super::output_dir::OutputDir;
use crate::dataset::{Checkpoint, ShardRecord, Status};
use crate::plan::Plan;

/// Returns the earlier run's checkpoint with the current locations of the inputs. Records of shards
/// whose files have changed are dropped, so that these shards are written again.
pub(super) fn resume(
    mut earlier: Checkpoint,
    plan: &Plan,
    target: &OutputDir,
) -> Result<Checkpoint, IngestError> {
    for (input, today) in earlier.plan.inputs.iter_mut().zip(&plan.inputs) {
        input.path.clone_from(&today.path);
    }
    earlier.plan.duplicate_sources = plan.duplicate_sources;
    earlier.plan.mixed_scales = plan.mixed_scales;
    earlier.plan.same_counts = plan.same_counts;
    let mut kept = Vec::with_capacity(earlier.shards.len());
    for record in std::mem::take(&mut earlier.shards) {
        match check(&record, &earlier, target) {
            Ok(()) => kept.push(record),
            Err(IngestError::Counts { path, why }) => {
                tracing::warn!("{}: {why}: its shard is written again", path.display());
                target.job_folder().forget(&[record])?;
            }
            Err(other) => return Err(other),
        }
    }
    earlier.shards = kept;
    earlier.status = Status::Writing;
    Ok(earlier)
}

/// Checks that the files of a shard exist and match its record.
fn check(
    record: &ShardRecord,
    earlier: &Checkpoint,
    target: &OutputDir,
) -> Result<(), IngestError> {
    if let Some(counts) = &record.counts {
        open_sound(target.job_folder().path(), counts)?;
    }
    // What may already be committed cannot be written again.
    if earlier.status == Status::Committing {
        return Ok(());
    }
    if record.contents.is_some() {
        contents::of_shard(record, earlier, target)?.check()?;
    }
    let table = earlier.plan.shards[record.shard].table;
    let data = target.table(table.into()).path().join("data");
    for file in record.fragments.iter().flat_map(|fragment| &fragment.files) {
        let path = data.join(&file.path);
        let wanted = file.file_size_bytes.get().map(u64::from);
        let found = std::fs::metadata(&path).ok().map(|metadata| metadata.len());
        if found.is_none() || wanted.is_some() && wanted != found {
            let why = "it is missing, or not as long as it was".into();
            return Err(IngestError::Counts { path, why });
        }
    }
    Ok(())
}
