//! Completion of a job.

use super::output_dir::OutputDir;
use super::tables::Tables;
use super::{Appended, IngestError, Outcome};
use crate::dataset::{Adoption, DatasetConfig, Recounted, RowOrder, remove_unnamed_hashes};
use crate::plan::Plan;
use crate::store::remove_folder;
use crate::table::TableName;

/// A job whose dataset is complete. Closing or dropping it removes the job's folder, the marker by
/// which a later run detects a job that did not finish.
#[derive(Debug)]
#[must_use = "closing it reports whether the folder of the job could be removed"]
pub struct Finished {
    target: Option<OutputDir>,
    outcome: Outcome,
}

/// Summarises what a job did to make this dataset.
pub(super) fn summarise(
    target: &OutputDir,
    dataset: DatasetConfig,
    plan: &Plan,
    appended: Option<Appended>,
    resumed: u64,
    runtime: &tokio::runtime::Runtime,
) -> Result<Outcome, IngestError> {
    let (mut bytes_out, mut fragments) = (0, 0);
    for table in TableName::IN_COMMIT_ORDER {
        let Some(newest) = runtime.block_on(target.table(table).newest())? else {
            continue;
        };
        if table == TableName::Expression {
            fragments = newest.fragments().len() as u64;
        }
        bytes_out += newest
            .fragments()
            .iter()
            .flat_map(|fragment| &fragment.files)
            .filter_map(|file| file.file_size_bytes.get())
            .map(u64::from)
            .sum::<u64>();
    }
    Ok(Outcome {
        appended,
        widened: plan.value.widened.clone(),
        bytes_in: plan
            .inputs
            .iter()
            .map(|input| input.fingerprint.bytes)
            .sum(),
        bytes_out,
        fragments,
        resumed_shards: resumed,
        shards: plan.all_shards() as u64,
        dataset,
    })
}

/// Describes what a plan appends. `tables` and `recounted` are known only for a job that was not
/// complete before.
pub(super) fn appended(
    plan: &Plan,
    dataset: &DatasetConfig,
    tables: Option<&Tables>,
    recounted: Option<&Recounted>,
    adoption: Option<&Adoption>,
) -> Option<Appended> {
    let base = plan.base.as_ref()?;
    let rewritten = tables.into_iter().flatten();
    let rewritten = rewritten.filter(|(_, table)| table.replaced().is_some());
    let mut repaired = Vec::new();
    for (name, table) in tables.into_iter().flatten() {
        if table.order == RowOrder::Unsorted {
            repaired.push(format!("the order of the rows of {}", name.key()));
        }
    }
    if let Some(recounted) = recounted {
        if recounted.wrong_starts > 0 {
            let wrong = recounted.wrong_starts;
            repaired.push(format!(
                "cell_start_index, which was wrong for {wrong} cells"
            ));
        }
        if !recounted.names_sources {
            repaired.push("source_file, which was missing".into());
        }
    }
    Some(Appended {
        cells: plan.cells - base.cells,
        genes: plan.genes - base.genes,
        rows: dataset.metadata.expression_count.saturating_sub(base.rows),
        rewritten: rewritten.map(|(&name, _)| name).collect(),
        adopted: adoption.map_or_else(Vec::new, |adoption| adoption.changes.clone()),
        repaired,
    })
}

/// Removes what the complete dataset does not need.
pub(super) fn clean_up(
    mut target: OutputDir,
    outcome: Outcome,
    runtime: &tokio::runtime::Runtime,
) -> Result<Finished, IngestError> {
    target.put_in_place()?;
    crate::failpoint::reach("before-cleanup");
    target.remove_orphans(&[], runtime)?;
    remove_unnamed_hashes(target.folder(), &outcome.dataset.cell_hashes)?;
    crate::failpoint::reach("after-cleanup");
    Ok(Finished {
        target: Some(target),
        outcome,
    })
}

impl Finished {
    /// Returns what the job did.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Cleans up and unlocks the dataset.
    ///
    /// # Errors
    /// If the job's folder cannot be removed.
    pub fn close(mut self) -> Result<(), IngestError> {
        match self.target.take() {
            Some(target) => Ok(remove_folder(target.job_folder().path())?),
            None => Ok(()),
        }
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if let Some(target) = self.target.take()
            && let Err(error) = remove_folder(target.job_folder().path())
        {
            tracing::warn!("{error}");
        }
    }
}
