//! Rewrites existing tables of a dataset that cannot be appended to as they are.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::error::ArrowError;
use lance_table::format::Fragment;

use super::IngestError;
use super::frame_writer::FrameWriter;
use super::output_dir::OutputDir;
use super::tables::TargetTable;
use crate::dataset::{Dataset, Recounted, RowOrder, Starts};
use crate::plan::JobId;
use crate::table::{FragmentWriter, RowReader, RowsWriter, TableError, TableName};

fn arrow_at(path: &Path) -> impl Fn(ArrowError) -> TableError + '_ {
    |source| TableError::Arrow {
        path: path.to_path_buf(),
        source,
    }
}

/// Rewrites a version of a table of non-zeros in its new layout: fragment by fragment or, if it is
/// to be sorted, in fragments of `fragment_rows` rows.
pub(super) async fn entries(
    name: TableName,
    table: &TargetTable,
    version: u64,
    job: &JobId,
    fragment_rows: u64,
) -> Result<Vec<Fragment>, IngestError> {
    let path = table.folder.path();
    let before = table.folder.at(version).await?;
    let mut fragments = Vec::new();
    if table.order == RowOrder::Unsorted {
        let mut rows = RowReader::sorted(&before, path, None, name.number_columns()).await?;
        let columns = table.layout.arrow().clone();
        let (folder, layout) = (table.folder.clone(), table.layout.clone());
        let mut writer = RowsWriter::new(folder, job.clone(), layout, columns, fragment_rows);
        while let Some(batch) = rows.next().await? {
            let batch = table.layout.rows(&batch).map_err(arrow_at(path))?;
            // A cell may continue in the next batch; where a fragment ends makes no difference to
            // readers.
            let counts = runs(batch.column(0)).map_err(arrow_at(path))?;
            writer.write(batch.columns().to_vec(), &counts).await?;
        }
        return Ok(writer.finish().await?);
    }
    for fragment in before.fragments().iter() {
        let mut rows = RowReader::of_fragment(&before, path, fragment.clone()).await?;
        let mut writer = FragmentWriter::create(&table.folder, job, &table.layout).await?;
        while let Some(batch) = rows.next().await? {
            let batch = table.layout.rows(&batch).map_err(arrow_at(path))?;
            writer.write(&batch).await?;
        }
        fragments.push(writer.finish().await?);
    }
    Ok(fragments)
}

/// Returns the number of rows of each cell.
fn runs(cells: &ArrayRef) -> Result<Vec<u32>, ArrowError> {
    let cells = cast(cells, &DataType::Int64)?;
    let cells = cells.as_primitive::<Int64Type>().values();
    let runs = cells.chunk_by(|a, b| a == b);
    Ok(runs.map(|run| run.len() as u32).collect())
}

/// Rewrites a version of the cells or genes table in its new layout, correcting what another
/// program omitted or got wrong.
pub(super) async fn frame(
    target: &OutputDir,
    recounted: Option<&Recounted>,
    name: TableName,
    table: &TargetTable,
    version: u64,
    entries: RowOrder,
    writer: &mut FrameWriter<'_>,
) -> Result<(), IngestError> {
    let path = table.folder.path();
    let before = table.folder.at(version).await?;
    let recounted = recounted.filter(|_| name == TableName::Cells);
    let mut repairs = match (recounted, target.before()) {
        (Some(recounted), Some(dataset)) => {
            Some(Repairs::begin(recounted, dataset, entries).await?)
        }
        _ => None,
    };
    let mut rows = match table.order {
        RowOrder::Sorted => RowReader::over(&before, path, None).await?,
        RowOrder::Unsorted => RowReader::sorted(&before, path, None, name.number_columns()).await?,
    };
    while let Some(batch) = rows.next().await? {
        let batch = match &mut repairs {
            None => batch,
            Some(repairs) => repairs.apply(&batch, path).await?,
        };
        let batch = table.layout.rows(&batch).map_err(arrow_at(path))?;
        writer.write(&batch).await?;
    }
    Ok(())
}

/// Corrects the rows of the cells table, from the first row on.
struct Repairs<'a> {
    recounted: &'a Recounted,
    /// First rows of the cells, if they are to be corrected.
    starts: Option<Starts>,
    next_cell: u64,
}

impl<'a> Repairs<'a> {
    async fn begin(
        recounted: &'a Recounted,
        dataset: &Dataset,
        entries: RowOrder,
    ) -> Result<Self, IngestError> {
        let starts = match recounted.wrong_starts {
            0 => None,
            _ => Some(Starts::of(dataset, entries).await?),
        };
        Ok(Repairs {
            recounted,
            starts,
            next_cell: 0,
        })
    }

    async fn apply(
        &mut self,
        batch: &RecordBatch,
        path: &Path,
    ) -> Result<RecordBatch, IngestError> {
        let rows = batch.num_rows() as u64;
        let cells = self.next_cell..self.next_cell + rows;
        self.next_cell = cells.end;
        let mut batch = batch.clone();
        if !self.recounted.names_sources {
            let names = cells.map(|cell| self.recounted.source_of(cell));
            let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
            batch = with_column(&batch, "source_file", names).map_err(arrow_at(path))?;
        }
        if let Some(starts) = &mut self.starts {
            let starts = starts.next(batch.num_rows()).await?;
            let starts: ArrayRef = Arc::new(Int64Array::from(starts));
            batch = with_column(&batch, "cell_start_index", starts).map_err(arrow_at(path))?;
        }
        Ok(batch)
    }
}

/// Returns the batch with this column replaced, or appended if there is none of its name.
fn with_column(
    batch: &RecordBatch,
    name: &str,
    column: ArrayRef,
) -> Result<RecordBatch, ArrowError> {
    let field = |data_type: &DataType| Arc::new(Field::new(name, data_type.clone(), true));
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    match batch.schema().index_of(name) {
        Ok(place) => {
            fields[place] = field(column.data_type());
            columns[place] = column;
        }
        Err(_) => {
            fields.push(field(column.data_type()));
            columns.push(column);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
