//! Runs a job, from claiming the output to the last file.

use std::collections::HashMap;
use std::path::Path;

use super::IngestError;
use super::commit::Commit;
use super::contents::{self, ContentsBefore};
use super::finished::{Finished, appended, clean_up, summarise};
use super::genes::DatasetGenes;
use super::output_dir::{Found, OutputDir, OverwritePolicy, ResumePolicy};
use super::resumed::resume;
use super::shards::{ShardRun, affordable_threads};
use super::tables::TargetTable;
use crate::chunk::{ChunkError, Digest};
use crate::dataset::{Adoption, Checkpoint, Dataset, ShardRecord, Status, Writer, timestamp};
use crate::plan::{
    self, Described, Duplicates, KnownValues, Plan, PlanError, SameCounts, ScaledMatrix,
    ShardTable, WIDEN, Widened, Widening,
};
use crate::progress::{Event, Progress};
use crate::source::Inputs;
use crate::store::{LockPolicy, create_folder, sync_folder};
use crate::survey::{Scale, ValueType};
use crate::table::{TableError, TableName, runtime};

/// Options of how a job is run. None of them affects the dataset.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Total number of threads; fewer are used if memory is insufficient.
    pub threads: usize,
    /// Number of bytes of memory that the job may use.
    pub memory: u64,
    /// Maximum number of cells of a chunk.
    pub chunk_cells: u64,
    /// What to do about an existing complete dataset.
    pub existing: OverwritePolicy,
    /// What to do about the unfinished work of an earlier run.
    pub earlier: ResumePolicy,
    /// What to do while another process is using the output.
    pub wait: LockPolicy,
}

impl Default for RunOptions {
    /// 512 MiB and as many threads as that suffices for. Existing output is not replaced, an
    /// earlier run is resumed, and other processes are not waited for.
    fn default() -> Self {
        let memory = 512 << 20;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        RunOptions {
            threads: affordable_threads(threads, memory),
            memory,
            chunk_cells: u64::MAX,
            existing: OverwritePolicy::Refuse,
            earlier: ResumePolicy::Resume,
            wait: LockPolicy::No,
        }
    }
}

/// A job that has exclusive access to its output.
///
/// ```
/// use slaf::ingest::{Earlier, Existing, Job, RunOptions};
/// use slaf::plan::{Plan, PlanOptions};
/// use slaf::source::{Inputs, OpenOptions};
/// use slaf::store::Wait;
/// use slaf::survey::Survey;
///
/// # let folder = tempfile::tempdir()?;
/// # let output = folder.path().join("demo.slaf");
/// let input = ("fixtures/h5ad/demo.h5ad".into(), OpenOptions::default());
/// let inputs = Inputs::of_paths([input]);
/// let surveys = Survey::of_all(&inputs, 2)?;
/// let plan = Plan::new(&inputs, &surveys, &PlanOptions::default())?;
/// let options = RunOptions {
///     threads: 2,
///     memory: 512 << 20,
///     chunk_cells: u64::MAX,
///     existing: Existing::Refuse,
///     earlier: Earlier::Resume,
///     wait: Wait::No,
/// };
/// let finished = Job::begin(plan, &output, options)?.run(&inputs, &())?;
/// assert_eq!(finished.outcome().dataset.array_shape, [200, 300]);
/// finished.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a job does nothing until it runs"]
pub struct Job {
    target: OutputDir,
    found: Found,
    plan: Plan,
    options: RunOptions,
    runtime: tokio::runtime::Runtime,
}

impl Job {
    /// Claims the output for a plan: a new one, or the dataset that the plan was made for.
    ///
    /// # Errors
    /// The output exists, contains the unfinished work of another job, is being written by another
    /// process, or cannot be written. [`IngestError::Moved`] if a dataset has changed since the
    /// plan was made, so that a new plan is needed.
    pub fn begin(plan: Plan, output: &Path, options: RunOptions) -> Result<Self, IngestError> {
        let options = RunOptions {
            threads: affordable_threads(options.threads, options.memory),
            ..options
        };
        let runtime = runtime(options.threads).map_err(|source| IngestError::Threads { source })?;
        let RunOptions { earlier, wait, .. } = options;
        let (target, found) = match &plan.base {
            None => OutputDir::claim(output, &plan.job_id(), options.existing, earlier, wait)?,
            Some(base) => OutputDir::claim_dataset(output, &plan, base, earlier, wait, &runtime)?,
        };
        Ok(Job {
            target,
            found,
            plan,
            options,
            runtime,
        })
    }

