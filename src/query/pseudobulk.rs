//! Sums of the entries of groups of cells, gene by gene.
//!
//! One pass over the entries; what is held in memory are the sums, and a number for each cell.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, UInt32Type};
use arrow::row::{OwnedRow, RowConverter, SortField};
use bytesize::ByteSize;
use datafusion::common::runtime::SpawnedTask;
use futures::StreamExt;
use rustc_hash::FxHashMap;

use super::error::QueryError;
use super::near;
use super::session::Resources;
use crate::dataset::Dataset;
use crate::table::{AHEAD, EntryBlocks, RowReader, RowsAndColumns, TableError, TableName};

/// Rows of a block of entries, and their bytes while they are read.
const BLOCK_ROWS: u64 = 1 << 18;
const ROW_BYTES: u64 = 48;

/// What the program takes beside what is counted here.
const OWN_MEMORY: u64 = 96 << 20;

/// Bytes of sums that are written at once.
const WRITTEN_BYTES: usize = 8 << 20;

/// What is summed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PseudobulkRequest {
    /// Columns of cells whose values make the groups.
    pub by: Vec<String>,
    /// The layer whose entries are summed, by the name of its column; X if `None`.
    pub layer: Option<String>,
}

/// Sums of groups of cells.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pseudobulk {
    /// The columns by which cells are grouped, with a row for each group, in their order.
    pub groups: RecordBatch,
    /// Number of cells of each group.
    pub cells: Vec<u64>,
    /// Identifiers of the genes.
    pub genes: Vec<String>,
    /// The sums, group after group.
    pub sums: Sums,
}

/// Sums of all groups, `groups × genes`.
#[derive(Debug, Clone, PartialEq)]
pub enum Sums {
    /// Of whole numbers, exact.
    Whole(Vec<i64>),
    /// Of real numbers, in the order of the dataset.
    Real(Vec<f64>),
}

/// How sums are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SumsLayout {
    /// A row for each group, with a column for each gene.
    Wide,
    /// A row for each group and gene.
    Long,
}

/// Sums the entries of groups of cells.
///
/// # Errors
/// If a column does not exist, the sums take more memory than there is, a sum of whole numbers does not
/// fit into 64 bits, or the dataset cannot be read.
pub async fn pseudobulk(
    path: &Path,
    request: &PseudobulkRequest,
    resources: &Resources,
) -> Result<Pseudobulk, QueryError> {
    let dataset = Dataset::open(path)?;
    let (groups, of_cell, cells) = grouped(&dataset, &request.by, resources).await?;
    let genes = gene_ids(&dataset).await?;
    let (name, value) = match &request.layer {
        None => (TableName::Expression, "value"),
        Some(layer) => (TableName::Layers, layer.as_str()),
    };
    if !dataset.tables().any(|table| table == name) {
        return Err(wrong(format!("{} has no layers", path.display())));
    }
    let table = dataset.table(name).await?;
    let schema = Schema::from(table.schema());
    let Ok(field) = schema.field_with_name(value) else {
        let own = name.number_columns();
        let known = schema.fields().iter().map(|field| field.name().as_str());
        let known: Vec<&str> = known.filter(|name| !own.contains(name)).collect();
        let hint = near::hint(value, known.iter().copied());
        return Err(wrong(format!("there is no layer {value}; {hint}")));
    };
    let whole = field.data_type().is_integer();
    let count = cells.len().checked_mul(genes.len());
    let held = of_cell.len() as u64 * 4 + genes.iter().map(|id| id.len() as u64 + 24).sum::<u64>();
    let reading = BLOCK_ROWS * ROW_BYTES + AHEAD;
    let needed = count
        .map_or(u64::MAX, |count| count as u64 * 8)
        .saturating_add(held);
    let needed = needed.saturating_add(OWN_MEMORY + reading + WRITTEN_BYTES as u64 * 2);
    if needed > resources.memory {
        return Err(QueryError::Memory {
            problem: format!(
                "{} groups of {} genes need about {}; group by fewer columns, or grant it with --memory",
                cells.len(),
                genes.len(),
                ByteSize::b(needed)
            ),
        });
    }
    let count = count.unwrap_or(0);
    let mut sums = if whole {
        Sums::Whole(vec![0; count])
    } else {
        Sums::Real(vec![0.0; count])
    };
    let folder = dataset.path().join(name.folder());
    let entries = Arc::new(EntryBlocks::of(&table, &folder).await?);
    let spare = (resources.memory - needed) / (BLOCK_ROWS * ROW_BYTES);
    let at_once = usize::try_from(spare).map_or(1, |spare| (spare + 1).min(resources.threads));
    let all = 0..entries.rows();
    let columns =
        Arc::new([name.number_columns()[0], name.number_columns()[1], value].map(String::from));
    let blocks = entries.blocks(std::slice::from_ref(&all), BLOCK_ROWS, BLOCK_ROWS);
    let mut read = futures::stream::iter(blocks)
        .map(|block| {
            let (entries, columns) = (entries.clone(), columns.clone());
            let task = async move {
                let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                entries.read(&block, &columns).await
            };
            SpawnedTask::spawn(task).join()
        })
        .buffered(at_once.max(1));
    while let Some(batch) = read.next().await {
        let batch =
            batch.map_err(|error| QueryError::Failed(format!("a thread failed: {error}")))??;
        add(&batch, &of_cell, genes.len(), &mut sums).map_err(|problem| TableError::Damaged {
            path: folder.clone(),
            problem,
        })?;
    }
    Ok(Pseudobulk {
        groups,
        cells,
        genes,
        sums,
    })
}

