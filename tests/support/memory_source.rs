//! An input in memory whose sample is small, and inputs in memory of what others hold.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, StringArray};
use slaf::source::memory::{MemoryMatrix, NumberBuffer};
use slaf::source::{
    Axis, CellSource, ChunkBudget, Chunks, Column, ColumnKind, Description, Layout, Matrix,
    MatrixName, Memory, SampledRows, SourceError, TypedVec, Uns,
};

/// A CSR matrix with cells c0, c1, … and genes g0, g1, … without columns, of which a sample sees only
/// the first values.
#[derive(Clone)]
pub struct MemorySource {
    memory: Arc<Memory>,
    values: TypedVec,
    /// How many values a sample sees.
    sampled: usize,
}

fn names(prefix: &str, count: u64) -> StringArray {
    StringArray::from_iter_values((0..count).map(|number| format!("{prefix}{number}")))
}

impl MemorySource {
    pub fn new(genes: u64, rows: &[Vec<i32>], values: TypedVec, sampled: usize) -> Self {
        let mut indptr = vec![0usize];
        for row in rows {
            indptr.push(indptr[indptr.len() - 1] + row.len());
        }
        let cells = rows.len() as u64;
        let shape = [rows.len(), genes as usize];
        let x = MemoryMatrix::csr(shape, indptr, rows.concat(), values.clone());
        let memory = Memory::builder("memory", names("c", cells), names("g", genes)).x(x);
        MemorySource {
            memory: Arc::new(memory.build().unwrap()),
            values,
            sampled,
        }
    }
}

/// A piece of a column of numbers.
fn slice(numbers: &TypedVec, range: Range<usize>) -> TypedVec {
    numbers.picked(&range.collect::<Vec<_>>())
}

impl CellSource for MemorySource {
    fn description(&self) -> &Description {
        self.memory.description()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.memory.files()
    }

    fn content_digest(&self) -> Option<String> {
        self.memory.content_digest()
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        self.memory.obs_names(cells)
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        self.memory.var_names(genes)
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.memory.obs(cells)
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.memory.var(genes)
    }

    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        self.memory.embedding(axis, name, rows)
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        self.memory.uns()
    }

    fn matrix(&self, _: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        Ok(self)
    }
}

impl MemorySource {
    fn x(&self) -> Result<&dyn Matrix, SourceError> {
        self.memory.matrix(&MatrixName::X)
    }
}

impl Matrix for MemorySource {
    fn n_rows(&self) -> u64 {
        self.description().n_obs
    }

    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        self.x()?.offsets(rows)
    }

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        visit(&slice(&self.values, 0..self.sampled.min(self.values.len())));
        Ok(())
    }

    fn sample_rows(&self, visit: &mut dyn FnMut(SampledRows<'_>)) -> Result<(), SourceError> {
        self.x()?.sample_rows(visit)
    }

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        self.x()?.chunks(rows, budget)
    }
}

const EVERYTHING: ChunkBudget = ChunkBudget {
    bytes: u64::MAX,
    cells: u64::MAX,
};

/// A matrix of another input, in the layout that it has there.
fn matrix_of(
    source: &dyn CellSource,
    name: &MatrixName,
    layout: Layout,
    width: u64,
) -> MemoryMatrix {
    let matrix = source.matrix(name).unwrap();
    matrix.prepare(&|_| ()).unwrap();
    let height = matrix.n_rows();
    let mut indptr = vec![0usize];
    let (mut indices, mut data): (Vec<i64>, Option<TypedVec>) = (Vec::new(), None);
    for chunk in matrix.chunks(0..height, EVERYTHING).unwrap() {
        let chunk = chunk.unwrap().read().unwrap();
        let before = indices.len();
        indptr.extend(chunk.indptr[1..].iter().map(|end| before + end));
        indices.extend(chunk.indices.to_i64().unwrap());
        match &mut data {
            Some(data) => data.append(chunk.data),
            None => data = Some(chunk.data),
        }
    }
    let data = data.unwrap_or(TypedVec::Float32(Vec::new()));
    let shape = [height as usize, width as usize];
    let rows = indptr.windows(2).enumerate();
    let rows: Vec<usize> = rows
        .flat_map(|(row, ends)| vec![row; ends[1] - ends[0]])
        .collect();
    match layout {
        Layout::Csc => {
            let mut order: Vec<usize> = (0..indices.len()).collect();
            order.sort_by_key(|&entry| indices[entry]);
            let mut starts = vec![0u32; width as usize + 1];
            indices
                .iter()
                .for_each(|&column| starts[column as usize + 1] += 1);
            (0..width as usize).for_each(|column| starts[column + 1] += starts[column]);
            let rows: Vec<u16> = order.iter().map(|&entry| rows[entry] as u16).collect();
            let rows: Arc<[u16]> = rows.into();
            MemoryMatrix::csc(shape, starts, rows, data.picked(&order))
        }
        Layout::Dense => {
            let all = TypedVec::zeroed(data.number_type(), (height * width) as usize).unwrap();
            let mut places: Vec<usize> = (0..all.len()).collect();
            for (entry, (&row, &column)) in rows.iter().zip(&indices).enumerate() {
                places[row * width as usize + column as usize] = all.len() + entry;
            }
            let mut both = all;
            both.append(data);
            MemoryMatrix::dense(shape, both.picked(&places))
        }
        _ => MemoryMatrix::csr(shape, indptr, indices, NumberBuffer::from(data)),
    }
}

/// Columns of which those say that their categories have an order which do.
fn with_orders(batch: RecordBatch, columns: &[Column]) -> RecordBatch {
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(columns);
    let fields = fields.map(|(field, column)| {
        let ordered = column.kind == ColumnKind::Categorical { ordered: true };
        field.as_ref().clone().with_dict_is_ordered(ordered)
    });
    let schema = arrow::datatypes::Schema::new(fields.collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options).unwrap()
}

/// All that another input holds.
pub fn in_memory(source: &dyn CellSource) -> Memory {
    let description = source.description();
    let (cells, genes) = (description.n_obs, description.n_vars);
    let mut memory = Memory::builder(
        "memory",
        source.obs_names(0..cells).unwrap(),
        source.var_names(0..genes).unwrap(),
    )
    .obs(with_orders(source.obs(0..cells).unwrap(), &description.obs))
    .var(with_orders(source.var(0..genes).unwrap(), &description.var))
    .uns(source.uns().unwrap().values);
    if description.x.layout != Layout::Absent {
        memory = memory.x(matrix_of(
            source,
            &MatrixName::X,
            description.x.layout,
            genes,
        ));
    }
    for layer in &description.layers {
        let matrix = matrix_of(source, &layer.name, layer.layout, genes);
        memory = memory.layer(layer.name.key(), matrix);
    }
    for pairs in &description.obsp {
        let matrix = matrix_of(source, &pairs.name, pairs.layout, cells);
        memory = memory.obsp(pairs.name.key(), matrix);
    }
    for pairs in &description.varp {
        let matrix = matrix_of(source, &pairs.name, pairs.layout, genes);
        memory = memory.varp(pairs.name.key(), matrix);
    }
    for embedding in &description.obsm {
        let numbers = source
            .embedding(Axis::Cells, &embedding.name, 0..cells)
            .unwrap();
        memory = memory.obsm(&embedding.name, embedding.width, numbers);
    }
    for embedding in &description.varm {
        let numbers = source
            .embedding(Axis::Genes, &embedding.name, 0..genes)
            .unwrap();
        memory = memory.varm(&embedding.name, embedding.width, numbers);
    }
    memory.build().unwrap()
}
