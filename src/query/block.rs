//! Reads rows, and keeps those that are wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{and, cast, filter_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};

use super::columns::{Kind, Seen, Stored};
use super::error::through;
use super::prepared::Prepared;
use super::report::ScanReport;
use crate::table::{Block, EntryBlocks};

/// Of fewer rows than one in so many, the other columns are read for these rows only.
const FEW: u32 = 48;

/// Rows between two wanted ones that are read rather than skipped.
const NEAR: u64 = 64;

/// Makes rows of a query out of stored rows.
pub(super) struct RowMaker {
    stored: Arc<Stored>,
    report: Arc<ScanReport>,
    prepared: Arc<Prepared>,
    /// Columns of the table that are needed, and of these, the ones that are returned.
    needed: Vec<usize>,
    returned: Vec<usize>,
    needed_schema: SchemaRef,
    schema: SchemaRef,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    /// Stored columns with numbers of cells and genes to be looked up, and all others.
    looked_up: Vec<String>,
    others: Vec<String>,
}

impl RowMaker {
    /// Makes rows of some columns.
    ///
    /// # Errors
    /// If a condition is on a column that does not exist.
    pub fn new(
        stored: Arc<Stored>,
        projection: &[usize],
        prepared: Arc<Prepared>,
        report: Arc<ScanReport>,
    ) -> Result<Self> {
        let mut all: BTreeSet<usize> = projection.iter().copied().collect();
        for condition in &prepared.conditions {
            all.extend(
                collect_columns(condition)
                    .iter()
                    .map(|column| column.index()),
            );
        }
        let needed: Vec<usize> = all.into_iter().collect();
        let returned = projection
            .iter()
            .map(|column| needed.partition_point(|other| other < column));
        let returned = returned.collect();
        let needed_schema = stored.schema_of(&needed)?;
        let conditions = prepared.conditions.iter();
        let conditions =
            conditions.map(|condition| reassign_expr_columns(condition.clone(), &needed_schema));
        let looked_up: Vec<String> = prepared
            .masks
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        let mut others: Vec<String> = Vec::new();
        let zeros = match &stored.kind {
            Kind::Entries { without_zeros, .. } => without_zeros.clone(),
            Kind::Frame { .. } => None,
        };
        let seen = needed
            .iter()
            .map(|&place| stored.columns[place].stored.clone());
        for name in zeros.into_iter().chain(seen) {
            if !looked_up.contains(&name) && !others.contains(&name) {
                others.push(name);
            }
        }
        Ok(RowMaker {
            schema: stored.schema_of(projection)?,
            conditions: conditions.collect::<Result<_>>()?,
            needed,
            returned,
            needed_schema,
            looked_up,
            others,
            stored,
            report,
            prepared,
        })
    }

    /// All stored columns that are read.
    pub fn columns(&self) -> Vec<&str> {
        self.looked_up
            .iter()
            .chain(&self.others)
            .map(String::as_str)
            .collect()
    }

    /// Names that must be read before rows are made.
    pub fn names(&self) -> impl Iterator<Item = &super::names::Names> {
        let columns = self.needed.iter().map(|&place| &self.stored.columns[place]);
        columns.filter_map(|column| match &column.seen {
            Seen::Named(names) => Some(names.as_ref()),
            Seen::AsStored | Seen::Widened => None,
        })
    }

