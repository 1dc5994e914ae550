//! An input in memory: matrices and frames that a program holds already.
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
//! use slaf::source::memory::{Memory, MemoryMatrix};
//! use slaf::source::{CellSource, Inputs};
//!
//! let names = |names: &[&str]| StringArray::from(names.to_vec());
//! let x = MemoryMatrix::csr([2, 3], vec![0, 2, 3], vec![0, 2, 1], vec![1.0f32, 4.0, 2.0]);
//! let age: ArrayRef = Arc::new(Int32Array::from(vec![Some(30), None]));
//! let memory = Memory::builder("counts", names(&["c1", "c2"]), names(&["g1", "g2", "g3"]))
//!     .x(x)
//!     .obs(RecordBatch::try_from_iter([("age", age)])?)
//!     .obsm("X_umap", 2, vec![0.5f32, 1.0, -1.0, 2.0])
//!     .build()?;
//! assert_eq!(memory.description().n_vars, 3);
//! // From here on it is an input like any other: see `Survey`, `Plan` and `Job`.
//! let inputs = Inputs::of_open([Arc::new(memory) as Arc<dyn CellSource>]);
//! assert_eq!(inputs.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing is copied to make one: matrices keep the buffers that they are made of, and chunks are copied
//! out of them when they are read. What it holds is digested once, so that an interrupted job goes on with the
//! same values only.

mod buffer;
mod compressed;
mod frame;
mod matrix;
mod open_matrix;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch, StringArray};
use xxhash_rust::xxh3::Xxh3;

pub use self::buffer::{Number, NumberBuffer};
use self::frame::Frame;
pub use self::matrix::MemoryMatrix;
use self::open_matrix::OpenMatrix;
use super::transpose::{TransposeOptions, TransposedOnce};
use super::{
    Axis, CellSource, ChunkBudget, Chunks, Description, Embedding, ErrorContext, Format, Layout,
    Matrix, MatrixDescription, MatrixName, OpenOptions, Originals, ScalarType, SourceError,
    TypedVec, Uns,
};

/// An input whose cells and genes are in memory. See [the module](self) for an example.
pub struct Memory {
    description: Description,
    obs_names: StringArray,
    var_names: StringArray,
    obs: Frame,
    var: Frame,
    matrices: BTreeMap<MatrixName, OpenMatrix>,
    embeddings: BTreeMap<(Axis, String), NumberBuffer>,
    uns: serde_json::Map<String, serde_json::Value>,
    digest: String,
}

/// What becomes a [`Memory`]: [`MemoryBuilder::build`] checks that it goes together.
#[derive(Debug)]
#[must_use]
pub struct MemoryBuilder {
    name: String,
    obs_names: StringArray,
    var_names: StringArray,
    obs: Option<RecordBatch>,
    var: Option<RecordBatch>,
    matrices: Vec<(MatrixName, MemoryMatrix)>,
    embeddings: Vec<(Axis, String, u64, NumberBuffer)>,
    uns: serde_json::Map<String, serde_json::Value>,
    options: OpenOptions,
}

impl Memory {
    /// Begins one with the names of its cells and genes; `name` is what it is called in the dataset.
    pub fn builder(
        name: impl Into<String>,
        obs_names: StringArray,
        var_names: StringArray,
    ) -> MemoryBuilder {
        MemoryBuilder {
            name: name.into(),
            obs_names,
            var_names,
            obs: None,
            var: None,
            matrices: Vec::new(),
            embeddings: Vec::new(),
            uns: serde_json::Map::new(),
            options: OpenOptions::default(),
        }
    }
}

impl MemoryBuilder {
    /// The matrix of cells × genes that becomes the expression table. Without it there are no values.
    pub fn x(self, matrix: impl Into<MemoryMatrix>) -> Self {
        self.matrix(MatrixName::X, matrix)
    }

    /// Another matrix of cells × genes.
    pub fn layer(self, name: impl Into<String>, matrix: impl Into<MemoryMatrix>) -> Self {
        self.matrix(MatrixName::Layer(name.into()), matrix)
    }

    /// A matrix of cells × cells.
    pub fn obsp(self, name: impl Into<String>, matrix: impl Into<MemoryMatrix>) -> Self {
        self.matrix(MatrixName::Obsp(name.into()), matrix)
    }

    /// A matrix of genes × genes.
    pub fn varp(self, name: impl Into<String>, matrix: impl Into<MemoryMatrix>) -> Self {
        self.matrix(MatrixName::Varp(name.into()), matrix)
    }

