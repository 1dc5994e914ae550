//! Makes a job visible: one commit per table, then config.json.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

use lance_table::format::Fragment;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::IngestError;
use super::base_rows;
use super::contents::{self, ContentsBefore};
use super::describe::{CommittedTables, CommittedUns, describe};
use super::genes::DatasetGenes;
use super::output_dir::OutputDir;
use super::tables::{Tables, TargetTable};
use crate::chunk::Digest;
use crate::dataset::{
    CellHashes, Checkpoint, ConfigFile, ContentHashes, Dataset, DatasetConfig, UNS, hash_of_file,
    uns_keys,
};
use crate::plan::{Described, Plan, ShardTable};
use crate::progress::{Event, Progress};
use crate::source::{Inputs, SourceError};
use crate::store::replace_file_with;
use crate::table::{RowReader, TableError, TableName, row_digest};

/// Commit of a job whose shards are all recorded.
pub(super) struct Commit<'a> {
    /// The inputs of the job.
    pub inputs: &'a Inputs,
    /// The genes of the dataset.
    pub genes: &'a DatasetGenes<'a>,
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
        };
        // A job that adds no cells leaves complete hashes unchanged.
        let keeps_hashes = self.plan().inputs.is_empty() && !tables.cell_hashes.is_empty();
        for (&table, of_job) in self.tables {
            self.progress.report(Event::Committing { table });
            let committed = self.runtime.block_on(self.table(table, of_job))?;
            if table == TableName::Cells && !keeps_hashes {
                tables.cell_hashes.push(match &committed.hashes {
                    Some(hashes) => hashes.clone(),
                    None => {
                        let hashes = self.hashes_of(of_job, committed.version);
                        self.runtime.block_on(hashes)?
                    }
                });
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
        let mut dataset = describe(self.inputs, self.checkpoint, before, tables)?;
        dataset.digest_last_contents();
        // Genes, cells and `uns` were read after the first check; nothing is read after this one.
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
            return Ok(Committed {
                version,
                written: None,
                hashes: None,
            });
        }
        let mut fragments = Vec::new();
        let (mut written, mut hashes) = (None, None);
        if let Some(shards) = shard_table(table) {
            if let Some(replaced) = of_job.replaced() {
                let rows = self.plan().fragment_rows;
                fragments = base_rows::entries(table, of_job, replaced, job, rows).await?;
            }
            fragments.extend(self.shards(shards));
        } else {
            let rows = match table {
                TableName::Genes => self.genes(of_job).await?,
                _ => self.cells(of_job).await?,
            };
            fragments.extend(rows.fragment);
            hashes = rows.hashes;
            written = Some(rows.digest);
        }
        let Some(change) = of_job.change(&fragments) else {
            return Ok(Committed {
                version: before.unwrap_or_default(),
                written,
                hashes,
            });
        };
        crate::failpoint::reach(begun);
        let version = folder.commit(job, change, fragments).await?;
        crate::failpoint::reach(ended);
        Ok(Committed {
            version,
            written,
            hashes,
        })
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

    /// Writes what is neither a table nor a matrix: that of a single input as it is, that of several
    /// under their names. One input's is in memory at a time.
    /// Returns what the file is known by.
    fn write_uns(&self) -> Result<Option<CommittedUns>, IngestError> {
        if !self.plan().uns {
            return Ok(None);
        }
        let path = self.target.folder().join(UNS);
        crate::failpoint::reach("before-uns");
        let mut unread = None;
        let written = replace_file_with(&path, |output| {
            let write = |values: &Map<String, Value>, output: &mut dyn Write| {
                serde_json::to_writer_pretty(&mut *output, values)?;
                output.write_all(b"\n")
            };
            let mut read = |number: usize| {
                let uns = self.inputs.get(number).and_then(|input| input.uns());
                uns.map(|uns| uns.values).map_err(|error| {
                    unread = Some(error);
                    io::Error::other("an input cannot be read")
                })
            };
            if let [_] = self.plan().inputs[..] {
                return write(&read(0)?, output);
            }
            let mut json = serde_json::Serializer::pretty(&mut *output);
            let mut all = json.serialize_map(None)?;
            for (number, input) in self.plan().inputs.iter().enumerate() {
                let values = read(number)?;
                if !values.is_empty() {
                    all.serialize_entry(&input.source_file, &values)?;
                }
            }
            all.end()?;
            output.write_all(b"\n")
        });
        match unread {
            Some(error) => Err(error.into()),
            None => {
                written?;
                let xxh3 = hash_of_file(&path)?;
                let keys = uns_keys(self.target.folder())?;
                Ok(xxh3.map(|xxh3| CommittedUns { xxh3, keys }))
            }
        }
    }
}

/// A table as committed by this or an earlier run of the job.
struct Committed {
    version: u64,
    /// Digest of all rows of the cells or genes table, if this run wrote them.
    written: Option<Digest>,
    /// Identifier hashes of new cells, if this run wrote them.
    hashes: Option<CellHashes>,
}

/// Returns the kind of shards that a table is made from; `None` for the cells and genes tables.
fn shard_table(table: TableName) -> Option<ShardTable> {
    let mut tables = ShardTable::ALL.into_iter();
    tables.find(|&shards| TableName::from(shards) == table)
}
