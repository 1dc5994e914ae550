//! TileDB-SOMA experiments, read without TileDB.
//!
//! Two rooms in one: [`tiledb`] knows the on-disk format of arrays and groups, and nothing of
//! cells; what is beside it knows how tiledbsoma lays an experiment out in them.
//!
//! * The experiment is a group with the data frame `obs` and the group `ms` of measurements. A
//!   measurement has `var`, and groups `X` (its layers), `obsm`, `varm`, `obsp`, `varp` and `uns`.
//!   The raw matrix of an AnnData is the measurement `raw`.
//! * A row or column of any array is named by its joinid, which is not its position: where cells
//!   were deleted there are holes. [`joinids`] has the positions.
//! * The rule is to refuse, never to guess: a version, filter, commit or flag that is not known is
//!   an error that names it.

mod contents;
mod embedding;
mod files;
mod frame;
mod frame_column;
mod joinids;
mod matrix;
mod measurement;
mod object;
mod rows;
mod tiledb;
mod uns;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use arrow::array::{RecordBatch, StringArray};

use self::contents::Contents;
use self::embedding::EmbeddingReader;
use self::files::Folder;
pub(super) use self::files::remote_scheme;
use self::frame::Frame;
use self::matrix::StoredMatrix;
use self::object::Storage;
use self::tiledb::group::Group;
use self::uns::UnsReader;
use super::error::Place;
use super::raw;
use super::sampled_rows;
use super::{
    Axis, CellSource, ChunkBudget, Chunks, Description, MatrixName, Numbers, OpenOptions,
    SampledRows, Selection, SourceError, Uns,
};

/// An open experiment.
pub(super) struct SomaSource {
    place: Place,
    description: Description,
    obs: Frame,
    var: Frame,
    matrices: BTreeMap<MatrixName, OpenMatrix>,
    embeddings: BTreeMap<(Axis, String), EmbeddingReader>,
    uns: Option<Group>,
    selection: Selection,
}

/// A matrix, and where its genes are in var if their order is another.
struct OpenMatrix {
    object: String,
    stored: StoredMatrix,
    genes: Option<Vec<u32>>,
}

/// What a folder is to TileDB-SOMA.
pub(super) enum Found {
    Experiment,
    /// An object that is none, as it is called.
    Other(String),
    /// Nothing of TileDB.
    Nothing,
}

/// Looks into a folder.
pub(super) fn look(path: &Path) -> Result<Found, SourceError> {
    /// More than any metadata that tells what an object is.
    const MEMORY: u64 = 64 << 20;
    let folder = Folder::local(path, MEMORY)?;
    let storage = object::storage(&folder)?;
    if storage == Storage::None {
        return Ok(Found::Nothing);
    }
    let metadata = tiledb::metadata::read(&folder)?;
    Ok(match object::declared(&metadata) {
        Some("SOMAExperiment") => Found::Experiment,
        Some(kind) => Found::Other(format!("a {kind} of TileDB-SOMA")),
        None if storage == Storage::Group => Found::Other("a TileDB group".into()),
        None => Found::Other("a TileDB array".into()),
    })
}

impl SomaSource {
    /// Opens an experiment and reads its headers.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, SourceError> {
        let folder = Folder::local(path, options.memory)?;
        let experiment = object::group(&folder)?;
        match object::declared(&experiment.metadata) {
            Some("SOMAExperiment") => Contents::read(experiment, options),
            other => Err(folder.place().unsupported(
                format!(
                    "{}, which is no SOMAExperiment,",
                    other.unwrap_or("a TileDB group")
                ),
                "name the folder of the experiment",
            )),
        }
    }

    fn matrix(&self, name: &MatrixName) -> Result<&OpenMatrix, SourceError> {
        self.matrices
            .get(name)
            .ok_or_else(|| self.missing(&format!("{name:?}")))
    }

    fn missing(&self, what: &str) -> SourceError {
        self.place
            .damaged(format!("{what} was asked for, but is not described"))
    }
}

impl CellSource for SomaSource {
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
            Some(embedding) => embedding.read(rows),
            None => Err(self.missing(name)),
        }
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        match &self.uns {
            Some(group) => UnsReader::read(group, &self.selection),
            None => Ok(Uns::default()),
        }
    }

    fn entries_at_most(&self, matrix: &MatrixName) -> Option<u64> {
        self.matrices.get(matrix)?.stored.entries_at_most()
    }

    fn offsets(
        &self,
        matrix: &MatrixName,
        rows: Range<u64>,
    ) -> Result<Option<Vec<u64>>, SourceError> {
        Ok(self.matrix(matrix)?.stored.offsets(rows))
    }

    fn sample(
        &self,
        matrix: &MatrixName,
        visit: &mut dyn FnMut(&Numbers),
    ) -> Result<(), SourceError> {
        self.matrix(matrix)?.stored.sample(visit)
    }

    fn sample_rows(
        &self,
        matrix: &MatrixName,
        visit: &mut dyn FnMut(SampledRows<'_>),
    ) -> Result<(), SourceError> {
        // Whatever their order, rows of a range are found by the index.
        sampled_rows::at_places(self.description.n_obs, visit, |rows, budget| {
            self.chunks(matrix, rows, budget)
        })
    }

    fn chunks(
        &self,
        matrix: &MatrixName,
        rows: Range<u64>,
        budget: ChunkBudget,
    ) -> Result<Chunks<'_>, SourceError> {
        let matrix = self.matrix(matrix)?;
        let chunks = matrix.stored.chunks(rows, budget)?;
        Ok(match &matrix.genes {
            None => chunks,
            Some(genes) => raw::with_genes_moved(chunks, genes, self.place.clone()),
        })
    }
}
