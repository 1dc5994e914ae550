//! AnnData in HDF5 (h5ad), as anndata 0.8 and later write it.
//!
//! The layout is documented in anndata's "On-disk format" page: every group and dataset has the
//! attributes `encoding-type` and `encoding-version`.

mod categories;
mod column;
mod dense;
mod frame;
mod inventory;
mod sparse;

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};

use self::dense::DenseMatrix;
use self::frame::Frame;
use self::sparse::CsrMatrix;
use super::error::Place;
use super::hdf5::{Attribute, Container, Kind, Watched};
use super::{
    CellSource, ChunkBudget, Chunks, Description, Format, Layout, Matrix, NumberType, Numbers,
    ReadBudget, SourceError,
};

/// The main matrix's name.
const X: &str = "X";

/// An open h5ad file.
pub(super) struct H5adSource {
    description: Description,
    obs: Frame,
    var: Frame,
    x: XMatrix,
}

enum XMatrix {
    Csr(CsrMatrix),
    Dense(DenseMatrix),
    Absent,
}

impl H5adSource {
    /// Opens a file and reads its headers.
    pub fn open(path: &Path, budget: ReadBudget) -> Result<Self, SourceError> {
        let root = Place::new(path, "/");
        let file = Arc::new(File::open(path).map_err(|e| root.io("open", e))?);
        let container: Arc<dyn Container> = Arc::new(Watched::open(path)?);
        check_is_anndata(&*container)?;
        let obs = Frame::open(&container, &file, "obs", budget)?;
        let var = Frame::open(&container, &file, "var", budget)?;
        let shape = [obs.rows(), var.rows()];
        let x = open_x(&container, &file, shape, budget)?;
        let matrix = match &x {
            XMatrix::Csr(csr) => Matrix {
                name: X.into(),
                layout: Layout::Csr,
                number_type: csr.number_type(),
                entries: Some(csr.entries()),
            },
            XMatrix::Dense(dense) => Matrix {
                name: X.into(),
                layout: Layout::Dense,
                number_type: dense.number_type(),
                entries: None,
            },
            XMatrix::Absent => Matrix {
                name: X.into(),
                layout: Layout::Absent,
                number_type: NumberType::Float32,
                entries: Some(0),
            },
        };
        let mut left_out = inventory::left_out(&*container)?;
        left_out.extend(obs.left_out().iter().chain(var.left_out()).cloned());
        let description = Description {
            path: path.to_path_buf(),
            format: Format::H5ad,
            cells: shape[0],
            genes: shape[1],
            matrices: vec![matrix],
            obs: obs.columns(),
            var: var.columns(),
            left_out,
        };
        Ok(H5adSource {
            description,
            obs,
            var,
            x,
        })
    }
}

/// Tells an AnnData from the other things that are kept in HDF5 files.
fn check_is_anndata(container: &dyn Container) -> Result<(), SourceError> {
    let place = Place::new(container.path(), "/");
    if container.kind("mod")? == Kind::Group {
        return Err(place.unsupported(
            "MuData (h5mu)",
            "write one of its modalities as h5ad: mdata.mod[\"rna\"].write_h5ad(NEW)",
        ));
    }
    for (object, role) in [("obs", "cells"), ("var", "genes")] {
        if container.kind(object)? == Kind::Missing {
            let help = if container.kind("matrix")? == Kind::Group {
                "it looks like a 10x matrix, a format that is not read yet"
            } else if container.kind("col_attrs")? == Kind::Group {
                "it looks like loom; rewrite it as h5ad"
            } else {
                "give a file that anndata wrote"
            };
            return Err(place.unsupported(
                format!("a file without the group {object:?}, which describes the {role},"),
                help,
            ));
        }
    }
    Ok(())
}

/// The encoding of an object, from today's attribute or from that of h5sparse.
fn encoding(container: &dyn Container, object: &str) -> Result<Option<String>, SourceError> {
    for name in ["encoding-type", "h5sparse_format"] {
        if let Some(attribute) = container.attribute(object, name)? {
            return Ok(attribute.text().map(str::to_string));
        }
    }
    Ok(None)
}

fn open_x(
    container: &Arc<dyn Container>,
    file: &Arc<File>,
    shape: [u64; 2],
    budget: ReadBudget,
) -> Result<XMatrix, SourceError> {
    let place = Place::new(container.path(), X);
    match container.kind(X)? {
        Kind::Missing => Ok(XMatrix::Absent),
        Kind::Dataset if encoding(&**container, X)?.as_deref() == Some("null") => {
            Ok(XMatrix::Absent)
        }
        Kind::Dataset => DenseMatrix::open(container, file, X, shape, budget).map(XMatrix::Dense),
        Kind::Group => match encoding(&**container, X)?.as_deref() {
            Some("csr_matrix" | "csr") => {
                CsrMatrix::open(container, file, X, shape, budget).map(XMatrix::Csr)
            }
            Some("csc_matrix" | "csc") => Err(place.unsupported(
                "a matrix sorted by gene (CSC)",
                "rewrite it sorted by cell: adata.X = adata.X.tocsr()",
            )),
            Some(other) => Err(place.unsupported(
                format!("the encoding {other:?}"),
                "rewrite X as a CSR or dense matrix",
            )),
            None => Err(place.damaged("it is a group without the attribute \"encoding-type\"")),
        },
        Kind::Other => Err(place.damaged("it is neither a group nor a dataset")),
    }
}

impl CellSource for H5adSource {
    fn description(&self) -> &Description {
        &self.description
    }

    fn cell_ids(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        self.obs.ids(cells)
    }

    fn gene_ids(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        self.var.ids(genes)
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.obs.read(cells)
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.var.read(genes)
    }

    fn offsets(&self, _matrix: &str, cells: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        match &self.x {
            XMatrix::Csr(csr) => csr.offsets(cells).map(Some),
            XMatrix::Dense(_) => Ok(None),
            XMatrix::Absent => Ok(Some(cells.chain([0]).map(|_| 0).collect())),
        }
    }

    fn sample(&self, _matrix: &str, visit: &mut dyn FnMut(&Numbers)) -> Result<(), SourceError> {
        match &self.x {
            XMatrix::Csr(csr) => csr.sample(visit),
            XMatrix::Dense(dense) => dense.sample(visit),
            XMatrix::Absent => Ok(()),
        }
    }

    fn chunks(
        &self,
        _matrix: &str,
        cells: Range<u64>,
        budget: ChunkBudget,
    ) -> Result<Chunks<'_>, SourceError> {
        match &self.x {
            XMatrix::Csr(csr) => Ok(csr.chunks(cells, budget)),
            XMatrix::Dense(dense) => Ok(dense.chunks(cells, budget)),
            XMatrix::Absent => Ok(sparse::empty_chunks(cells, budget)),
        }
    }
}

/// The shape that a sparse matrix's group declares, if it does.
fn declared_shape(
    container: &dyn Container,
    object: &str,
) -> Result<Option<Vec<i64>>, SourceError> {
    for name in ["shape", "h5sparse_shape"] {
        if let Some(attribute) = container.attribute(object, name)? {
            return Ok(Attribute::integers(&attribute));
        }
    }
    Ok(None)
}
