//! Content hashes of cells, from the shards of a job to the dataset.

use std::path::PathBuf;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::IngestError;
use super::cell_origins::CellOrigins;
use super::cell_rows;
use super::duplicate_counts::{DuplicateCounts, NewContents};
use super::genes::Genes;
use super::output_dir::OutputDir;
use crate::chunk::{GeneIdentity, NO_CONTENTS};
use crate::dataset::{
    CELL_HASHES, CellHashes, Checkpoint, Dataset, HashFile, HashFileWriter, RowOrder, ShardRecord,
    contents_file, read_hashes,
};
use crate::plan::ShardTable;
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::{CellSource, Inputs};
use crate::store::create_folder;
use crate::survey::STABLE_IDS;

/// Returns the identities of some genes of an input, in the order of the dataset: the stable
/// identifier if a gene has one, otherwise its name.
pub(super) fn identities(
    source: &dyn CellSource,
    genes: &Genes,
) -> Result<Vec<GeneIdentity>, IngestError> {
    let columns = &source.description().var;
    let place = columns.iter().position(|column| column.name == STABLE_IDS);
    let mut all = Vec::new();
    let mut blocks = RowBlocks::new(0..source.description().n_vars, columns.len());
    while let Some(rows) = blocks.next() {
        let names = source.var_names(rows.clone())?;
        blocks.held(names.values().len() as u64);
        let stable = match place {
            Some(place) => {
                let var = source.var(rows)?;
                blocks.held(bytes_of(var.columns()));
                cast(var.column(place), &DataType::Utf8).ok()
            }
            None => None,
        };
        let stable = stable.as_ref().map(AsArray::as_string::<i32>);
        for (row, name) in names.iter().enumerate() {
            let stable = stable
                .filter(|ids| ids.is_valid(row))
                .map(|ids| ids.value(row));
            let stable = stable.filter(|id| !id.is_empty());
            all.push(GeneIdentity::of(stable.or(name).unwrap_or_default()));
        }
    }
    Ok(match genes {
        Genes::All => all,
        Genes::These(genes) => genes.iter().map(|&gene| all[gene as usize]).collect(),
    })
}

/// A file of hashes that a job wrote for its own use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JobFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Number of cells.
    pub cells: u64,
    /// XXH3 hash of the file's bytes.
    pub xxh3: String,
}

impl JobFile {
    /// Checks that the file is unchanged.
    pub fn check(&self) -> Result<(), IngestError> {
        self.read(&mut |_| ())
    }

    /// Passes all hashes to the callback.
    pub fn read(
        &self,
        show: &mut dyn FnMut(&mut dyn Iterator<Item = u64>),
    ) -> Result<(), IngestError> {
        match read_hashes(&self.path, self.cells, &self.xxh3, show)? {
            HashFile::Whole => Ok(()),
            HashFile::Missing | HashFile::Changed => Err(IngestError::Counts {
                path: self.path.clone(),
                why: "it has not the hashes that were written into it".into(),
            }),
        }
    }
}

/// Content hashes of the cells that a dataset has before a job.
pub(super) enum ContentsBefore<'a> {
    /// The dataset has no cells.
    NoCells,
    /// The hashes are in files of the dataset.
    Files(&'a Dataset, &'a [CellHashes]),
    /// The hashes were computed by reading the rows.
    Computed(JobFile),
}

