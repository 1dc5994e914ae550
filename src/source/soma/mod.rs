//! Reads TileDB-SOMA experiments without TileDB.
//!
//! There are two levels: the module [`tiledb`] implements the on-disk format of arrays and groups
//! and knows nothing about cells; the modules next to it implement how tiledbsoma represents an
//! experiment.
//!
//! * The experiment is a group with the data frame `obs` and the group `ms` of measurements. A
//!   measurement has `var` and the groups `X` (its layers), `obsm`, `varm`, `obsp`, `varp` and
//!   `uns`. The raw matrix of an AnnData is the measurement `raw`.
//! * A row or column of any array is identified by its joinid, which is not its position: there are
//!   gaps where cells were deleted. [`joinids`] maps joinids to positions.
//! * The reader refuses rather than guesses: an unknown version, filter, commit or flag is an error
//!   that names it.

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
use super::{
    Axis, CellSource, ChunkBudget, Chunks, Description, Matrix, MatrixName, Numbers, OpenOptions,
    Selection, SourceError, Uns,
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

/// A matrix, with the positions of its genes in var if their order differs.
struct OpenMatrix {
    place: Place,
    rows: u64,
    stored: StoredMatrix,
    genes: Option<Vec<u32>>,
}

/// What a folder is in terms of TileDB-SOMA.
pub(super) enum Found {
    /// A SOMA experiment.
    Experiment,
    /// Another TileDB object, with what to call it.
    Other(String),
    /// Not a TileDB object.
    Nothing,
}

/// Determines what a folder is.
pub(super) fn look(path: &Path) -> Result<Found, SourceError> {
    /// Larger than any metadata that identifies the type of an object.
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
            None => Err(self.place.not_described(name)),
        }
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        match &self.uns {
            Some(group) => UnsReader::read(group, &self.selection),
            None => Ok(Uns::default()),
        }
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        match self.matrices.get(name) {
            Some(matrix) => Ok(matrix),
            None => Err(self.place.not_described(name)),
        }
    }
}

impl Matrix for OpenMatrix {
    fn n_rows(&self) -> u64 {
        self.rows
    }

    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        Ok(self.stored.offsets(rows))
    }

    fn entries_at_most(&self) -> Option<u64> {
        self.stored.entries_at_most()
    }

    fn sample(&self, visit: &mut dyn FnMut(&Numbers)) -> Result<(), SourceError> {
        self.stored.sample(visit)
    }

    // Rows are sampled by reading them; the index finds the rows of a range regardless of the order
    // they are stored in.

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        let chunks = self.stored.chunks(rows, budget)?;
        Ok(match &self.genes {
            None => chunks,
            Some(genes) => raw::with_genes_moved(chunks, genes, self.place.clone()),
        })
    }
}
