//! What a job has done so far.

use lance_table::format::Fragment;
use serde::{Deserialize, Serialize};

use super::{Adoption, DatasetConfig, Recounted, Writer};
use crate::chunk::{Canonicalized, Digest, ValueStats};
use crate::plan::{JobId, Plan, ShardTable};
use crate::survey::{Scale, ScaleKind, ValueType, WrittenValues};

/// A job under way: its plan, what it found out about its inputs and its base, and the records of its
/// finished shards. All but the status and the records is the file `plan.json` in the job's folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    pub job: JobId,
    #[serde(skip)]
    pub status: Status,
    /// When the job was begun.
    pub started: String,
    pub writer: Writer,
    pub plan: Plan,
    /// What the rows of the dataset that is appended to were found to be, where its config does
    /// not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "census")]
    pub recounted: Option<Recounted>,
    /// Inputs whose entries were found not to be sorted by cell, by their position in the plan. Whoever
    /// goes on must know: in a part of the rows alone it might not show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsorted: Vec<usize>,
    /// What other programs had done to the dataset that is appended to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Box<Adoption>>,
    /// The files in `records`.
    #[serde(skip)]
    pub shards: Vec<ShardRecord>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Shards are written.
    #[default]
    Writing,
    /// All shards are there; tables are committed.
    Committing,
}

/// A finished shard. All its files are durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// The shard, by its position in the plan.
    pub shard: usize,
    /// Rows of the table.
    pub rows: u64,
    /// What came from each part of the shard.
    pub parts: Vec<PartRecord>,
    /// Fragments of the table, in order.
    pub fragments: Vec<Fragment>,
    /// The file in the job's folder that holds the number of rows of each cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<CountsFile>,
    /// The XXH3 hash of the file in the job's folder that tells what each cell holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
}

/// A file in the job's folder, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountsFile {
    pub file: String,
    pub bytes: u64,
    /// The beginning of the BLAKE3 digest of its bytes.
    pub digest: String,
}

/// What a shard wrote of one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// The input, by its position in the plan.
    pub input: usize,
    /// What came from each matrix of the table, in the order of the plan.
    pub matrices: Vec<MatrixRecord>,
}

/// What a shard wrote of one matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixRecord {
    /// The type in which its values are written.
    pub value_type: ValueType,
    /// Entries as stored in the input.
    pub entries: u64,
    pub stats: ValueStats,
    /// Values that are not whole numbers.
    #[serde(default)]
    pub fractions: u64,
    /// The scale of values of which the survey did not tell, by a sample of the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    #[serde(rename = "tidied")]
    pub canonicalized: Canonicalized,
    pub digest: Digest,
}

impl MatrixRecord {
    /// The record of a matrix of which nothing is written yet.
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

    /// Adds what later rows of the same matrix had.
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

    /// The scale of all values, of which a sample was on this one.
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
    /// Entries of all matrices, as stored in the input.
    pub fn entries(&self) -> u64 {
        let matrices = self.parts.iter().flat_map(|part| &part.matrices);
        matrices.map(|matrix| matrix.entries).sum()
    }
}

impl Checkpoint {
    /// What the job continues, where config.json says this.
    pub fn continued<'a>(&'a self, recorded: &'a DatasetConfig) -> &'a DatasetConfig {
        let adoption = self.adoption.as_ref();
        adoption.map_or(recorded, |adoption| &adoption.config)
    }

    /// The record of a shard, if it is finished.
    pub fn record(&self, shard: usize) -> Option<&ShardRecord> {
        self.shards.iter().find(|record| record.shard == shard)
    }

    /// The records of a table, in the order of its rows.
    pub fn records(&self, table: ShardTable) -> Vec<&ShardRecord> {
        let of_table = |record: &&ShardRecord| self.plan.shards[record.shard].table == table;
        let mut records: Vec<_> = self.shards.iter().filter(of_table).collect();
        records.sort_by_key(|record| record.shard);
        records
    }

    /// For each input, what was written of each of its matrices of a table.
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

    /// The shards that are still to be written.
    pub fn missing(&self) -> Vec<usize> {
        let done: std::collections::HashSet<usize> = self.shards.iter().map(|r| r.shard).collect();
        (0..self.plan.shards.len())
            .filter(|shard| !done.contains(shard))
            .collect()
    }
}
