//! AnnData in HDF5 (h5ad), of every vintage that anndata itself reads.
//!
//! The layout is documented in anndata's "On-disk format" page: every group and dataset has the
//! attributes `encoding-type` and `encoding-version`. Older files lack them; what they have instead
//! was found in files and in anndata's own code for reading them.

mod categories;
mod check;
mod column;
mod contents;
mod embedding;
mod frame;
mod matrix;
mod members;
mod raw_paths;
mod uns;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use arrow::array::{RecordBatch, StringArray};

use self::contents::Contents;
use self::embedding::EmbeddingReader;
use self::frame::Frame;
use self::uns::UnsReader;
use super::hdf5::Hdf5File;
use super::hdf5::matrix::StoredMatrix;
use super::raw;
use super::sampled_rows;
use super::{
    Axis, CellSource, ChunkBudget, Chunks, Description, MatrixName, Numbers, OpenOptions, Part,
    PendingChunk, SampledRows, Selection, SourceError, Uns,
};

/// An open h5ad file.
pub(super) struct H5adSource {
    file: Hdf5File,
    description: Description,
    obs: Frame,
    var: Frame,
    matrices: BTreeMap<MatrixName, OpenMatrix>,
    embeddings: BTreeMap<(Axis, String), EmbeddingReader>,
    selection: Selection,
    /// Objects of uns that are read as parts of something else.
    moved: BTreeSet<String>,
}

/// A matrix, and where its genes are in var if their order is another.
struct OpenMatrix {
    /// The part whose member it is, if it can be left out.
    part: Option<Part>,
    stored: StoredMatrix,
    genes: Option<Vec<u32>>,
}

impl H5adSource {
    /// Opens a file and reads its headers.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, SourceError> {
        let file = Hdf5File::open(path, options)?;
        check::check_is_anndata(&file)?;
        Contents::read(&file, options)
    }

    fn matrix(&self, name: &MatrixName) -> Result<&OpenMatrix, SourceError> {
        self.matrices
            .get(name)
            .ok_or_else(|| self.missing(&format!("{name:?}")))
    }

    /// What reading a matrix gives; a failure names the flag that leaves it out.
    fn or_skip<T>(
        &self,
        name: &MatrixName,
        read: Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        match self.matrices.get(name).and_then(|matrix| matrix.part) {
            Some(part) => read.map_err(|error| error.or_skip(part, name.key())),
            None => read,
        }
    }

    fn missing(&self, what: &str) -> SourceError {
        self.file
            .place("")
            .damaged(format!("{what} was asked for, but is not described"))
    }
}

impl CellSource for H5adSource {
    fn description(&self) -> &Description {
        &self.description
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        self.obs.ids(cells)
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        self.var.ids(genes)
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.obs.read(cells)
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.var.read(genes)
    }

    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<Numbers, SourceError> {
        match self.embeddings.get(&(axis, name.to_string())) {
            Some(embedding) => embedding.read(rows).map_err(|error| {
                let part = match axis {
                    Axis::Cells => Part::Obsm,
                    Axis::Genes => Part::Varm,
                };
                error.or_skip(part, name)
            }),
            None => Err(self.missing(name)),
        }
    }

    fn held_bytes(&self) -> u64 {
        self.file.held_bytes()
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        UnsReader::read(&self.file, "uns", &self.selection, &self.moved)
    }

    fn prepare(
        &self,
        matrix: &MatrixName,
        report: &(dyn Fn(u64) + Sync),
    ) -> Result<(), SourceError> {
        self.or_skip(matrix, self.matrix(matrix)?.stored.prepare(report))
    }

    fn offsets(
        &self,
        matrix: &MatrixName,
        rows: Range<u64>,
    ) -> Result<Option<Vec<u64>>, SourceError> {
        self.or_skip(matrix, self.matrix(matrix)?.stored.offsets(rows))
    }

    fn sample(
        &self,
        matrix: &MatrixName,
        visit: &mut dyn FnMut(&Numbers),
    ) -> Result<(), SourceError> {
        self.or_skip(matrix, self.matrix(matrix)?.stored.sample(visit))
    }

    fn sample_rows(
        &self,
        matrix: &MatrixName,
        visit: &mut dyn FnMut(SampledRows<'_>),
    ) -> Result<(), SourceError> {
        match &self.matrix(matrix)?.stored {
            StoredMatrix::Columns(columns) => self.or_skip(matrix, columns.sample_entries(visit)),
            _ => sampled_rows::by_chunks(&self.description, matrix, visit, |rows, budget| {
                self.chunks(matrix, rows, budget)
            }),
        }
    }

    fn chunks(
        &self,
        matrix: &MatrixName,
        rows: Range<u64>,
        budget: ChunkBudget,
    ) -> Result<Chunks<'_>, SourceError> {
        let name = matrix;
        let matrix = self.matrix(name)?;
        let chunks = self.or_skip(name, matrix.stored.chunks(rows, budget))?;
        let chunks = match &matrix.genes {
            None => chunks,
            Some(genes) => raw::with_genes_moved(chunks, genes, self.file.place("raw/X")),
        };
        let Some(part) = matrix.part else {
            return Ok(chunks);
        };
        let key = name.key().to_string();
        Ok(Box::new(chunks.map(move |pending| {
            let pending = pending.map_err(|error| error.or_skip(part, &key))?;
            let key = key.clone();
            let (cells, entries) = (pending.rows.clone(), pending.entries);
            Ok(PendingChunk::new(cells, entries, move || {
                pending.read().map_err(|error| error.or_skip(part, &key))
            }))
        })))
    }
}
