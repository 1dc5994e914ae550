//! What a query read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytesize::ByteSize;

/// What a scan of a table was told, and what it read. Filled while the query runs.
#[derive(Debug, Default)]
pub struct ScanReport {
    /// The table, as `atlas.x`, its version and its number of rows.
    pub(super) table: String,
    pub(super) version: u64,
    pub(super) rows: u64,
    found: Mutex<Found>,
    read: AtomicU64,
    taken: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Found {
    pushed: BTreeSet<String>,
    evaluated: BTreeSet<String>,
    joined: BTreeSet<String>,
    selected: BTreeMap<String, (usize, usize)>,
    ranges: Option<(usize, u64)>,
}

impl ScanReport {
    pub(super) fn new(table: String, version: u64, rows: u64) -> Self {
        ScanReport {
            table,
            version,
            rows,
            ..ScanReport::default()
        }
    }

    fn found(&self, note: impl FnOnce(&mut Found)) {
        note(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A condition that was evaluated for cells or genes, before rows were read.
    pub(super) fn pushed(&self, condition: String) {
        self.found(|found| {
            found.pushed.insert(condition);
        });
    }

    /// A condition that was evaluated for each row.
    pub(super) fn evaluated(&self, condition: String) {
        self.found(|found| {
            found.evaluated.insert(condition);
        });
    }

    /// A column of whose values a join told which it needs.
    pub(super) fn joined(&self, column: &str) {
        self.found(|found| {
            found.joined.insert(column.to_string());
        });
    }

    /// How many cells or genes there are, and how many of them are wanted.
    pub(super) fn selected(&self, column: &str, counts: (usize, usize)) {
        self.found(|found| {
            found.selected.insert(column.to_string(), counts);
        });
    }

    /// Ranges of rows that were looked at, and their rows.
    pub(super) fn ranges(&self, ranges: usize, rows: u64) {
        self.found(|found| found.ranges = Some((ranges, rows)));
    }

    pub(super) fn rows(&self, rows: usize) {
        self.read.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn taken(&self, rows: usize) {
        self.taken.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Number of rows that were looked at.
    pub fn rows_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Number of rows that went into the query.
    pub fn rows_taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Number of bytes that were read from files, where it is counted.
    pub fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl fmt::Display for ScanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(
            f,
            "{} (version {}, {} rows)",
            self.table, self.version, self.rows
        )?;
        for (column, (wanted, all)) in &found.selected {
            writeln!(f, "  pushed     {column}: {wanted} of {all} wanted")?;
        }
        for condition in &found.pushed {
            writeln!(f, "             by {condition}")?;
        }
        for column in &found.joined {
            writeln!(f, "             by a join on {column}")?;
        }
        for condition in &found.evaluated {
            writeln!(f, "  each row   {condition}")?;
        }
        if let Some((ranges, rows)) = found.ranges {
            writeln!(f, "  ranges     {ranges} with {rows} rows")?;
        }
        writeln!(
            f,
            "  rows read  {}, taken {}",
            self.rows_read(),
            self.rows_taken()
        )?;
        match self.bytes_read() {
            0 => Ok(()),
            bytes => writeln!(f, "  bytes read {bytes} ({})", ByteSize::b(bytes)),
        }
    }
}

/// What a query read, table by table.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub(super) scans: Vec<std::sync::Arc<ScanReport>>,
    /// The plan that was run.
    pub plan: String,
}

impl Report {
    /// Scans of tables, in the order in which they were planned.
    pub fn scans(&self) -> impl Iterator<Item = &ScanReport> {
        self.scans.iter().map(AsRef::as_ref)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scan in self.scans() {
            write!(f, "{scan}")?;
        }
        writeln!(f, "plan")?;
        for line in self.plan.lines() {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}
