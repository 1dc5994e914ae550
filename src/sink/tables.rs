//! Tables of X: a row for each non-zero (long), or a row for each cell and a column for each gene
//! (wide), as Parquet or Arrow IPC files.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::hdf5::Filters;
use super::{Encode, FrameBlock, MatrixSink, Outline, Rows, Sink, SinkError, WriteChunk};
use crate::parallel::WorkerFault;
use crate::source::{
    Axis, MatrixDescription, MatrixName, Note, ScalarType, TypedVec, arrow_numbers,
};

/// Rows of a row group of Parquet.
const GROUP: usize = 1 << 19;
/// Bytes of a batch of a wide table.
const BATCH: usize = 4 << 20;
/// Genes of a wide table, at most.
const MOST_GENES: u64 = 10_000;

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Parquet.
    Parquet,
    /// Arrow's IPC files, which are called Feather, too.
    Arrow,
}

/// What a row of a table is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TableShape {
    /// A non-zero: `cell_id`, `gene_id`, `value`.
    #[default]
    Long,
    /// A cell: `cell_id`, and a column for each gene.
    Wide,
}

/// Writes X as a table.
pub struct TableSink {
    path: PathBuf,
    name: PathBuf,
    format: TableFormat,
    shape: TableShape,
    filters: Filters,
    number_type: ScalarType,
    genes: Vec<String>,
    writer: Mutex<Option<TableWriter>>,
}

enum TableWriter {
    Parquet(Box<ArrowWriter<File>>),
    Arrow(Box<FileWriter<BufWriter<File>>>),
}

impl TableSink {
    /// A file at `path`, which is called `name` in messages.
    pub fn new(
        path: &Path,
        name: &Path,
        format: TableFormat,
        shape: TableShape,
        filters: Filters,
    ) -> Self {
        TableSink {
            path: path.to_path_buf(),
            name: name.to_path_buf(),
            format,
            shape,
            filters,
            number_type: ScalarType::Float32,
            genes: Vec::new(),
            writer: Mutex::new(None),
        }
    }

    fn failed(&self, error: impl std::error::Error) -> SinkError {
        SinkError::by_text(&self.name, "", crate::failure::in_one_line(&error))
    }

    fn schema(&self) -> SchemaRef {
        let values = arrow_numbers(empty(self.number_type), None);
        let value = values.data_type().clone();
        let names = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        // Dictionaries of Arrow files are of all their batches, and cells would be too many.
        let cell = match (self.format, self.shape) {
            (TableFormat::Parquet, TableShape::Long) => names.clone(),
            _ => DataType::Utf8,
        };
        let cell = Field::new("cell_id", cell, false);
        let fields = match self.shape {
            TableShape::Long => vec![
                cell,
                Field::new("gene_id", names, false),
                Field::new("value", value, false),
            ],
            TableShape::Wide => {
                let genes = self.genes.iter();
                let genes = genes.map(|gene| Field::new(gene, value.clone(), false));
                std::iter::once(cell).chain(genes).collect()
            }
        };
        Arc::new(Schema::new(fields))
    }

    fn open(&self, schema: SchemaRef) -> Result<TableWriter, SinkError> {
        let file = File::create(&self.path);
        let file = file.map_err(|error| SinkError::io("create", &self.name, error))?;
        Ok(match self.format {
            TableFormat::Parquet => {
                let compression = match self.filters {
                    Filters::None => Compression::UNCOMPRESSED,
                    Filters::Gzip(_) => Compression::ZSTD(ZstdLevel::default()),
                };
                let properties = WriterProperties::builder()
                    .set_compression(compression)
                    .set_max_row_group_row_count(Some(GROUP))
                    .build();
                let writer = ArrowWriter::try_new(file, schema, Some(properties));
                TableWriter::Parquet(Box::new(writer.map_err(|error| self.failed(error))?))
            }
            TableFormat::Arrow => {
                let file = BufWriter::with_capacity(1 << 20, file);
                let writer = FileWriter::try_new(file, &schema);
                TableWriter::Arrow(Box::new(writer.map_err(|error| self.failed(error))?))
            }
        })
    }

    fn put(&self, batch: &RecordBatch) -> Result<(), SinkError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *writer {
            Some(TableWriter::Parquet(writer)) => {
                writer.write(batch).map_err(|error| self.failed(error))
            }
            Some(TableWriter::Arrow(writer)) => {
                writer.write(batch).map_err(|error| self.failed(error))
            }
            None => Err(SinkError::Workers(WorkerFault::Died)),
        }
    }
}

fn empty(number_type: ScalarType) -> TypedVec {
    TypedVec::zeroed(number_type, 0).unwrap_or(TypedVec::Float32(Vec::new()))
}

impl Sink for TableSink {
    fn begin(&mut self, outline: &Outline) -> Result<Vec<Note>, SinkError> {
        let about = &outline.description;
        self.number_type = outline.value_type(&about.x);
        if self.shape == TableShape::Wide && about.n_vars > MOST_GENES {
            return Err(SinkError::unsupported(
                &about.path,
                format!(
                    "a wide table of {} genes, of which {MOST_GENES} are the most",
                    about.n_vars
                ),
                "choose some with --genes, or leave out --wide",
            ));
        }
        let mut notes = Vec::new();
        let mut note = |object: String| {
            notes.push(Note::new(object, "a table of X has no room for it"));
        };
        for matrix in about
            .matrices()
            .filter(|matrix| matrix.name != MatrixName::X)
        {
            note(matrix.name.to_string());
        }
        for (name, any) in [
            ("obs", !about.obs.is_empty()),
            ("var", !about.var.is_empty()),
            ("obsm", !about.obsm.is_empty()),
            ("varm", !about.varm.is_empty()),
            ("uns", about.uns),
        ] {
            if any {
                note(name.into());
            }
        }
        Ok(notes)
    }