    /// Does everything that is not done yet. Blocks; must not be called from asynchronous code.
    ///
    /// # Errors
    /// An input cannot be read, has changed, or is refused because of its contents; a value fits no
    /// allowed type; the output cannot be written; [`IngestError::Moved`] if another program has
    /// committed to the dataset in the meantime. What was recorded is kept, and the same job
    /// resumes from there.
    pub fn run(self, inputs: &Inputs, progress: &dyn Progress) -> Result<Finished, IngestError> {
        let Job {
            mut target,
            found,
            plan,
            options,
            runtime,
        } = self;
        let job = plan.job_id();
        let mut checkpoint = match found {
            Found::Complete(dataset) => {
                let appended = appended(&plan, &dataset, None, None, None);
                let outcome = summarise(&target, *dataset, &plan, appended, 0, &runtime)?;
                return clean_up(target, outcome, &runtime);
            }
            Found::Unfinished(earlier) => resume(*earlier, &plan, &target)?,
            Found::Nothing => Checkpoint {
                job,
                status: Status::Writing,
                started: timestamp(),
                writer: Writer::this(),
                plan,
                recounted: None,
                unsorted: inputs.unsorted(),
                adoption: None,
                shards: Vec::new(),
            },
        };
        let unsorted = checkpoint.unsorted.iter().copied();
        unsorted
            .filter(|number| *number < inputs.len())
            .for_each(|number| inputs.assume_unsorted(number));
        let resumed = checkpoint.shards.len() as u64;
        if checkpoint.adoption.is_none() && checkpoint.recounted.is_none() {
            adopt(&mut target, &mut checkpoint, &runtime)?;
        }
        let before = target.before();
        let genes = DatasetGenes::of(inputs, &checkpoint.plan, before, &runtime)?;
        let run = ShardRun {
            inputs,
            target: &target,
            options: &options,
            progress,
            runtime: runtime.handle().clone(),
            genes: &genes,
        };
        let written = prepare(&target, &checkpoint, &runtime).and_then(|()| {
            progress.report(Event::Planned {
                plan: &checkpoint.plan,
            });
            report_resumed(&checkpoint, progress);
            write_and_widen(&run, &mut checkpoint, &runtime)
        });
        if let Err(failure) = written {
            // Nothing was recorded; an empty output would only obstruct another attempt.
            if checkpoint.shards.is_empty() {
                target.abandon(&checkpoint, &runtime)?;
                return Err(failure);
            }
            return Err(match failure {
                IngestError::Source(_) | IngestError::Chunk(_) | IngestError::NoType { .. }
                    if checkpoint.plan.inputs.len() > 1 =>
                {
                    IngestError::InputFailed {
                        failure: Box::new(failure),
                    }
                }
                other => other,
            });
        }
        check_contents(&checkpoint, target.before())?;
        check_scales(&checkpoint)?;
        let order = Adoption::order_of(checkpoint.adoption.as_deref(), TableName::Expression);
        let contents = ContentsBefore::of(&target, order, &genes.identities, &runtime)?;
        let warnings = check_counts(&checkpoint, &target, inputs, &contents, &runtime)?;
        checkpoint.status = Status::Committing;
        target.save(&checkpoint)?;
        let tables = runtime.block_on(TargetTable::of_all(&target, &checkpoint))?;
        let commit = Commit {
            tables: &tables,
            inputs,
            genes: &genes,
            target: &target,
            checkpoint: &checkpoint,
            contents: &contents,
            warnings: &warnings,
            progress,
            runtime: runtime.handle(),
        };
        let dataset = match commit.run() {
            // For a new dataset, nothing is visible yet.
            Err(changed @ IngestError::ChangedLate(_)) => {
                if let Some(recorded) = target.recorded() {
                    target.take_back(&checkpoint, recorded, &runtime)?;
                }
                return Err(changed);
            }
            // Another program has committed in the meantime, so the plan is void.
            Err(IngestError::Table(TableError::Taken { .. })) if target.before().is_some() => {
                return Err(IngestError::Moved {
                    path: target.folder().to_path_buf(),
                });
            }
            result => result?,
        };
        target.put_in_place()?;
        let (plan, recounted) = (&checkpoint.plan, checkpoint.recounted.as_ref());
        let adoption = checkpoint.adoption.as_deref();
        let appended = appended(plan, &dataset, Some(&tables), recounted, adoption);
        let outcome = summarise(&target, dataset, plan, appended, resumed, &runtime)?;
        clean_up(target, outcome, &runtime)
    }
}

