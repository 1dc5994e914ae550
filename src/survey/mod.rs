//! First pass over each input: its size, its identifiers, and what its values require.
//!
//! A survey reads headers, identifiers, the obs and var columns, and a sample of the values that is
//! spread over the whole matrix. It never reads the whole matrix.

mod exact;
mod fingerprint;
mod frames;
mod gene_lists;
mod matrix;
mod scale;
mod value;

use crate::parallel::OrderedWork;
use crate::source::{
    Axis, CellSource, Description, Inputs, Note, RepeatedName, SourceError, Stamp,
};

pub use exact::FloatType;
pub(crate) use fingerprint::id_hash;
pub use fingerprint::{Fingerprint, Repeats};
pub use gene_lists::{GeneLists, STABLE_IDS, Versions};
pub use matrix::MatrixSurvey;
pub use scale::{Agreement, LogBase, Scale, ScaleKind, WrittenValues};
pub(crate) use scale::{RowSample, of_rows};
pub(crate) use value::first_misfit;
pub use value::{ValueType, ValueTypes};

/// What the first pass found out about one input. Lists are in the order of the description's.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Survey {
    /// What the headers say.
    pub description: Description,
    /// What identifies the input.
    pub fingerprint: Fingerprint,
    /// Cells whose identifier an earlier cell of the input has.
    pub repeated_cells: Repeats,
    /// Genes whose identifier an earlier gene of the input has.
    pub repeated_genes: Repeats,
    /// Hash of each cell's identifier, used to compare cells across inputs.
    pub cell_hashes: Vec<u64>,
    /// Digests that show whether two inputs have the same genes.
    pub gene_lists: GeneLists,
    /// Genes whose names were made unique with suffixes that depend on their order.
    pub repeated_names: Vec<RepeatedName>,
    /// The matrix that becomes the expression table.
    pub main: MatrixSurvey,
    /// Surveys of the layers.
    pub layers: Vec<MatrixSurvey>,
    /// For each embedding of cells, the type that holds all of its numbers exactly.
    pub obsm: Vec<FloatType>,
    /// For each embedding of genes, the type that holds all of its numbers exactly.
    pub varm: Vec<FloatType>,
    /// Surveys of the matrices of cells × cells.
    pub obsp: Vec<MatrixSurvey>,
    /// Surveys of the matrices of genes × genes.
    pub varp: Vec<MatrixSurvey>,
    /// Elements of `uns` that are not converted.
    pub uns_left_out: Vec<Note>,
    /// Elements of `uns` that are converted with changes.
    pub uns_converted: Vec<Note>,
}

impl Survey {
    /// Returns the scale of a layer. A layer that the input lacks counts as empty.
    pub fn scale_of_layer(&self, name: &str) -> Scale {
        let mut layers = self.description.layers.iter().zip(&self.layers);
        let found = layers.find(|(matrix, _)| matrix.name.key() == name);
        found.map_or(Scale::of(ScaleKind::Empty), |(_, survey)| survey.scale)
    }

    /// Surveys all inputs on up to `threads` threads.
    ///
    /// # Errors
    /// The first reading error of any input.
    pub fn of_all(inputs: &Inputs, threads: usize) -> Result<Vec<Self>, SourceError> {
        let mut surveys = Vec::with_capacity(inputs.len());
        OrderedWork::new("slaf-survey", threads.min(inputs.len()))
            // All of them are kept, whether taken or not.
            .window(usize::MAX)
            .run(
                (0..inputs.len()).map(Ok),
                |number| Survey::of_input(inputs, number),
                |survey| {
                    surveys.push(survey);
                    Ok::<(), SourceError>(())
                },
            )?;
        Ok(surveys)
    }

    /// Surveys one of several inputs, checking against the stamp its files had when it was first
    /// opened.
    pub(crate) fn of_input(inputs: &Inputs, number: usize) -> Result<Self, SourceError> {
        let stamp = inputs.stamp(number)?;
        Survey::since(&*inputs.get(number)?, stamp)
    }

    /// Surveys an input.
    ///
    /// # Errors
    /// If the input cannot be read or changes while it is.
    pub fn of(source: &dyn CellSource) -> Result<Self, SourceError> {
        Survey::since(source, Stamp::of(&source.files())?)
    }

    /// Surveys an input whose files had this stamp before anything was read from them.
    fn since(source: &dyn CellSource, stamp: Stamp) -> Result<Self, SourceError> {
        let description = source.description();
        let taken = fingerprint::take(source, stamp)?;
        let stable_ids = frames::check(source)?;
        let (cells, genes) = (description.n_obs, description.n_vars);
        let embeddings = |axis, rows, list: &[_]| {
            list.iter()
                .map(|embedding| exact::of_embedding(source, axis, rows, embedding))
                .collect::<Result<Vec<_>, _>>()
        };
        let matrices = |shape, list: &[_]| {
            list.iter()
                .map(|matrix| MatrixSurvey::of(source, matrix, shape, None))
                .collect::<Result<Vec<_>, _>>()
        };
        let uns = source.uns()?;
        let noted = uns.values.get("log1p").and_then(LogBase::noted);
        Ok(Survey {
            description: description.clone(),
            fingerprint: taken.fingerprint,
            repeated_cells: taken.repeated_cells,
            repeated_genes: taken.repeated_genes,
            cell_hashes: taken.cell_hashes,
            gene_lists: GeneLists {
                ids: taken.gene_ids,
                stable_ids: stable_ids.complete,
                known_ids: stable_ids.known,
                versions: [taken.gene_versions, stable_ids.versions],
            },
            repeated_names: source.repeated_names()?,
            main: MatrixSurvey::of(source, &description.x, [cells, genes], noted)?,
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