    fn rows(&mut self, axis: Axis, block: &FrameBlock) -> Result<(), SinkError> {
        if axis == Axis::Genes {
            self.genes
                .extend(block.names.iter().flatten().map(String::from));
        }
        Ok(())
    }

    fn matrix<'a>(
        &'a self,
        matrix: &MatrixDescription,
    ) -> Result<Option<Box<dyn MatrixSink + 'a>>, SinkError> {
        if matrix.name != MatrixName::X {
            return Ok(None);
        }
        let schema = self.schema();
        let writer = self.open(schema.clone())?;
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        let genes: ArrayRef = Arc::new(StringArray::from_iter_values(&self.genes));
        Ok(Some(Box::new(XTable {
            sink: self,
            schema,
            genes,
        })))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let writer = self
            .writer
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match writer {
            Some(TableWriter::Parquet(writer)) => writer
                .close()
                .map(|_| ())
                .map_err(|error| self.failed(error)),
            Some(TableWriter::Arrow(mut writer)) => {
                writer.finish().map_err(|error| self.failed(error))
            }
            None => Ok(()),
        }
    }
}

struct XTable<'s> {
    sink: &'s TableSink,
    schema: SchemaRef,
    genes: ArrayRef,
}

impl XTable<'_> {
    fn batch(&self, columns: Vec<ArrayRef>) -> Result<RecordBatch, SinkError> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        batch.map_err(|error| self.sink.failed(error))
    }

    /// A row for each non-zero.
    fn long(&self, rows: Rows) -> Result<RecordBatch, SinkError> {
        let names = rows.names.ok_or(SinkError::Workers(WorkerFault::Died))?;
        let mut cells: Vec<i32> = Vec::with_capacity(rows.indices.len());
        for (cell, ends) in (0i32..).zip(rows.indptr.windows(2)) {
            cells.resize(cells.len() + ends[1] - ends[0], cell);
        }
        // Keys that are no gene, or beyond 31 bits, are refused with the dictionary.
        let genes: Int32Array = rows.indices.iter().map(|gene| gene.cast_signed()).collect();
        let named = |keys: Int32Array, names: ArrayRef| -> Result<ArrayRef, SinkError> {
            let names = DictionaryArray::try_new(keys, names);
            Ok(Arc::new(names.map_err(|error| self.sink.failed(error))?))
        };
        let cells = named(Int32Array::from(cells), Arc::new(names))?;
        let cells = cast(&cells, self.schema.field(0).data_type());
        let cells = cells.map_err(|error| self.sink.failed(error))?;
        let genes = named(genes, self.genes.clone())?;
        self.batch(vec![cells, genes, arrow_numbers(rows.data, None)])
    }

    /// A row for each cell from `start` to `end` of a chunk.
    fn wide(&self, rows: &mut Rows, start: usize, end: usize) -> Result<RecordBatch, SinkError> {
        let names = rows
            .names
            .as_ref()
            .ok_or(SinkError::Workers(WorkerFault::Died))?;
        let number_type = rows.data.number_type();
        let (size, length, width) = (number_type.size(), end - start, self.genes.len());
        let dense = TypedVec::zeroed(number_type, length * width);
        let mut dense = dense.ok_or(SinkError::Workers(WorkerFault::Died))?;
        let (out, values) = (dense.as_bytes_mut(), rows.data.as_bytes_mut());
        for row in start..end {
            for entry in rows.indptr[row]..rows.indptr[row + 1] {
                let at = (rows.indices[entry] as usize * length + row - start) * size;
                out[at..at + size].copy_from_slice(&values[entry * size..][..size]);
            }
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(names.slice(start, length))];
        for gene in out.chunks(length * size) {
            let column = TypedVec::of_bytes(number_type, gene)
                .ok_or(SinkError::Workers(WorkerFault::Died))?;
            columns.push(arrow_numbers(column, None));
        }
        self.batch(columns)
    }
}

impl MatrixSink for XTable<'_> {
    fn value_type(&self) -> ScalarType {
        self.sink.number_type
    }

    fn take<'a>(&'a self, mut rows: Rows) -> Result<Encode<'a>, SinkError> {
        if self.sink.shape == TableShape::Wide {
            // Cells with few non-zeros are many in a chunk: one batch at a time.
            return Ok(Box::new(move || {
                Ok(Box::new(move || {
                    let all = rows.indptr.len() - 1;
                    let row = self.genes.len() * rows.data.number_type().size();
                    let step = (BATCH / row.max(1)).max(1);
                    for start in (0..all).step_by(step) {
                        let batch = self.wide(&mut rows, start, all.min(start + step))?;
                        self.sink.put(&batch)?;
                    }
                    Ok(())
                }) as WriteChunk<'a>)
            }));
        }
        Ok(Box::new(move || {
            let batch = self.long(rows)?;
            Ok(Box::new(move || self.sink.put(&batch)) as WriteChunk<'a>)
        }))
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}
