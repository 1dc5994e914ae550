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
use self::frame::Frame;
use self::matrix::StoredMatrix;
use self::object::Storage;
use self::tiledb::files::Folder;
use self::tiledb::group::Group;
use self::uns::UnsReader;
use super::error::ErrorContext;
use super::text::TextFile;
use super::{
    Among, Axis, CellSource, ChunkBudget, Chunks, Description, Form, InputFormat, Matrix,
    MatrixName, OpenOptions, OptionKind, OptionScope, OptionSpec, Probe, ProbedPath, Reindex,
    Selection, Siblings, SourceError, TypedVec, Uns,
};

/// A TileDB-SOMA experiment.
pub(super) struct Soma;

/// The measurement that is read; without it `RNA`, or the only one.
const MEASUREMENT: OptionSpec = OptionSpec {
    name: "measurement",
    key: "measurement",
    kind: OptionKind::Text,
    scope: OptionScope::Settings,
    of: "SOMA experiment",
    heading: "Input",
    value_name: "NAME",
    help: "The measurement of a SOMA experiment [default: RNA, or the only one]",
    one_input: None,
};

impl InputFormat for Soma {
    fn name(&self) -> &'static str {
        "soma"
    }

    fn about(&self) -> &'static str {
        "A TileDB-SOMA experiment, a folder"
    }

    fn form(&self) -> Form {
        Form::Folder
    }

    fn looks_like(&self) -> &'static str {
        "SOMA experiment"
    }

    fn options(&self) -> &'static [&'static OptionSpec] {
        &[&MEASUREMENT]
    }

    fn probe(&self, site: &ProbedPath<'_>) -> Result<Probe, SourceError> {
        if !site.is_folder() {
            return Ok(Probe::No);
        }
        Ok(match look(site.path())? {
            Found::Experiment => Probe::Yes,
            Found::Nothing => Probe::No,
            Found::Other(called) => {
                let found = format!(
                    "is {called}, which alone is no dataset; name the folder of its SOMAExperiment"
                );
                let path = site.path().to_path_buf();
                Probe::Foreign {
                    called,
                    refusal: Box::new(SourceError::UnknownFormat { path, found }),
                }
            }
        })
    }

    /// Experiments are many files, which are read as they lie in a folder only.
    fn among(&self, files: Siblings<'_>) -> Result<Among, SourceError> {
        let is_tiledb = |file: &TextFile| {
            let name = file.name();
            name.split('/').any(|part| TILEDB.contains(&part))
        };
        let members = files.members().unwrap_or_default();
        if !members.iter().any(is_tiledb) {
            return Ok(Among::default());
        }
        let called =
            "an archive of a TileDB-SOMA experiment or array; unpack it to have it read: tar xf";
        let refusal = SourceError::UnknownFormat {
            path: files.path().to_path_buf(),
            found: "is an archive of a TileDB-SOMA experiment or array; unpack it first (tar xf) and name the folder".into(),
        };
        Ok(Among {
            foreign: Some((called.into(), refusal)),
            ..Among::default()
        })
    }

    fn open(&self, path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError> {
        Ok(Box::new(SomaSource::open(path, options)?))
    }
}

/// What TileDB writes into every array and group.
const TILEDB: [&str; 4] = [
    "__tiledb_group.tdb",
    "__schema",
    "__commits",
    "__array_schema.tdb",
];

/// An open experiment.
pub(super) struct SomaSource {
    place: ErrorContext,
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
    place: ErrorContext,
    rows: u64,
    stored: StoredMatrix,
    genes: Reindex,
}

/// What a folder is in terms of TileDB-SOMA.
enum Found {
    Experiment,
    /// Another TileDB object, with what to call it.
    Other(String),
    /// Not a TileDB object.
    Nothing,
}

/// Determines what a folder is.
fn look(path: &Path) -> Result<Found, SourceError> {
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

    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<TypedVec, SourceError> {
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

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        self.stored.sample(visit)
    }

    // Rows are sampled by reading them; the index finds the rows of a range regardless of the order
    // they are stored in.

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        let chunks = self.stored.chunks(rows, budget)?;
        Ok(self.genes.over(chunks, &self.place, "genes"))
    }
}