    fn matrix(mut self, name: MatrixName, matrix: impl Into<MemoryMatrix>) -> Self {
        self.matrices.push((name, matrix.into()));
        self
    }

    /// Columns that describe the cells: numbers, booleans, texts, dictionaries of texts (which are
    /// categories) and timestamps, with nulls where nothing is known.
    pub fn obs(mut self, columns: RecordBatch) -> Self {
        self.obs = Some(columns);
        self
    }

    /// Columns that describe the genes; see [`MemoryBuilder::obs`].
    pub fn var(mut self, columns: RecordBatch) -> Self {
        self.var = Some(columns);
        self
    }

    /// A list of `width` numbers for each cell: all of them, cell after cell.
    pub fn obsm(
        mut self,
        name: impl Into<String>,
        width: u64,
        numbers: impl Into<NumberBuffer>,
    ) -> Self {
        let embedding = (Axis::Cells, name.into(), width, numbers.into());
        self.embeddings.push(embedding);
        self
    }

    /// Likewise for each gene.
    pub fn varm(
        mut self,
        name: impl Into<String>,
        width: u64,
        numbers: impl Into<NumberBuffer>,
    ) -> Self {
        let embedding = (Axis::Genes, name.into(), width, numbers.into());
        self.embeddings.push(embedding);
        self
    }

    /// What is neither a table nor a matrix.
    pub fn uns(mut self, values: serde_json::Map<String, serde_json::Value>) -> Self {
        self.uns = values;
        self
    }

    /// How much memory, how many threads and which folder sparse columns are transposed with; the
    /// rest of the options has no meaning here.
    pub fn resources(mut self, options: OpenOptions) -> Self {
        self.options = options;
        self
    }

    /// Checks that all of it goes together.
    ///
    /// # Errors
    /// [`SourceError::Damaged`] where sizes differ, pointers do not ascend or a name is missing;
    /// [`SourceError::Unsupported`] for columns of types that no dataset has. Indices are checked when
    /// they are read.
    pub fn build(self) -> Result<Memory, SourceError> {
        let path = PathBuf::from(&self.name);
        let counts = [&self.obs_names, &self.var_names].map(|names| names.len() as u64);
        for (names, what) in [(&self.obs_names, "obs"), (&self.var_names, "var")] {
            if names.null_count() > 0 {
                return Err(ErrorContext::new(&path, what).damaged("some have no name"));
            }
            // Rows and columns are numbered in 32 bits.
            if u32::try_from(names.len()).is_err() {
                return Err(ErrorContext::new(&path, what)
                    .unsupported(format!("{} of them", names.len()), "split the input"));
            }
        }
        let mut hasher = Xxh3::new();
        let obs = Frame::of(&path, "obs", self.obs, counts[0], &mut hasher)?;
        let var = Frame::of(&path, "var", self.var, counts[1], &mut hasher)?;
        let mut described = Matrices::default();
        for (name, matrix) in self.matrices {
            described.add(&path, name, matrix, counts, &self.options, &mut hasher)?;
        }
        let mut embeddings = BTreeMap::new();
        let (mut obsm, mut varm) = (Vec::new(), Vec::new());
        for (axis, name, width, numbers) in self.embeddings {
            let (part, rows, list) = match axis {
                Axis::Cells => ("obsm", counts[0], &mut obsm),
                Axis::Genes => ("varm", counts[1], &mut varm),
            };
            let place = ErrorContext::new(&path, format!("{part}/{name}"));
            if rows.checked_mul(width) != Some(numbers.len() as u64) {
                return Err(place.damaged(format!(
                    "it has {} numbers, and {rows} × {width} are needed",
                    numbers.len()
                )));
            }
            hasher.update(place.object().as_bytes());
            numbers.hash(&mut hasher);
            list.push(Embedding {
                name: name.clone(),
                width,
                number_type: numbers.number_type(),
                columns: None,
            });
            if embeddings.insert((axis, name), numbers).is_some() {
                return Err(place.damaged("it is there twice"));
            }
        }
        hasher.update(
            serde_json::Value::Object(self.uns.clone())
                .to_string()
                .as_bytes(),
        );
        Ok(Memory {
            description: Description {
                path,
                format: Format::named("memory"),
                n_obs: counts[0],
                n_vars: counts[1],
                x: described.x.unwrap_or_else(|| MatrixDescription {
                    name: MatrixName::X,
                    object: "X".into(),
                    layout: Layout::Absent,
                    number_type: ScalarType::Float32,
                    entries: Some(0),
                }),
                layers: described.layers,
                obs: obs.columns(),
                var: var.columns(),
                obsm,
                varm,
                obsp: described.obsp,
                varp: described.varp,
                uns: !self.uns.is_empty(),
                converted: Vec::new(),
                left_out: Vec::new(),
                warnings: Vec::new(),
                originals: Originals::default(),
            },
            obs_names: self.obs_names,
            var_names: self.var_names,
            obs,
            var,
            matrices: described.open,
            embeddings,
            uns: self.uns,
            digest: format!("{:032x}", hasher.digest128()),
        })
    }
}

