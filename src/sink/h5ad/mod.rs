//! h5ad files, in the encoding of anndata 0.8 and later.
//!
//! The format is described in anndata's "On-disk format" (encoding versions 0.1.0 and 0.2.0).

mod column;
mod frame;
mod matrix;
mod uns;

use std::path::{Path, PathBuf};

use frame::FrameWriter;
pub(super) use matrix::{CompressedMatrix, Parts};

use super::hdf5::{Filters, Group, Hdf5Writer, Headers};
use super::{FrameBlock, MatrixLayout, MatrixSink, Outline, Sink, SinkError};
use crate::parallel::WorkerFault;
use crate::source::{Axis, MatrixDescription, MatrixName, Note, ScalarType, Uns};

/// Columns of a frame beyond which their list is too long for the oldest headers: 64 KiB.
const MANY_COLUMNS: usize = 3900;

/// Writes an h5ad file.
pub struct H5adSink {
    file: Option<Hdf5Writer>,
    path: PathBuf,
    name: PathBuf,
    filters: Filters,
    part: Part,
    outline: Option<Outline>,
    obs: Option<FrameWriter>,
    var: Option<FrameWriter>,
}

/// Which part of a file a sink writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// What belongs to genes, and uns: files with other cells begin as copies of this one.
    Genes,
    /// The rest, into such a copy.
    Cells,
}

/// A group in which anndata keeps others by name.
const DICT: [&str; 2] = ["dict", "0.1.0"];

impl H5adSink {
    /// A file at `path`, which is called `name` in messages.
    pub fn new(path: &Path, name: &Path, filters: Filters) -> Self {
        H5adSink {
            file: None,
            path: path.to_path_buf(),
            name: name.to_path_buf(),
            filters,
            part: Part::All,
            outline: None,
            obs: None,
            var: None,
        }
    }

    /// Writes what belongs to genes alone; see [`super::Scope::OfGenes`].
    pub fn of_genes(self) -> Self {
        H5adSink {
            part: Part::Genes,
            ..self
        }
    }

    /// Writes what belongs to cells into a copy of the file of [`H5adSink::of_genes`].
    pub fn of_cells(self) -> Self {
        H5adSink {
            part: Part::Cells,
            ..self
        }
    }

    fn root(&self) -> Result<Group, SinkError> {
        match &self.file {
            Some(file) => file.root(),
            None => Err(SinkError::by_text(&self.name, "", "it is not open".into())),
        }
    }

    fn outline(&self) -> Result<&Outline, SinkError> {
        self.outline
            .as_ref()
            .ok_or(SinkError::Workers(WorkerFault::Died))
    }
}

/// The type in which the values of a matrix are written.
fn value_type(outline: &Outline, matrix: &MatrixDescription) -> ScalarType {
    match outline.value_type(matrix) {
        ScalarType::Float16 => ScalarType::Float32,
        other => other,
    }
}

impl Sink for H5adSink {
    fn begin(&mut self, outline: &Outline) -> Result<Vec<Note>, SinkError> {
        let about = &outline.description;
        let many = about.obs.len().max(about.var.len()) > MANY_COLUMNS;
        let headers = if many {
            Headers::Since18
        } else {
            Headers::Oldest
        };
        self.file = Some(match self.part {
            Part::All | Part::Genes => Hdf5Writer::create(&self.path, &self.name, headers)?,
            Part::Cells => Hdf5Writer::open(&self.path, &self.name, headers)?,
        });
        let root = self.root()?;
        if self.part != Part::Cells {
            root.encoding(["anndata", "0.1.0"])?;
            for group in ["layers", "obsm", "varm", "obsp", "varp", "uns"] {
                root.encoded(group, DICT)?;
            }
        }
        let mut notes = Vec::new();
        let mut frame =
            |axis| FrameWriter::create(&root, axis, outline, self.filters, &mut notes).map(Some);
        if self.part != Part::Genes {
            self.obs = frame(Axis::Cells)?;
        }
        if self.part != Part::Cells {
            self.var = frame(Axis::Genes)?;
        }
        for matrix in about.matrices() {
            if outline.value_type(matrix) == ScalarType::Float16 {
                let reason = "float16 became float32: scipy has no sparse matrix of float16";
                notes.push(Note::new(matrix.name.to_string(), reason));
            }
        }
        self.outline = Some(outline.clone());
        Ok(notes)
    }

    fn rows(&mut self, axis: Axis, block: &FrameBlock) -> Result<(), SinkError> {
        let frame = match axis {
            Axis::Cells => &mut self.obs,
            Axis::Genes => &mut self.var,
        };
        match frame {
            Some(frame) => frame.push(block),
            None => Err(SinkError::Workers(WorkerFault::Died)),
        }
    }

    fn matrix<'a>(
        &'a self,
        matrix: &MatrixDescription,
    ) -> Result<Option<Box<dyn MatrixSink + 'a>>, SinkError> {
        let outline = self.outline()?;
        let of_cells = matches!(matrix.name, MatrixName::X | MatrixName::Layer(_));
        let layout = if of_cells {
            outline.layout
        } else {
            MatrixLayout::Csr
        };
        let name = matrix.name.to_string();
        let group = self.root()?.group(&name)?;
        let [rows, columns] = outline.shape(&matrix.name);
        group.encoding(match layout {
            MatrixLayout::Csr => ["csr_matrix", "0.1.0"],
            MatrixLayout::Csc => ["csc_matrix", "0.1.0"],
        })?;
        let shape = [rows, columns].map(u64::cast_signed).to_vec();
        let shape = &mut crate::source::TypedVec::Int64(shape);
        group.numbers("shape", &[2], shape)?;
        let columns = match layout {
            MatrixLayout::Csr => columns,
            MatrixLayout::Csc => rows,
        };
        let most = matrix
            .entries
            .unwrap_or_else(|| rows.saturating_mul(columns));
        let parts = Parts::anndata(value_type(outline, matrix), columns, most);
        Ok(Some(Box::new(CompressedMatrix::create(
            &group,
            parts,
            self.filters,
        )?)))
    }

    fn uns(&mut self, uns: &Uns) -> Result<Vec<Note>, SinkError> {
        uns::write(&self.root()?.open("uns")?, uns)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        for frame in [self.obs.take(), self.var.take()].into_iter().flatten() {
            frame.finish()?;
        }
        match self.file.take() {
            Some(file) => file.close(),
            None => Ok(()),
        }
    }
}