fn wrong(problem: String) -> QueryError {
    QueryError::Names(problem)
}

fn failed(error: impl std::fmt::Display) -> QueryError {
    QueryError::Failed(error.to_string())
}

/// The groups in order, the group of each cell, and the number of cells of each group.
async fn grouped(
    dataset: &Dataset,
    by: &[String],
    resources: &Resources,
) -> Result<(RecordBatch, Vec<u32>, Vec<u64>), QueryError> {
    let table = dataset.table(TableName::Cells).await?;
    let schema = Schema::from(table.schema());
    let mut fields = Vec::new();
    for name in by {
        let known = schema.fields().iter().map(|field| field.name().as_str());
        let Ok(field) = schema.field_with_name(name) else {
            let hint = near::hint(name, known);
            return Err(wrong(format!("there is no column {name} of cells; {hint}")));
        };
        if field.data_type().is_nested() {
            return Err(wrong(format!(
                "cells cannot be grouped by {name}, which holds lists"
            )));
        }
        fields.push(Field::new(name, field.data_type().clone(), true));
    }
    let sorts = fields
        .iter()
        .map(|field| SortField::new(field.data_type().clone()));
    let converter = RowConverter::new(sorts.collect()).map_err(failed)?;
    let columns: Vec<&str> = by.iter().map(String::as_str).collect();
    let wanted = RowsAndColumns {
        columns: Some(&columns),
        rows: None,
    };
    let folder = dataset.path().join(TableName::Cells.folder());
    let mut reader = RowReader::of(&table, &folder, wanted).await?;
    let mut known: FxHashMap<OwnedRow, u32> = FxHashMap::default();
    let mut of_cell: Vec<u32> = Vec::new();
    let mut bytes = 0u64;
    while let Some(batch) = reader.next().await? {
        let rows = converter.convert_columns(batch.columns()).map_err(failed)?;
        for row in &rows {
            let row = row.owned();
            let next = u32::try_from(known.len()).map_err(failed)?;
            let size = row.as_ref().len() as u64 + 64;
            let group = *known.entry(row).or_insert_with(|| {
                bytes += size;
                next
            });
            of_cell.push(group);
        }
        if bytes > resources.memory / 4 {
            return Err(QueryError::Memory {
                problem: format!("there are more than {} groups", known.len()),
            });
        }
    }
    // In the order of their values.
    let mut ordered: Vec<(OwnedRow, u32)> = known.into_iter().collect();
    ordered.sort_unstable();
    let mut place = vec![0u32; ordered.len()];
    for (new, (_, old)) in (0u32..).zip(&ordered) {
        place[*old as usize] = new;
    }
    let mut cells = vec![0u64; ordered.len()];
    for group in &mut of_cell {
        *group = place[*group as usize];
        cells[*group as usize] += 1;
    }
    let rows = ordered.iter().map(|(row, _)| row.row());
    let columns = converter.convert_rows(rows).map_err(failed)?;
    let groups = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(failed)?;
    Ok((groups, of_cell, cells))
}

