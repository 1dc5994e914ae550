//! Checks what an earlier run of a job left.

use lance_table::format::Fragment;

use super::IngestError;
use super::contents;
use super::counts::open_sound;
use super::output_dir::OutputDir;
use crate::dataset::{Checkpoint, FrameRecord, ShardRecord, Status, hash_of_file};
use crate::plan::{FrameTable, Plan};
use crate::table::TableName;

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
                target.job_folder().forget([record.shard])?;
            }
            Err(other) => return Err(other),
        }
    }
    earlier.shards = kept;
    for record in std::mem::take(&mut earlier.frames) {
        match check_frame(&record, &earlier, target) {
            Ok(()) => earlier.frames.push(record),
            Err(IngestError::Counts { path, why }) => {
                tracing::warn!("{}: {why}: its shard is written again", path.display());
                target.job_folder().forget([record.shard])?;
            }
            Err(other) => return Err(other),
        }
    }
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
    check_fragments(target, table.into(), &record.fragments)
}

/// Likewise, of a shard of cells, genes or notes.
fn check_frame(
    record: &FrameRecord,
    earlier: &Checkpoint,
    target: &OutputDir,
) -> Result<(), IngestError> {
    for (name, hash) in &record.files {
        let path = target.job_folder().path().join(name);
        if hash_of_file(&path)?.as_ref() != Some(hash) {
            let why = "it is missing, or not what its record says".into();
            return Err(IngestError::Counts { path, why });
        }
    }
    // What may be committed already cannot be written again.
    let frame = earlier.plan.frame(record.shard);
    let table = match frame.map(|frame| frame.table) {
        Some(FrameTable::Cells) if earlier.status == Status::Writing => TableName::Cells,
        Some(FrameTable::Genes) if earlier.status == Status::Writing => TableName::Genes,
        _ => return Ok(()),
    };
    check_fragments(target, table, &record.fragments)
}

fn check_fragments(
    target: &OutputDir,
    table: TableName,
    fragments: &[Fragment],
) -> Result<(), IngestError> {
    let data = target.table(table).path().join("data");
    for file in fragments.iter().flat_map(|fragment| &fragment.files) {
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