/// Matrices as they are described.
#[derive(Default)]
struct Matrices {
    x: Option<MatrixDescription>,
    layers: Vec<MatrixDescription>,
    obsp: Vec<MatrixDescription>,
    varp: Vec<MatrixDescription>,
    open: BTreeMap<MatrixName, OpenMatrix>,
}

impl Matrices {
    fn add(
        &mut self,
        path: &Path,
        name: MatrixName,
        matrix: MemoryMatrix,
        [cells, genes]: [u64; 2],
        options: &OpenOptions,
        hasher: &mut Xxh3,
    ) -> Result<(), SourceError> {
        let (object, shape) = match &name {
            MatrixName::X => ("X".to_string(), [cells, genes]),
            MatrixName::Layer(name) => (format!("layers/{name}"), [cells, genes]),
            MatrixName::Obsp(name) => (format!("obsp/{name}"), [cells, cells]),
            MatrixName::Varp(name) => (format!("varp/{name}"), [genes, genes]),
        };
        let place = ErrorContext::new(path, object.clone());
        matrix.check(&place, shape)?;
        hasher.update(object.as_bytes());
        matrix.hash(hasher);
        let described = MatrixDescription {
            name: name.clone(),
            object,
            layout: matrix.layout(),
            number_type: matrix.data().number_type(),
            entries: matrix.entries(),
        };
        match &name {
            MatrixName::X => self.x = Some(described),
            MatrixName::Layer(_) => self.layers.push(described),
            MatrixName::Obsp(_) => self.obsp.push(described),
            MatrixName::Varp(_) => self.varp.push(described),
        }
        let open = OpenMatrix {
            matrix,
            place: place.clone(),
            options: TransposeOptions::of(options),
            transposed: TransposedOnce::default(),
        };
        match self.open.insert(name, open) {
            None => Ok(()),
            Some(_) => Err(place.damaged("it is there twice")),
        }
    }
}

impl Memory {
    fn missing(&self, what: &str) -> SourceError {
        let place = ErrorContext::whole(&self.description.path);
        place.damaged(format!("{what:?} was asked for, but is not described"))
    }

    fn names(&self, names: &StringArray, range: Range<u64>) -> Result<StringArray, SourceError> {
        let (start, end) = (range.start as usize, range.end as usize);
        if start <= end && end <= names.len() {
            Ok(names.slice(start, end - start))
        } else {
            Err(self.missing("a row beyond the last"))
        }
    }
}

impl CellSource for Memory {
    fn description(&self) -> &Description {
        &self.description
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn content_digest(&self) -> Option<String> {
        Some(self.digest.clone())
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        self.names(&self.obs_names, cells)
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        self.names(&self.var_names, genes)
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.obs.read(cells)
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.var.read(genes)
    }

    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        let list = match axis {
            Axis::Cells => &self.description.obsm,
            Axis::Genes => &self.description.varm,
        };
        let width = list.iter().find(|embedding| embedding.name == name);
        let width = width.map(|embedding| embedding.width as usize);
        let numbers = self.embeddings.get(&(axis, name.to_string()));
        let part = width.zip(numbers).and_then(|(width, numbers)| {
            let start = (rows.start as usize).checked_mul(width)?;
            numbers.part(start..(rows.end as usize).checked_mul(width)?)
        });
        part.ok_or_else(|| self.missing(name))
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        Ok(Uns {
            values: self.uns.clone(),
            ..Uns::default()
        })
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        match self.matrices.get(name) {
            Some(matrix) => Ok(matrix),
            None if *name == MatrixName::X => Ok(&Nothing),
            None => Err(self.missing(name.key())),
        }
    }
}

/// The main matrix of an input that has none.
struct Nothing;

impl Matrix for Nothing {
    fn n_rows(&self) -> u64 {
        0
    }

    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        Ok(Some(vec![0; (rows.end - rows.start) as usize + 1]))
    }

    fn sample(&self, _visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        Ok(())
    }

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        Ok(super::chunk::no_entries(rows, budget))
    }
}