/// The identifiers of all genes, in the order of their numbers.
async fn gene_ids(dataset: &Dataset) -> Result<Vec<String>, QueryError> {
    let table = dataset.table(TableName::Genes).await?;
    let folder = dataset.path().join(TableName::Genes.folder());
    let mut reader = RowReader::of_columns(&table, &folder, &["gene_id"]).await?;
    let mut ids = Vec::new();
    while let Some(batch) = reader.next().await? {
        let texts = cast(batch.column(0), &DataType::Utf8).map_err(failed)?;
        let texts = texts.as_string::<i32>().iter();
        ids.extend(texts.map(|text| text.unwrap_or_default().to_string()));
    }
    Ok(ids)
}

/// Adds entries to the sums of their cells' groups.
fn add(batch: &RecordBatch, of_cell: &[u32], genes: usize, sums: &mut Sums) -> Result<(), String> {
    let exact = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let column = |place: usize, data_type: &DataType| {
        cast_with_options(batch.column(place), data_type, &exact).map_err(|error| error.to_string())
    };
    let (cells, of) = (column(0, &DataType::UInt32)?, column(1, &DataType::UInt32)?);
    if cells.null_count() + of.null_count() > 0 {
        return Err("the number of a cell or gene is missing".into());
    }
    let cells = cells.as_primitive::<UInt32Type>().values();
    let of = of.as_primitive::<UInt32Type>().values();
    let place = |row: usize| -> Result<usize, String> {
        let group = of_cell.get(cells[row] as usize);
        match group {
            Some(&group) if (of[row] as usize) < genes => {
                Ok(group as usize * genes + of[row] as usize)
            }
            _ => Err("it has numbers of cells or genes that do not exist".into()),
        }
    };
    match sums {
        Sums::Whole(sums) => {
            let values = column(2, &DataType::Int64)?;
            for (row, value) in values.as_primitive::<Int64Type>().iter().enumerate() {
                let sum = &mut sums[place(row)?];
                let added = sum.checked_add(value.unwrap_or(0));
                *sum = added.ok_or("a sum does not fit into 64 bits")?;
            }
        }
        Sums::Real(sums) => {
            let values = column(2, &DataType::Float64)?;
            for (row, value) in values.as_primitive::<Float64Type>().iter().enumerate() {
                sums[place(row)?] += value.unwrap_or(0.0);
            }
        }
    }
    Ok(())
}

impl Pseudobulk {
    /// Names for a column of each gene, different from each other and from those of the groups.
    fn gene_columns(&self) -> Vec<String> {
        let mut taken: FxHashMap<String, u32> = FxHashMap::default();
        for field in self.groups.schema().fields() {
            taken.insert(field.name().clone(), 1);
        }
        taken.insert("n_cells".into(), 1);
        let genes = self.genes.iter().map(|gene| {
            let mut name = gene.clone();
            while taken.contains_key(&name) {
                let count = taken.entry(gene.clone()).or_insert(0);
                name = format!("{gene}-{count}");
                *count += 1;
            }
            taken.insert(name.clone(), 1);
            name
        });
        genes.collect()
    }

