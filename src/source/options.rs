//! Options that determine what is read from an input, and with what resources.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::ErrorContext;
use super::format_options::{FormatOptions, OptionValue};
use super::{Format, Formats, InputFormat, KnownCells, NameMap, Selection, SourceError};
use crate::remedy::{Remedy, Setting};

/// How to open an input. By default, everything the format supports is read.
///
/// Resources and the known formats are no part of the serialised form, which plans and datasets keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct OpenOptions {
    /// Forces a format; otherwise the content decides, never the file name.
    pub format: Option<Format>,
    /// The formats that are asked.
    pub formats: Formats,
    /// What was given for options that only some formats have; see [`OpenOptions::with`].
    pub own: FormatOptions,
    /// Memory that reading may use, in bytes, for all threads together.
    pub memory: u64,
    /// Number of threads a reader may start for its own work.
    pub threads: usize,
    /// Folder for the temporary files of transposed (column-major) matrices.
    pub scratch: PathBuf,
    /// Matrix that becomes the expression table.
    pub matrix: MainMatrix,
    /// What to do with the raw matrix if it is not the one converted to the expression table.
    pub raw: RawUse,
    /// The parts of the input that are read: obs and var columns, layers, embeddings, uns.
    pub selection: Selection,
    /// What to do with names that several cells, or several genes, share.
    pub names: Names,
    /// Name of the input in the dataset; its file name if `None`.
    pub source_name: Option<String>,
    /// Prefix for the identifiers of all cells; `{source}` stands for the name of the input.
    pub cell_id_prefix: Option<String>,
    /// Columns to add to obs: name, and one text value for all cells.
    pub add_columns: Vec<(String, String)>,
    /// Condition on the obs columns, in SQL; cells that do not match are left out.
    pub cells_where: Option<String>,
    /// Maximum number of cells to take, counted from the first.
    pub limit: Option<u64>,
    /// Genes to take, by name; all if `None`.
    pub genes: Option<Vec<String>>,
    /// What gene names stand for, if the input does not say.
    pub gene_map: Option<NameMap>,
    /// Gene columns whose Ensembl identifiers lose their version; `gene_id` stands for the names.
    pub strip_versions: Vec<String>,
    /// Of the cells that are chosen, those that are left out, because their counts are there already.
    pub known_cells: Option<KnownCells>,
}

/// The option of SOMA, which stands where versions wrote it that knew no formats' own options.
const MEASUREMENT: &str = "measurement";

/// Options as plans and datasets keep them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    measurement: Option<String>,
    matrix: MainMatrix,
    raw: RawUse,
    selection: Selection,
    names: Names,
    #[serde(flatten)]
    own: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell_id_prefix: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    add_columns: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cells_where: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    genes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gene_map: Option<NameMap>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strip_versions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_cells: Option<KnownCells>,
}

impl From<OpenOptions> for Written {
    fn from(options: OpenOptions) -> Self {
        let mut own = options.own.written(&options.formats.options());
        let measurement = own.shift_remove(MEASUREMENT);
        Written {
            format: options.format,
            measurement: measurement.and_then(|value| value.as_str().map(String::from)),
            matrix: options.matrix,
            raw: options.raw,
            selection: options.selection,
            names: options.names,
            own,
            source_name: options.source_name,
            cell_id_prefix: options.cell_id_prefix,
            add_columns: options.add_columns,
            cells_where: options.cells_where,
            limit: options.limit,
            genes: options.genes,
            gene_map: options.gene_map,
            strip_versions: options.strip_versions,
            known_cells: options.known_cells,
        }
    }
}

impl From<Written> for OpenOptions {
    fn from(mut written: Written) -> Self {
        if let Some(measurement) = written.measurement {
            written.own.insert(MEASUREMENT.into(), measurement.into());
        }
        let resources = OpenOptions::default();
        OpenOptions {
            format: written.format,
            own: FormatOptions::read(written.own, &resources.formats.options()),
            matrix: written.matrix,
            raw: written.raw,
            selection: written.selection,
            names: written.names,
            source_name: written.source_name,
            cell_id_prefix: written.cell_id_prefix,
            add_columns: written.add_columns,
            cells_where: written.cells_where,
            limit: written.limit,
            genes: written.genes,
            gene_map: written.gene_map,
            strip_versions: written.strip_versions,
            known_cells: written.known_cells,
            ..resources
        }
    }
}

