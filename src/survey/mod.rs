//! One look at each input: how large it is, who is in it, and what its values need.
//!
//! A survey reads headers, identifiers, the columns of cells and genes, and a sample of the values
//! that is spread over the whole matrix. It never reads the matrix.

mod exact;
mod fingerprint;
mod frames;
mod matrix;
mod value;

use crate::source::{Axis, CellSource, Note, SourceError};

pub use exact::FloatType;
pub use fingerprint::{Fingerprint, Repeats};
pub(crate) use frames::blocks;
pub use matrix::MatrixSurvey;
pub(crate) use value::first_misfit;
pub use value::{ValueType, ValueTypes};

/// What a survey found out about one input. Lists are in the order of the description's.
#[derive(Debug, Clone)]
pub struct Survey {
    /// What identifies the input.
    pub fingerprint: Fingerprint,
    /// Cells whose identifier another cell of the input has too.
    pub repeated_cells: Repeats,
    /// Likewise for genes.
    pub repeated_genes: Repeats,
    /// The matrix that becomes the expression table.
    pub main: MatrixSurvey,
    pub layers: Vec<MatrixSurvey>,
    /// The type that holds every number of an embedding exactly.
    pub obsm: Vec<FloatType>,
    pub varm: Vec<FloatType>,
    /// Matrices of cells × cells and genes × genes.
    pub obsp: Vec<MatrixSurvey>,
    pub varp: Vec<MatrixSurvey>,
    /// What of the unstructured part is not converted, or not as it is.
    pub uns_left_out: Vec<Note>,
    pub uns_converted: Vec<Note>,
}

impl Survey {
    /// Looks at an input.
    pub fn of(source: &dyn CellSource) -> Result<Self, SourceError> {
        let description = source.description();
        let (fingerprint, repeated_cells, repeated_genes) = fingerprint::take(source)?;
        frames::check(source)?;
        let (cells, genes) = (description.cells, description.genes);
        let embeddings = |axis, rows, list: &[_]| {
            list.iter()
                .map(|embedding| exact::of_embedding(source, axis, rows, embedding))
                .collect::<Result<Vec<_>, _>>()
        };
        let matrices = |shape, list: &[_]| {
            list.iter()
                .map(|matrix| MatrixSurvey::of(source, matrix, shape))
                .collect::<Result<Vec<_>, _>>()
        };
        let uns = source.uns()?;
        Ok(Survey {
            fingerprint,
            repeated_cells,
            repeated_genes,
            main: MatrixSurvey::of(source, &description.main, [cells, genes])?,
            layers: matrices([cells, genes], &description.layers)?,
            obsm: embeddings(Axis::Cells, cells, &description.obsm)?,
            varm: embeddings(Axis::Genes, genes, &description.varm)?,
            obsp: matrices([cells, cells], &description.obsp)?,
            varp: matrices([genes, genes], &description.varp)?,
            uns_left_out: uns.left_out,
            uns_converted: uns.converted,
        })
    }
}
