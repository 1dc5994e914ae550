//! Writes all shards, and those anew that a later one proves to be wrong: of too narrow a type, of a matrix
//! that is not in the order of its cells, of cells whose rows were not as many as the input said.

use super::IngestError;
use super::cell_counts::mistaken;
use super::output_dir::OutputDir;
use super::shards::ShardRun;
use crate::chunk::ChunkError;
use crate::dataset::{Checkpoint, FrameRecord, ShardRecord};
use crate::plan::{Plan, ShardTable, Widened, Widening, to_widen};
use crate::progress::Event;
use crate::remedy::{Advice, Remedy, Setting};
use crate::survey::ValueType;

/// Writes all shards. If a value does not fit, widens the plan and starts that table again.
pub(super) fn write_and_widen(
    run: &ShardRun<'_>,
    checkpoint: &mut Checkpoint,
    runtime: &tokio::runtime::Runtime,
) -> Result<(), IngestError> {
    loop {
        let misfit = match run.write_missing(checkpoint) {
            Ok(()) if count_again(run, checkpoint, runtime)? => continue,
            Ok(()) => return Ok(()),
            Err(IngestError::Chunk(misfit @ ChunkError::Misfit { .. })) => misfit,
            // An input loses its order at most once; a second time would be a bug.
            Err(IngestError::OrderLost { input, .. }) if !checkpoint.unsorted.contains(&input) => {
                start_over(run, checkpoint, runtime, input)?;
                continue;
            }
            Err(other) => return Err(other),
        };
        let (table, event) = widen(&mut checkpoint.plan, misfit)?;
        let shards = &checkpoint.plan.shards;
        let concerned = |record: &ShardRecord| shards[record.shard].table == table;
        let concerned = checkpoint.shards.extract_if(.., |record| concerned(record));
        discard(run.target, concerned.collect(), checkpoint, runtime)?;
        run.progress.report(Event::Widened {
            matrix: &event.matrix,
            widened: &event.widened,
            to: event.to,
        });
    }
}

/// Discards what was written of an input because its matrix turned out not to be sorted by cell.
/// The input has taken note and will be transposed; what was written of others is kept.
fn start_over(
    run: &ShardRun<'_>,
    checkpoint: &mut Checkpoint,
    runtime: &tokio::runtime::Runtime,
    number: usize,
) -> Result<(), IngestError> {
    // All tables are affected, since every record must be correct.
    let concerned = |record: &ShardRecord| record.parts.iter().any(|part| part.input == number);
    let discarded = checkpoint.shards.extract_if(.., |record| concerned(record));
    let discarded = discarded.collect();
    checkpoint.unsorted.push(number);
    run.inputs.assume_unsorted(number);
    // Once transposed, it must remain so.
    run.inputs.keep(number)?;
    let input = &checkpoint.plan.inputs[number];
    tracing::info!(
        "{}: {} is not in the order of its cells: turning it",
        input.path.display(),
        input.main.object
    );
    discard(run.target, discarded, checkpoint, runtime)?;
    let entries = checkpoint.shards.iter().map(ShardRecord::entries).sum();
    run.progress.report(Event::StartedOver { entries });
    Ok(())
}

/// Discards records that a changed plan invalidates. The records are removed first: without them,
/// their shards are written again, whichever of the two plans is stored.
fn discard(
    target: &OutputDir,
    records: Vec<ShardRecord>,
    checkpoint: &Checkpoint,
    runtime: &tokio::runtime::Runtime,
) -> Result<(), IngestError> {
    let folder = target.job_folder();
    folder.forget(records.iter().map(|record| record.shard))?;
    folder.write_plan(checkpoint)?;
    target.save(checkpoint)?;
    target.remove_orphans(&checkpoint.fragments(), runtime)
}

/// Forgets cells that were written before their rows were counted, and were taken for having others.
/// Returns whether there are any.
fn count_again(
    run: &ShardRun<'_>,
    checkpoint: &mut Checkpoint,
    runtime: &tokio::runtime::Runtime,
) -> Result<bool, IngestError> {
    let folder = run.target.job_folder();
    let mistaken = mistaken(folder.path(), checkpoint)?;
    if mistaken.is_empty() {
        return Ok(false);
    }
    folder.forget(mistaken.iter().copied())?;
    let is_mistaken = |record: &FrameRecord| mistaken.contains(&record.shard);
    checkpoint.frames.retain(|record| !is_mistaken(record));
    run.target.save(checkpoint)?;
    run.target
        .remove_orphans(&checkpoint.fragments(), runtime)?;
    Ok(true)
}

struct WidenedMatrix {
    matrix: String,
    widened: Widened,
    to: ValueType,
}

/// Widens the type of the matrix that a value did not fit. Returns the table it belongs to.
fn widen(plan: &mut Plan, misfit: ChunkError) -> Result<(ShardTable, WidenedMatrix), IngestError> {
    let ChunkError::Misfit {
        matrix,
        cell,
        gene,
        value,
        exact,
        ..
    } = &misfit
    else {
        return Err(misfit.into());
    };
    let because = format!("the value {value} (cell {cell}, gene {gene})");
    let refuses = plan.base.as_ref().map(|base| base.widening) == Some(Widening::Refuse);
    let found = plan.inputs.iter().find_map(|input| {
        ShardTable::ALL.into_iter().find_map(|table| {
            let matrices = input.matrices(table);
            let number = matrices.iter().position(|m| m.object == *matrix)?;
            Some((table, number))
        })
    });
    let place = found.and_then(|(table, number)| Some((table, plan.value_mut(table, number)?)));
    let Some((table, planned)) = place else {
        return Err(misfit.into());
    };
    let Some(wider) = planned.widen(*exact, because) else {
        let help = if refuses {
            to_widen().into()
        } else if planned.forced {
            let setting = Setting::any("value-type");
            let to = "take the narrowest type that is exact for every value".into();
            Remedy::Omit { setting, to }.into()
        } else {
            Advice::from("no type that may be written holds every value exactly")
        };
        return Err(IngestError::NoType { misfit, help });
    };
    *planned = wider;
    let event = WidenedMatrix {
        matrix: matrix.clone(),
        // It was pushed just before.
        widened: planned.widened[planned.widened.len() - 1].clone(),
        to: planned.value_type,
    };
    Ok((table, event))
}