/// Inspects and adopts the changes other programs have made to the dataset that is appended to.
fn adopt(
    target: &mut OutputDir,
    checkpoint: &mut Checkpoint,
    runtime: &tokio::runtime::Runtime,
) -> Result<(), IngestError> {
    let (Some(base), Some(now)) = (&checkpoint.plan.base, target.before()) else {
        return Ok(());
    };
    let adoption = if base.known == KnownValues::Accept || base.described == Described::Partly {
        let (adoption, recounted) = runtime.block_on(Adoption::recount(now, base.known))?;
        checkpoint.recounted = Some(recounted);
        adoption
    } else {
        let described = Dataset::open(target.folder())?;
        let changes = runtime.block_on(described.changes())?;
        if changes.is_empty() {
            return Ok(());
        }
        runtime.block_on(Adoption::take(&described, now, &changes))?
    };
    target.adopt(adoption.config.clone());
    checkpoint.adoption = Some(Box::new(adoption));
    Ok(())
}

/// Refuses an input that has the cells, genes and values of another or of a source of the dataset.
/// The contents are only known now.
fn check_contents(checkpoint: &Checkpoint, before: Option<&Dataset>) -> Result<(), IngestError> {
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
fn check_scales(checkpoint: &Checkpoint) -> Result<(), IngestError> {
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
fn check_counts(
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

/// Writes the checkpoint, creates the folders and removes unfinished files of a run that was
/// killed.
fn prepare(
    target: &OutputDir,
    checkpoint: &Checkpoint,
    runtime: &tokio::runtime::Runtime,
) -> Result<(), IngestError> {
    target.save(checkpoint)?;
    crate::failpoint::reach("checkpoint-created");
    target.job_folder().create()?;
    target.job_folder().write_plan(checkpoint)?;
    crate::failpoint::reach("plan-written");
    target.keep_before()?;
    for table in TableName::of(&checkpoint.plan) {
        let folder = target.table(table);
        create_folder(&folder.path().join("data"))?;
        sync_folder(folder.path())?;
        sync_folder(target.folder())?;
    }
    target.remove_orphans(&checkpoint.shards, runtime)
}

fn report_resumed(checkpoint: &Checkpoint, progress: &dyn Progress) {
    if !checkpoint.shards.is_empty() {
        progress.report(Event::Resumed {
            shards: checkpoint.shards.len(),
            entries: checkpoint.shards.iter().map(ShardRecord::entries).sum(),
        });
    }
}

/// Writes all shards. If a value does not fit, widens the plan and starts that table again.
fn write_and_widen(
    run: &ShardRun<'_>,
    checkpoint: &mut Checkpoint,
    runtime: &tokio::runtime::Runtime,
) -> Result<(), IngestError> {
    loop {
        let misfit = match run.write_missing(checkpoint) {
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
    folder.forget(&records)?;
    folder.write_plan(checkpoint)?;
    target.save(checkpoint)?;
    target.remove_orphans(&checkpoint.shards, runtime)
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
            WIDEN
        } else if planned.forced {
            "leave out --value-type to take the narrowest type that is exact for every value"
        } else {
            "no type that may be written holds every value exactly"
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
