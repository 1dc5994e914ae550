//! State of a running job.

use std::collections::BTreeMap;

use lance_table::format::Fragment;
use serde::{Deserialize, Serialize};

use super::{Adoption, DatasetConfig, Recounted, Writer};
use crate::chunk::{Canonicalized, Digest, ValueStats};
use crate::plan::{FrameTable, JobId, Plan, ShardTable};
use crate::survey::{Scale, ScaleKind, ValueType, WrittenValues};

/// A running job: its plan, what it found out about its inputs and the dataset it appends to, and
/// the records of its finished shards. Everything but the status and the records is stored in the
/// file `plan.json` in the job's folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Identifier of the job.
    pub job: JobId,
    /// Progress of the job.
    #[serde(skip)]
    pub status: Status,
    /// Time at which the job was started.
    pub started: String,
    /// The program that started it.
    pub writer: Writer,
    /// Plan of the job.
    pub plan: Plan,
    /// What was found by reading the rows of the dataset that is appended to, if its config does
    /// not describe them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "census")]
    pub recounted: Option<Recounted>,
    /// Positions in the plan of inputs whose entries turned out not to be sorted by cell. A resumed
    /// run needs to know this, since it might not show in a part of the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsorted: Vec<usize>,
    /// Changes other programs had made to the dataset that is appended to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Box<Adoption>>,
    /// Records of the finished shards; stored in separate files in the folder `records`.
    #[serde(skip)]
    pub shards: Vec<ShardRecord>,
    /// Likewise, of cells, genes and notes.
    #[serde(skip)]
    pub frames: Vec<FrameRecord>,
}

/// Progress of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Shards are being written.
    #[default]
    Writing,
    /// All shards are written; tables are being committed.
    Committing,
}

/// A finished shard. All of its files are durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardRecord {
    /// Position of the shard in the plan.
    pub shard: usize,
    /// Rows of the table.
    pub rows: u64,
    /// What was written for each part of the shard.
    pub parts: Vec<PartRecord>,
    /// Fragments of the table, in order.
    pub fragments: Vec<Fragment>,
    /// File in the job's folder with the number of rows of each cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<CountsFile>,
    /// XXH3 hash of the file in the job's folder with the content hash of each cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
}

/// A finished shard of cells, genes or notes. All its files are durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameRecord {
    /// The shard, by its number among all of the plan: those of matrices come first.
    pub shard: usize,
    /// Rows of the table.
    pub rows: u64,
    /// Fragments of the table, in order.
    pub fragments: Vec<Fragment>,
    /// The digest of the rows; the record has one of its own.
    pub row_digest: Digest,
    /// Of cells, the digest of how many rows of the expression table each was taken to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<String>,
    /// Files in the job's folder with the XXH3 hash of their bytes: identifiers of cells, categories, and
    /// what is unstructured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// A file in the job's folder, with its expected size and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountsFile {
    /// Name of the file.
    pub file: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Beginning of the BLAKE3 digest of its bytes.
    pub digest: String,
}

/// What a shard wrote of one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Position of the input in the plan.
    pub input: usize,
    /// What was written of each matrix of the table, in the order of the plan.
    pub matrices: Vec<MatrixRecord>,
}

/// What a shard wrote of one matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixRecord {
    /// Type in which its values are written.
    pub value_type: ValueType,
    /// Number of entries as stored in the input.
    pub entries: u64,
    /// Statistics of the written values.
    pub stats: ValueStats,
    /// Number of values that are not whole numbers.
    #[serde(default)]
    pub fractions: u64,
    /// Scale of the values, estimated from a sample of the rows, if the survey could not determine
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What was changed to bring the entries into canonical form.
    #[serde(rename = "tidied")]
    pub canonicalized: Canonicalized,
    /// Digest of the written rows.
    pub digest: Digest,
}

impl MatrixRecord {
    /// Creates the record of a matrix of which nothing is written yet.
    pub fn new(value_type: ValueType) -> Self {
        MatrixRecord {
            value_type,
            entries: 0,
            stats: ValueStats::default(),
            fractions: 0,
            scale: None,
            canonicalized: Canonicalized::default(),
            digest: Digest::default(),
        }
    }

