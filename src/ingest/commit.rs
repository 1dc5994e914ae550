//! Makes a job visible: one commit per table, then config.json.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use lance_table::format::Fragment;
use tokio::runtime::Handle;

use super::IngestError;
use super::base_rows;
use super::categories::Categories;
use super::contents::{self, ContentsBefore};
use super::describe::{CommittedTables, CommittedUns, describe};
use super::frame_writer::{FrameWriter, Written};
use super::output_dir::OutputDir;
use super::tables::{Tables, TargetTable};
use crate::chunk::Digest;
use crate::dataset::{
    Checkpoint, ConfigFile, ContentHashes, Dataset, DatasetConfig, RowOrder, UNS, hash_of_file,
    uns_keys,
};
use crate::plan::{CATEGORIES_FILE, Described, FrameTable, Plan, ShardTable, UNS_FILE};
use crate::progress::{Event, Progress};
use crate::source::{Inputs, SourceError};
use crate::store::{Named, replace_file_with};
use crate::table::{RowReader, TableError, TableName, row_digest};

/// Commit of a job whose shards are all recorded.
pub(super) struct Commit<'a> {
    /// The inputs of the job.
    pub inputs: &'a Inputs,
    /// The output.
    pub target: &'a OutputDir,
    /// The tables of the job.
    pub tables: &'a Tables,
    /// The records of the shards.
    pub checkpoint: &'a Checkpoint,
    /// Content hashes of the cells that existed before the job.
    pub contents: &'a ContentsBefore<'a>,
    /// Warnings about each input found while writing.
    pub warnings: &'a [Vec<String>],
    /// Listener for progress events.
    pub progress: &'a dyn Progress,
    /// Runtime for writing tables.
    pub runtime: &'a Handle,
}