    fn sum_type(&self) -> DataType {
        match self.sums {
            Sums::Whole(_) => DataType::Int64,
            Sums::Real(_) => DataType::Float64,
        }
    }

    /// The columns of a table of the sums.
    pub fn schema(&self, layout: SumsLayout) -> SchemaRef {
        let groups = self.groups.schema();
        let mut fields: Vec<Field> = groups
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        fields.push(Field::new("n_cells", DataType::Int64, true));
        match layout {
            SumsLayout::Wide => {
                let genes = self.gene_columns().into_iter();
                fields.extend(genes.map(|gene| Field::new(gene, self.sum_type(), true)));
            }
            SumsLayout::Long => {
                fields.push(Field::new("gene_id", DataType::Utf8, true));
                fields.push(Field::new("sum", self.sum_type(), true));
            }
        }
        Arc::new(Schema::new(fields))
    }

    /// The rows of such a table, some at a time.
    pub fn rows(
        &self,
        layout: SumsLayout,
    ) -> impl Iterator<Item = Result<RecordBatch, QueryError>> + '_ {
        let schema = self.schema(layout);
        let step = match layout {
            SumsLayout::Wide => (WRITTEN_BYTES / 8 / self.genes.len().max(1)).max(1),
            SumsLayout::Long => 1,
        };
        let starts = (0..self.cells.len()).step_by(step);
        starts.map(move |start| {
            let groups = start..(start + step).min(self.cells.len());
            let columns = match layout {
                SumsLayout::Wide => self.wide(groups),
                SumsLayout::Long => self.long(start)?,
            };
            RecordBatch::try_new(schema.clone(), columns).map_err(failed)
        })
    }

    fn counts(&self, groups: std::ops::Range<usize>) -> ArrayRef {
        let counts = self.cells[groups]
            .iter()
            .map(|&count| i64::try_from(count).ok());
        Arc::new(counts.collect::<Int64Array>())
    }

    fn wide(&self, groups: std::ops::Range<usize>) -> Vec<ArrayRef> {
        let (start, length) = (groups.start, groups.len());
        let of_groups = self.groups.columns().iter();
        let mut columns: Vec<ArrayRef> = of_groups
            .map(|column| column.slice(start, length))
            .collect();
        columns.push(self.counts(groups.clone()));
        let genes = self.genes.len();
        for gene in 0..genes {
            let places = groups.clone().map(|group| group * genes + gene);
            columns.push(match &self.sums {
                Sums::Whole(sums) => Arc::new(
                    places
                        .map(|place| Some(sums[place]))
                        .collect::<Int64Array>(),
                ),
                Sums::Real(sums) => Arc::new(
                    places
                        .map(|place| Some(sums[place]))
                        .collect::<arrow::array::Float64Array>(),
                ),
            });
        }
        columns
    }

    fn long(&self, group: usize) -> Result<Vec<ArrayRef>, QueryError> {
        let genes = self.genes.len();
        let same = arrow::array::UInt64Array::from(vec![group as u64; genes]);
        let mut columns: Vec<ArrayRef> = Vec::new();
        for column in self.groups.columns() {
            columns.push(arrow::compute::take(column, &same, None).map_err(failed)?);
        }
        let count = i64::try_from(self.cells[group]).map_err(failed)?;
        columns.push(Arc::new(Int64Array::from(vec![count; genes])));
        columns.push(Arc::new(StringArray::from_iter_values(&self.genes)));
        let own = group * genes..(group + 1) * genes;
        columns.push(match &self.sums {
            Sums::Whole(sums) => Arc::new(Int64Array::from(sums[own].to_vec())),
            Sums::Real(sums) => Arc::new(arrow::array::Float64Array::from(sums[own].to_vec())),
        });
        Ok(columns)
    }
}