    /// Adds the record of later rows of the same matrix.
    pub fn add(&mut self, later: &MatrixRecord) {
        self.entries += later.entries;
        self.stats.add(&later.stats);
        self.fractions += later.fractions;
        self.scale = match (self.scale, later.scale) {
            (Some(scale), Some(later)) => Some(scale.with(later)),
            (scale, later) => scale.or(later),
        };
        self.canonicalized.add(&later.canonicalized);
        self.digest.add(later.digest);
    }

    /// Returns the scale of all values, given that of a sample.
    pub fn rechecked(&self, sampled: Scale) -> Scale {
        let sampled = match sampled.kind {
            ScaleKind::Unknown => self.scale.unwrap_or(sampled),
            _ => sampled,
        };
        sampled.rechecked(&WrittenValues {
            rows: self.stats.rows,
            fractions: self.fractions,
            non_finite: self.stats.non_finite,
            min: self.stats.min,
            max: self.stats.max,
        })
    }
}

impl ShardRecord {
    /// Number of entries of all matrices, as stored in the input.
    pub fn entries(&self) -> u64 {
        let matrices = self.parts.iter().flat_map(|part| &part.matrices);
        matrices.map(|matrix| matrix.entries).sum()
    }
}

impl Checkpoint {
    /// Returns the config of the dataset that the job continues; `recorded` is that in config.json.
    pub fn continued<'a>(&'a self, recorded: &'a DatasetConfig) -> &'a DatasetConfig {
        let adoption = self.adoption.as_ref();
        adoption.map_or(recorded, |adoption| &adoption.config)
    }

    /// Returns the record of a shard, if it is finished.
    pub fn record(&self, shard: usize) -> Option<&ShardRecord> {
        self.shards.iter().find(|record| record.shard == shard)
    }

    /// Returns the records of a table, in the order of its rows.
    pub fn records(&self, table: ShardTable) -> Vec<&ShardRecord> {
        let of_table = |record: &&ShardRecord| self.plan.shards[record.shard].table == table;
        let mut records: Vec<_> = self.shards.iter().filter(of_table).collect();
        records.sort_by_key(|record| record.shard);
        records
    }

    /// Returns, for each input, what was written of each of its matrices of a table.
    pub fn totals(&self, table: ShardTable) -> Vec<Vec<MatrixRecord>> {
        let values = self.plan.values(table).into_iter();
        let nothing: Vec<_> = values
            .map(|value| MatrixRecord::new(value.value_type))
            .collect();
        let mut totals = vec![nothing; self.plan.inputs.len()];
        for part in self.records(table).iter().flat_map(|record| &record.parts) {
            if let Some(totals) = totals.get_mut(part.input) {
                for (total, matrix) in totals.iter_mut().zip(&part.matrices) {
                    total.add(matrix);
                }
            }
        }
        totals
    }

    /// The records of cells, genes or notes, in the order of their rows.
    pub fn frames(&self, table: FrameTable) -> Vec<&FrameRecord> {
        let of_table = |record: &&FrameRecord| {
            let frame = self.plan.frame(record.shard);
            frame.is_some_and(|frame| frame.table == table)
        };
        let mut records: Vec<_> = self.frames.iter().filter(of_table).collect();
        records.sort_by_key(|record| record.shard);
        records
    }

    /// The fragments of all records.
    pub fn fragments(&self) -> Vec<Fragment> {
        let shards = self.shards.iter().flat_map(|record| &record.fragments);
        let frames = self.frames.iter().flat_map(|record| &record.fragments);
        shards.chain(frames).cloned().collect()
    }

    /// Shards of any kind that are done.
    pub fn done(&self) -> u64 {
        (self.shards.len() + self.frames.len()) as u64
    }

    /// The shards of cells, genes and notes that are still to be written.
    pub fn missing_frames(&self) -> Vec<usize> {
        let first = self.plan.shards.len();
        let done: std::collections::HashSet<usize> = self.frames.iter().map(|r| r.shard).collect();
        (first..self.plan.all_shards())
            .filter(|shard| !done.contains(shard))
            .collect()
    }

    /// Returns the shards that are still to be written.
    pub fn missing(&self) -> Vec<usize> {
        let done: std::collections::HashSet<usize> = self.shards.iter().map(|r| r.shard).collect();
        (0..self.plan.shards.len())
            .filter(|shard| !done.contains(shard))
            .collect()
    }
}
