//! AnnData in HDF5 (h5ad), in every version that anndata itself can read.
//!
//! The layout is documented in anndata's "On-disk format" page: every group and dataset has the
//! attributes `encoding-type` and `encoding-version`. Older files lack them; what they contain
//! instead was learned from files and from anndata's code for reading them.

mod categories;
mod check;
mod column;
mod contents;
mod embedding;
mod frame;
mod matrix;
mod members;
mod open_matrix;
mod raw_paths;
mod uns;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use arrow::array::{RecordBatch, StringArray};

use self::contents::Contents;
use self::embedding::EmbeddingReader;
use self::frame::Frame;
use self::open_matrix::OpenMatrix;
use self::uns::UnsReader;
use super::hdf5::Hdf5File;
use super::{
    Axis, CellSource, Description, InputFormat, Matrix, MatrixName, OpenOptions, Part, Probe,
    ProbedPath, Selection, SourceError, TypedVec, Uns,
};

/// AnnData in HDF5.
pub(super) struct H5ad;

impl InputFormat for H5ad {
    fn name(&self) -> &'static str {
        "h5ad"
    }

    fn looks_like(&self) -> &'static str {
        ".h5ad"
    }

    fn probe(&self, site: &ProbedPath<'_>) -> Result<Probe, SourceError> {
        site.hdf5()?.map_or(Ok(Probe::No), check::probe)
    }

    fn open(&self, path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError> {
        Ok(Box::new(H5adSource::open(path, options)?))
    }
}

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

impl H5adSource {
    /// Opens a file and reads its headers.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, SourceError> {
        let file = Hdf5File::open(path, options)?;
        check::check_is_anndata(&file, options)?;
        Contents::read(&file, options)
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

    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        match self.embeddings.get(&(axis, name.to_string())) {
            Some(embedding) => embedding.read(rows).map_err(|error| {
                let part = match axis {
                    Axis::Cells => Part::Obsm,
                    Axis::Genes => Part::Varm,
                };
                error.or_skip(part, name)
            }),
            None => Err(self.file.place("").not_described(name)),
        }
    }

    fn held_bytes(&self) -> u64 {
        self.file.held_bytes()
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        UnsReader::read(&self.file, "uns", &self.selection, &self.moved)
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        match self.matrices.get(name) {
            Some(matrix) => Ok(matrix),
            None => Err(self.file.place("").not_described(name)),
        }
    }
}
