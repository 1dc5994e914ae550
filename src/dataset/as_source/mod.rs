//! Reads a SLAF dataset as an input, so that it can be converted or appended like any other format.
//!
//! The versions described by config.json are read; later changes by other programs are ignored. For
//! datasets written by the reference, the newest versions are read.

mod contents;
mod entries;
mod frame;
mod originals;
mod starts;
mod table;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::{RecordBatch, StringArray};
use arrow::buffer::NullBuffer;

use self::contents::Contents;
use self::entries::Entries;
pub(crate) use self::entries::numbers_of;
use self::frame::Frame;
use crate::source::{
    Axis, CellSource, Description, ErrorContext, Matrix, MatrixName, OpenOptions, SourceError,
    TypedVec, Uns,
};

/// An open dataset.
struct SlafSource {
    path: PathBuf,
    description: Description,
    obs: Frame,
    var: Frame,
    matrices: BTreeMap<MatrixName, Entries>,
    uns: Uns,
    files: Vec<PathBuf>,
}

/// Opens a dataset as an input.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError> {
    Ok(Box::new(Contents::read(path, options)?))
}

impl SlafSource {
    fn missing(&self, what: &str) -> SourceError {
        ErrorContext::whole(&self.path)
            .damaged(format!("{what:?} was asked for, but is not described"))
    }
}

impl CellSource for SlafSource {
    fn description(&self) -> &Description {
        &self.description
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
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
        let frame = match axis {
            Axis::Cells => &self.obs,
            Axis::Genes => &self.var,
        };
        let mut embeddings = frame.embeddings.iter();
        match embeddings.find(|known| known.embedding.name == name) {
            Some(embedding) => frame.embedding(embedding, rows),
            None => Err(self.missing(name)),
        }
    }

    fn embedding_nulls(
        &self,
        axis: Axis,
        name: &str,
        rows: Range<u64>,
    ) -> Result<Option<NullBuffer>, SourceError> {
        let frame = match axis {
            Axis::Cells => &self.obs,
            Axis::Genes => &self.var,
        };
        let mut embeddings = frame.embeddings.iter();
        match embeddings.find(|known| known.embedding.name == name) {
            Some(embedding) => frame.embedding_nulls(embedding, rows),
            None => Err(self.missing(name)),
        }
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        Ok(self.uns.clone())
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        match self.matrices.get(name) {
            Some(matrix) => Ok(matrix),
            None => Err(self.missing(name.key())),
        }
    }

    fn held_bytes(&self) -> u64 {
        let starts = self
            .matrices
            .values()
            .map(|matrix| matrix.starts.held_bytes());
        starts.max().unwrap_or(0)
    }
}