impl<'a> ContentsBefore<'a> {
    /// Finds the hashes of the dataset, or computes them from its rows.
    pub fn of(
        target: &'a OutputDir,
        order: RowOrder,
        identities: &[GeneIdentity],
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Self, IngestError> {
        let Some(before) = target.before() else {
            return Ok(ContentsBefore::NoCells);
        };
        let files = target.hashes_before();
        if !files.is_empty() && before.has_contents(files)? {
            return Ok(ContentsBefore::Files(before, files));
        }
        let path = target.job_folder().path().join("contents-before.u64");
        let mut writer = HashFileWriter::create(path.clone())?;
        let mut add = |hashes: &[u64]| Ok(writer.add(hashes.iter().copied())?);
        runtime.block_on(of_rows(before, order, identities, &mut add))?;
        let (cells, xxh3) = writer.finish()?;
        Ok(ContentsBefore::Computed(JobFile { path, cells, xxh3 }))
    }

    /// Returns the dataset's files if the job adds its own to them; otherwise the job's file
    /// contains all cells.
    pub fn files(&self) -> &[CellHashes] {
        match self {
            ContentsBefore::Files(_, files) => files,
            ContentsBefore::NoCells | ContentsBefore::Computed(_) => &[],
        }
    }

    /// Passes the hash of every cell to the callback.
    pub fn read(
        &self,
        show: &mut dyn FnMut(&mut dyn Iterator<Item = u64>),
    ) -> Result<(), IngestError> {
        match self {
            ContentsBefore::NoCells => Ok(()),
            ContentsBefore::Computed(file) => file.read(show),
            ContentsBefore::Files(before, files) => Ok(before.read_contents(files, show)?),
        }
    }
}

/// Returns the content hashes of the cells of all shards.
fn shard_files(
    checkpoint: &Checkpoint,
    target: &OutputDir,
) -> impl Iterator<Item = Result<(usize, JobFile), IngestError>> {
    let records = checkpoint.records(ShardTable::Expression).into_iter();
    records.map(|record| Ok((record.shard, of_shard(record, checkpoint, target)?)))
}

/// Returns the content hashes of a shard's cells according to its record.
pub(super) fn of_shard(
    record: &ShardRecord,
    checkpoint: &Checkpoint,
    target: &OutputDir,
) -> Result<JobFile, IngestError> {
    let path = target.job_folder().path().join(contents_name(record.shard));
    let Some(xxh3) = record.contents.clone() else {
        let why = "the record of its shard does not tell of it".into();
        return Err(IngestError::Counts { path, why });
    };
    let parts = checkpoint.plan.shards[record.shard].parts.iter();
    let cells = parts.map(|part| part.rows.end - part.rows.start).sum();
    Ok(JobFile { path, cells, xxh3 })
}

/// Name of the file of a shard's hashes in the job's folder.
pub(super) fn contents_name(shard: usize) -> String {
    format!("contents-{shard}.u64")
}

/// Finds cells of the job that exist in other inputs or in the dataset under other names.
pub(super) fn duplicates(
    checkpoint: &Checkpoint,
    target: &OutputDir,
    inputs: &Inputs,
    before: &ContentsBefore<'_>,
    runtime: &tokio::runtime::Handle,
) -> Result<Vec<DuplicateCounts>, IngestError> {
    let plan = &checkpoint.plan;
    let first = plan.base.as_ref().map_or(0, |base| base.cells);
    let mut new = NewContents::with_room(plan.cells.saturating_sub(first));
    for file in shard_files(checkpoint, target) {
        let (shard, file) = file?;
        // Consecutive parts contain consecutive cells of the dataset.
        let mut parts = plan.shards[shard].parts.iter();
        let first = parts.next().map_or(0, |part| {
            plan.inputs[part.input].cells.start + part.rows.start
        });
        let mut next = first;
        file.read(&mut |hashes| {
            let mut count = 0;
            new.add(next, &mut hashes.inspect(|_| count += 1));
            next += count;
        })?;
    }
    let mut compared = new.compared(CellOrigins {
        plan,
        before: target.before(),
    });
    before.read(&mut |hashes| compared.add(hashes))?;
    compared.named(inputs, runtime)
}

/// Writes the job's file, which contains all cells that no other file has. Returns the hash of its
/// bytes.
pub(super) fn write(
    checkpoint: &Checkpoint,
    target: &OutputDir,
    before: &ContentsBefore<'_>,
) -> Result<String, IngestError> {
    create_folder(&target.folder().join(CELL_HASHES))?;
    let mut writer = HashFileWriter::create(target.folder().join(contents_file(target.job())))?;
    let mut written = Ok(());
    let mut add = |hashes: &mut dyn Iterator<Item = u64>| {
        if written.is_ok() {
            written = writer.add(hashes);
        }
    };
    if let ContentsBefore::Computed(file) = before {
        file.read(&mut add)?;
    }
    for file in shard_files(checkpoint, target) {
        file?.1.read(&mut add)?;
    }
    written?;
    Ok(writer.finish()?.1)
}

/// Computes the content hashes of all cells of a dataset from its rows, which are in this order.
pub(super) async fn of_rows(
    dataset: &Dataset,
    order: RowOrder,
    identities: &[GeneIdentity],
    add: &mut dyn FnMut(&[u64]) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let mut next = 0;
    // Cells without rows are not shown.
    let without = |cells: u64, add: &mut dyn FnMut(&[u64]) -> Result<(), IngestError>| {
        (0..cells).try_for_each(|_| add(&[NO_CONTENTS]))
    };
    let mut show = |cell: u64, entries: &[(u32, f64)]| {
        without(cell - next, add)?;
        next = cell + 1;
        add(&[cell_rows::contents(dataset, entries, identities)?])
    };
    cell_rows::all(dataset, order, &mut show).await?;
    without(dataset.config().array_shape[0].saturating_sub(next), add)
}
