//! Options that determine what is read from an input, and with what resources.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Place;
use super::{Format, NameMap, Selection, SourceError};

/// How to open an input. By default, everything the format supports is read.
///
/// Resources are not part of the serialised form that plans and datasets store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenOptions {
    /// Forces a format; otherwise the content decides, never the file name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Memory that reading may use, in bytes, for all threads together.
    #[serde(skip, default = "default_memory")]
    pub memory: u64,
    /// Number of threads a reader may start for its own work.
    #[serde(skip, default = "one_thread")]
    pub threads: usize,
    /// Folder for the temporary files of transposed (column-major) matrices.
    #[serde(skip, default = "std::env::temp_dir")]
    pub scratch: PathBuf,
    /// Measurement to read, for formats that have several; by default `RNA`, or the only one.
    pub measurement: Option<String>,
    /// Matrix that becomes the expression table.
    pub matrix: MainMatrix,
    /// What to do with the raw matrix if it is not the one converted to the expression table.
    pub raw: RawUse,
    /// Parts of the input to convert.
    pub selection: Selection,
    /// What to do with duplicate names.
    pub names: Names,
    /// Genomes whose features are kept; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub genomes: Vec<String>,
    /// Feature types that are kept (`Gene Expression`, `Antibody Capture`, …); all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub feature_types: Vec<String>,
    /// What identifies a gene of a 10x matrix.
    pub gene_id: GeneId,
    /// Barcodes file of a matrix that has none next to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barcodes: Option<PathBuf>,
    /// Features file of a matrix that has none next to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<PathBuf>,
    /// What the rows and columns of a Matrix Market file are, if neither sizes nor names determine
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation: Option<Orientation>,
    /// Name of the input in the dataset; its file name if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// Prefix for the identifiers of all cells; `{source}` stands for the name of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_id_prefix: Option<String>,
    /// Columns to add to obs: name, and one text value for all cells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_columns: Vec<(String, String)>,
    /// Condition on the obs columns, in SQL; cells that do not match are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells_where: Option<String>,
    /// Maximum number of cells to take, counted from the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Genes to take, by name; all if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genes: Option<Vec<String>>,
    /// What gene names stand for, if the input does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gene_map: Option<NameMap>,
    /// Gene columns whose Ensembl identifiers lose their version; `gene_id` stands for the names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strip_versions: Vec<String>,
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
    /// Keep them.
    #[default]
    AsTheyAre,
    /// All but the first get a suffix: `-1`, `-2` …
    MadeUnique,
}

/// What identifies a gene of a 10x matrix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeneId {
    /// Its symbol, made unique the way scanpy does.
    #[default]
    Symbol,
    /// Its identifier, which for genes is the Ensembl ID.
    Ensembl,
}

/// What the rows and columns of a matrix are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// Cells are rows, as in the output of kallisto, alevin-fry and Parse Biosciences.
    CellsByGenes,
    /// Genes are rows, as in the output of Cell Ranger and STARsolo.
    GenesByCells,
}

impl std::fmt::Display for Orientation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Orientation::CellsByGenes => "cells-by-genes",
            Orientation::GenesByCells => "genes-by-cells",
        })
    }
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
    /// Leave it out.
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
            memory: default_memory(),
            threads: one_thread(),
            scratch: std::env::temp_dir(),
            measurement: None,
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
            genomes: Vec::new(),
            feature_types: Vec::new(),
            gene_id: GeneId::default(),
            barcodes: None,
            features: None,
            orientation: None,
        }
    }
}

fn default_memory() -> u64 {
    512 << 20
}

fn one_thread() -> usize {
    1
}

impl OpenOptions {
    /// Rejects options that do not apply to the format.
    pub(super) fn check(&self, path: &Path, format: Format) -> Result<(), SourceError> {
        let place = Place::whole(path);
        let refused = |flag: &str, of: &str| {
            Err(place.unsupported(
                format!("{flag}: an input that is {of}"),
                format!("leave out {flag}"),
            ))
        };
        let tenx = match format {
            Format::H5ad | Format::Soma | Format::Slaf => false,
            Format::TenxH5 | Format::TenxMtx => true,
        };
        for (flag, given) in [
            ("--genome", !self.genomes.is_empty()),
            ("--feature-type", !self.feature_types.is_empty()),
            ("--gene-id", self.gene_id != GeneId::default()),
            ("--barcodes", self.barcodes.is_some()),
            ("--features", self.features.is_some()),
        ] {
            if given && !tenx {
                return refused(flag, "no 10x matrix");
            }
        }
        if tenx && self.matrix != MainMatrix::Own {
            return refused("--matrix", "a 10x matrix, which has no other,");
        }
        if tenx && self.raw == RawUse::Layer {
            return refused("--raw-as-layer", "a 10x matrix, which has no raw one,");
        }
        if format != Format::TenxMtx && self.orientation.is_some() {
            return refused("--orientation", "no Matrix Market file");
        }
        if format != Format::Soma && self.measurement.is_some() {
            return refused("--measurement", "no SOMA experiment");
        }
        Ok(())
    }
}