impl Commit<'_> {
    /// Commits what is not committed yet, then writes and returns the config of the complete dataset.
    pub fn run(&self) -> Result<DatasetConfig, IngestError> {
        self.check_inputs()?;
        let before = self.target.before().map(Dataset::config);
        // Tables that the job does not write are unchanged.
        let mut tables = CommittedTables {
            versions: match &self.plan().base {
                Some(base) => base.versions.clone(),
                None => BTreeMap::new(),
            },
            digests: before.map_or_else(BTreeMap::new, |before| before.digests.clone()),
            cell_hashes: self.contents.files().to_vec(),
            warnings: self.warnings.to_vec(),
            uns: None,
            categories: self.categories(before)?,
        };
        // A job that adds no cells leaves complete hashes unchanged.
        let keeps_hashes = self.plan().inputs.is_empty() && !tables.cell_hashes.is_empty();
        for (&table, of_job) in self.tables {
            self.progress.report(Event::Committing { table });
            let committed = self.runtime.block_on(self.table(table, of_job))?;
            if table == TableName::Cells && !keeps_hashes {
                let hashes = self.runtime.block_on(self.hashes())?;
                tables.cell_hashes.push(hashes);
            }
            if matches!(table, TableName::Genes | TableName::Cells) {
                let digest = self.digest(table, of_job, &committed);
                let digest = self.runtime.block_on(digest)?;
                tables.digests.insert(table.key().to_string(), digest);
            }
            let version = committed.version;
            tables.versions.insert(table.key().to_string(), version);
        }
        if let Some(hashes) = tables.cell_hashes.last_mut().filter(|_| !keeps_hashes) {
            hashes.contents = Some(ContentHashes {
                xxh3: contents::write(self.checkpoint, self.target, self.contents)?,
                // The digest of rows that are described last.
                digest: Digest::default(),
            });
        }
        tables.uns = self.write_uns()?;
        let mut dataset = describe(self.checkpoint, before, tables);
        dataset.digest_last_contents();
        // They were read before, and a dataset is of inputs that are as they were.
        self.check_inputs().map_err(IngestError::ChangedLate)?;
        crate::failpoint::reach("before-config");
        let file = ConfigFile {
            dataset: Some(dataset),
            ..ConfigFile::default()
        };
        file.write(self.target.folder())?;
        crate::failpoint::reach("after-config");
        Ok(file.dataset.unwrap_or_default())
    }

    /// Checks that no input was modified since it was surveyed.
    fn check_inputs(&self) -> Result<(), SourceError> {
        for (number, input) in self.plan().inputs.iter().enumerate() {
            let files = self.inputs.files(number)?;
            input.fingerprint.check_unchanged(&input.path, &files)?;
        }
        Ok(())
    }

    /// Plan of the job.
    pub(super) fn plan(&self) -> &Plan {
        &self.checkpoint.plan
    }

    async fn table(
        &self,
        table: TableName,
        of_job: &TargetTable,
    ) -> Result<Committed, IngestError> {
        let TargetTable { folder, before, .. } = of_job;
        let job = &self.checkpoint.job;
        let (begun, ended) = match table {
            TableName::Expression => ("before-expression-commit", "after-expression-commit"),
            TableName::Layers => ("before-layers-commit", "after-layers-commit"),
            TableName::Genes => ("before-genes-commit", "after-genes-commit"),
            TableName::Varp => ("before-gene-pairs-commit", "after-gene-pairs-commit"),
            TableName::Obsp => ("before-cell-pairs-commit", "after-cell-pairs-commit"),
            TableName::Cells => ("before-cells-commit", "after-cells-commit"),
        };
        // A commit that was killed may have succeeded.
        if let Some(version) = folder.landed(job, *before).await? {
            let rewritten = of_job.replaced().is_some();
            let written = self.written(table).filter(|_| !rewritten);
            return Ok(Committed { version, written });
        }
        let mut fragments = Vec::new();
        let mut written = self.written(table);
        if let Some(shards) = shard_table(table) {
            if let Some(replaced) = of_job.replaced() {
                let rows = self.plan().fragment_rows;
                fragments = base_rows::entries(table, of_job, replaced, job, rows).await?;
            }
            fragments.extend(self.shards(shards));
        } else {
            if let Some(replaced) = of_job.replaced() {
                let before = self.rows_before(table, of_job, replaced).await?;
                fragments.extend(before.fragment);
                if let Some(written) = &mut written {
                    written.add(before.digest);
                }
            }
            let frames = frame_table(table).map(|frames| self.checkpoint.frames(frames));
            for record in frames.iter().flatten() {
                fragments.extend(record.fragments.clone());
            }
        }
        let Some(change) = of_job.change(&fragments) else {
            return Ok(Committed {
                version: before.unwrap_or_default(),
                written,
            });
        };
        crate::failpoint::reach(begun);
        let version = folder.commit(job, change, fragments).await?;
        crate::failpoint::reach(ended);
        Ok(Committed { version, written })
    }

    /// The digest of the rows that shards have written of a table of cells or genes.
    fn written(&self, table: TableName) -> Option<Digest> {
        let mut digest = Digest::default();
        for record in self.checkpoint.frames(frame_table(table)?) {
            digest.add(record.row_digest);
        }
        Some(digest)
    }

    /// Writes the rows of a table of cells or genes that are there before anew.
    async fn rows_before(
        &self,
        name: TableName,
        table: &TargetTable,
        replaced: u64,
    ) -> Result<Written, IngestError> {
        let mut writer = FrameWriter::new(table, &self.checkpoint.job);
        let recounted = self.checkpoint.recounted.as_ref();
        let expression = self.tables.get(&TableName::Expression);
        let entries = expression.map_or(RowOrder::Sorted, |expression| expression.order);
        let into = &mut writer;
        base_rows::frame(self.target, recounted, name, table, replaced, entries, into).await?;
        writer.finish().await
    }

    /// The categories of the dataset's columns, as a shard has written them.
    fn categories(&self, before: Option<&DatasetConfig>) -> Result<Categories, IngestError> {
        if self.plan().inputs.is_empty() {
            return Categories::of(self.inputs, self.plan(), before);
        }
        let path = self.note(CATEGORIES_FILE)?;
        let file = std::fs::File::open(&path).named("read", &path)?;
        serde_json::from_reader(std::io::BufReader::new(file)).map_err(|error| {
            let why = error.to_string();
            IngestError::Counts { path, why }
        })
    }

    /// A file of notes, which is what its record says.
    fn note(&self, name: &str) -> Result<PathBuf, IngestError> {
        let path = self.target.job_folder().path().join(name);
        let records = self.checkpoint.frames(FrameTable::Notes);
        let wanted = records.iter().find_map(|record| record.files.get(name));
        match hash_of_file(&path)? {
            Some(found) if Some(&found) == wanted => Ok(path),
            _ => Err(IngestError::Counts {
                path,
                why: "it is missing, or not what its record says".into(),
            }),
        }
    }

    /// Returns the digest of a table as committed. Rows that this run did not write are read,
    /// because an earlier run may have committed the table and then died, and the digest of what it
    /// was appended to is not always known.
    async fn digest(
        &self,
        table: TableName,
        of_job: &TargetTable,
        committed: &Committed,
    ) -> Result<Digest, IngestError> {
        let (mut digest, new) = self.digest_before(table, of_job);
        let all = self.target.before().is_none() || of_job.replaced().is_some();
        if let Some(written) = committed.written
            && (all || new.is_some())
        {
            digest.add(written);
            return Ok(digest);
        }
        if new.as_ref().is_some_and(Range::is_empty) {
            return Ok(digest);
        }
        let folder = &of_job.folder;
        let opened = folder.at(committed.version).await?;
        let mut rows = RowReader::over(&opened, folder.path(), new).await?;
        while let Some(batch) = rows.next().await? {
            digest.add(row_digest(&batch).map_err(|source| TableError::Arrow {
                path: folder.path().to_path_buf(),
                source,
            })?);
        }
        Ok(digest)
    }

    /// Returns the part of a table's digest that is known without reading, and the rows to be added
    /// to it; `None` for all rows.
    fn digest_before(
        &self,
        table: TableName,
        of_job: &TargetTable,
    ) -> (Digest, Option<Range<u64>>) {
        let plan = self.plan();
        let nothing = (Digest::default(), None);
        let (Some(base), Some(before)) = (&plan.base, self.target.before()) else {
            return nothing;
        };
        if base.described != Described::Whole || of_job.replaced().is_some() {
            return nothing;
        }
        let new = match table {
            TableName::Cells => base.cells..plan.cells,
            _ => base.genes..plan.genes,
        };
        match before.config().digests.get(table.key()) {
            Some(&digest) => (digest, Some(new)),
            None => nothing,
        }
    }

    /// Returns the fragments of all shards of a table, in the order of their rows.
    fn shards(&self, table: ShardTable) -> Vec<Fragment> {
        let records = self.checkpoint.records(table).into_iter();
        records
            .flat_map(|record| record.fragments.clone())
            .collect()
    }

    /// Puts `uns`, which a shard has written, in its place. Returns the file's hashes.
    fn write_uns(&self) -> Result<Option<CommittedUns>, IngestError> {
        if !self.plan().uns {
            return Ok(None);
        }
        let path = self.target.folder().join(UNS);
        crate::failpoint::reach("before-uns");
        let written = self.note(UNS_FILE)?;
        replace_file_with(&path, |output| {
            std::io::copy(&mut std::fs::File::open(&written)?, output).map(drop)
        })?;
        let xxh3 = hash_of_file(&path)?;
        let keys = uns_keys(self.target.folder())?;
        Ok(xxh3.map(|xxh3| CommittedUns { xxh3, keys }))
    }
}

/// A table as committed by this or an earlier run of the job.
struct Committed {
    version: u64,
    /// The digest of the rows that describe cells or genes, of all that were written.
    written: Option<Digest>,
}

/// Returns the kind of shards that a table is made from; `None` for the cells and genes tables.
fn shard_table(table: TableName) -> Option<ShardTable> {
    let mut tables = ShardTable::ALL.into_iter();
    tables.find(|&shards| TableName::from(shards) == table)
}

/// The shards of which a table is made that describes cells or genes.
fn frame_table(table: TableName) -> Option<FrameTable> {
    match table {
        TableName::Cells => Some(FrameTable::Cells),
        TableName::Genes => Some(FrameTable::Genes),
        _ => None,
    }
}