impl OpenOptions {
    /// Returns the name of an input in the dataset.
    pub fn name_of(&self, path: &Path) -> String {
        match &self.source_name {
            Some(name) => name.clone(),
            None => path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        }
    }
}

/// What to do with names that several cells, or several genes, share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// They are kept.
    #[default]
    AsTheyAre,
    /// All but the first get a suffix: `-1`, `-2` …
    MadeUnique,
}

/// The matrix that becomes the expression table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MainMatrix {
    /// The default of the format: X of an AnnData, the layer `data` (or the only layer) of a
    /// measurement.
    #[default]
    Own,
    /// The raw matrix, which has its own genes.
    Raw,
    /// A layer, by name.
    Layer(String),
}

/// What to do with the raw matrix of an AnnData.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawUse {
    /// It is not read.
    #[default]
    LeaveOut,
    /// Convert it to the layer `raw`; its genes must be those of X.
    Layer,
}

impl Default for OpenOptions {
    /// Everything, with 512 MiB of memory, one thread and the system's folder for temporary files.
    fn default() -> Self {
        OpenOptions {
            format: None,
            formats: Formats::default(),
            own: FormatOptions::default(),
            memory: 512 << 20,
            threads: 1,
            scratch: std::env::temp_dir(),
            matrix: MainMatrix::default(),
            raw: RawUse::default(),
            selection: Selection::default(),
            names: Names::default(),
            source_name: None,
            cell_id_prefix: None,
            add_columns: Vec::new(),
            cells_where: None,
            limit: None,
            genes: None,
            gene_map: None,
            strip_versions: Vec::new(),
            known_cells: None,
        }
    }
}

impl OpenOptions {
    /// Sets an option that only some formats have, by its name: `gene-id` of a 10x matrix.
    ///
    /// # Errors
    /// Where no format has it, or its value is none of those it may have.
    ///
    /// ```
    /// use slaf::source::OpenOptions;
    ///
    /// let options = OpenOptions::default().with("gene-id", "ensembl")?;
    /// assert!(options.with("gene-id", "number").is_err());
    /// # Ok::<(), String>(())
    /// ```
    pub fn with(mut self, name: &str, value: impl Into<OptionValue>) -> Result<Self, String> {
        let specs = self.formats.options();
        let spec = specs.into_iter().find(|spec| spec.name == name);
        let spec = spec.ok_or_else(|| format!("no format has the option {name:?}"))?;
        let set = self.own.set(spec, value);
        set.map_err(|problem| format!("{name}: {problem}"))?;
        Ok(self)
    }

    /// The format of a name that was forced.
    pub(super) fn format_named(
        &self,
        path: &Path,
        name: &Format,
    ) -> Result<&'static dyn InputFormat, SourceError> {
        self.formats.get(name.as_str()).ok_or_else(|| {
            let known: Vec<&str> = self.formats.iter().map(|format| format.name()).collect();
            ErrorContext::whole(path).unsupported(
                format!(
                    "the format {name:?}, which is not known,",
                    name = name.as_str()
                ),
                format!("choose one of: {}", known.join(", ")),
            )
        })
    }

    /// Rejects options that do not apply to the format.
    pub(super) fn check(&self, path: &Path, format: &dyn InputFormat) -> Result<(), SourceError> {
        let place = ErrorContext::whole(path);
        let specs = self.formats.options();
        for spec in specs.iter().filter(|spec| self.own.has(spec)) {
            if format.options().iter().all(|own| own.name != spec.name) {
                return Err(place.refuses(
                    Setting::any(spec.name),
                    format!("the input is no {}", spec.of),
                    Remedy::omit(spec.name),
                ));
            }
        }
        match self
            .own
            .keys()
            .find(|key| specs.iter().all(|spec| spec.key != *key))
        {
            Some(key) => Err(place.unsupported(
                format!("the option {key:?}, which no known format has,"),
                "open it with the program that knows its format",
            )),
            None => Ok(()),
        }
    }
}