    /// Reads a block of rows.
    ///
    /// # Errors
    /// If it cannot be read, or a condition cannot be evaluated.
    pub async fn block(&self, entries: &EntryBlocks, block: &Block) -> Result<RecordBatch> {
        let rows = usize::try_from(block.rows()).unwrap_or(usize::MAX);
        let read = |names: Vec<String>, block: Block| async move {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            entries.read(&block, &names).await.map_err(through)
        };
        if self.looked_up.is_empty() {
            self.report.rows(rows);
            return if self.others.is_empty() {
                self.empty_rows(rows)
            } else {
                self.rows(&read(self.others.clone(), block.clone()).await?, None)
            };
        }
        // The columns that say which rows are wanted come first.
        let ids = read(self.looked_up.clone(), block.clone()).await?;
        self.report.rows(rows);
        let wanted = self.looked_up(&ids)?;
        let count = wanted.true_count();
        if count == 0 {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        if self.others.is_empty() {
            return self.rows(&ids, Some(&wanted));
        }
        if count as u64 * u64::from(FEW) > rows as u64 {
            let others = read(self.others.clone(), block.clone()).await?;
            return self.rows(&side_by_side(&ids, &others)?, Some(&wanted));
        }
        let places: Vec<u32> = wanted
            .values()
            .set_indices()
            .map(|place| u32::try_from(place).unwrap_or(u32::MAX))
            .collect();
        let (part, among) = block.part(&places, NEAR);
        let others = read(self.others.clone(), part).await?;
        let others = take_record_batch(&others, &UInt32Array::from(among))?;
        let ids = take_record_batch(&ids, &UInt32Array::from(places))?;
        self.rows(&side_by_side(&ids, &others)?, None)
    }

    /// Makes rows of stored rows that have been read with all columns.
    ///
    /// # Errors
    /// If a condition cannot be evaluated.
    pub fn frame_rows(&self, stored: &RecordBatch) -> Result<RecordBatch> {
        self.report.rows(stored.num_rows());
        if self.looked_up.is_empty() {
            self.rows(stored, None)
        } else {
            self.rows(stored, Some(&self.looked_up(stored)?))
        }
    }

    /// Rows without columns.
    pub fn empty_rows(&self, rows: usize) -> Result<RecordBatch> {
        self.report.taken(rows);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            Vec::new(),
            &options,
        )?)
    }

    /// Which rows are of wanted cells and genes.
    fn looked_up(&self, stored: &RecordBatch) -> Result<BooleanArray> {
        let mut wanted: Option<BooleanArray> = None;
        for (name, mask) in &self.prepared.masks {
            let column = column(stored, name)?;
            let held = mask
                .holds(column)
                .ok_or_else(|| self.stored.outside(name))?;
            wanted = Some(match wanted {
                Some(wanted) => and(&wanted, &held)?,
                None => held,
            });
        }
        wanted.ok_or_else(|| exec_datafusion_err!("no rows are looked up"))
    }

    /// Makes rows of stored rows; of some of them if `wanted` says so.
    fn rows(&self, stored: &RecordBatch, wanted: Option<&BooleanArray>) -> Result<RecordBatch> {
        let mut stored = match wanted {
            Some(wanted) => filter_record_batch(stored, wanted)?,
            None => stored.clone(),
        };
        if let Kind::Entries {
            without_zeros: Some(name),
            ..
        } = &self.stored.kind
        {
            let values = cast(column(&stored, name)?, &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            let entries: BooleanArray = values
                .iter()
                .map(|value| Some(value.is_some_and(|value| value != 0.0)))
                .collect();
            stored = filter_record_batch(&stored, &entries)?;
        }
        let rows = stored.num_rows();
        let mut made: Vec<ArrayRef> = Vec::with_capacity(self.needed.len());
        for &place in &self.needed {
            let seen = &self.stored.columns[place];
            made.push(seen.of(column(&stored, &seen.stored)?)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let mut batch =
            RecordBatch::try_new_with_options(self.needed_schema.clone(), made, &options)?;
        for condition in &self.conditions {
            let holds = condition.evaluate(&batch)?.into_array(batch.num_rows())?;
            let holds = cast(&holds, &DataType::Boolean)?;
            batch = filter_record_batch(&batch, holds.as_boolean())?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = self
            .returned
            .iter()
            .map(|&place| batch.column(place).clone());
        let batch =
            RecordBatch::try_new_with_options(self.schema.clone(), columns.collect(), &options)?;
        self.report.taken(batch.num_rows());
        Ok(batch)
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch
        .column_by_name(name)
        .ok_or_else(|| exec_datafusion_err!("the column {name} was not read"))
}

/// The columns of two batches with the same rows.
fn side_by_side(one: &RecordBatch, other: &RecordBatch) -> Result<RecordBatch> {
    let fields = one
        .schema()
        .fields()
        .iter()
        .chain(other.schema().fields())
        .cloned()
        .collect::<Vec<_>>();
    let columns = one
        .columns()
        .iter()
        .chain(other.columns())
        .cloned()
        .collect();
    Ok(RecordBatch::try_new(
        Arc::new(arrow::datatypes::Schema::new(fields)),
        columns,
    )?)
}
