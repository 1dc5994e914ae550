//! What of an input is read, and with what resources.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Place;
use super::{Format, NameMap, Selection, SourceError};

/// How an input is opened. The default reads everything that the format holds.
///
/// Resources are no part of the serialised form, which plans and datasets keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenOptions {
    /// Forces a format; without it the content decides, never the name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Bytes that reading may hold in memory, in all threads together.
    #[serde(skip, default = "default_memory")]
    pub memory: u64,
    /// Threads that a reader may start for work of its own.
    #[serde(skip, default = "one_thread")]
    pub threads: usize,
    /// Where matrices are transposed that lie in the order of genes.
    #[serde(skip, default = "std::env::temp_dir")]
    pub scratch: PathBuf,
    /// The measurement that is read, in a format that has several; without it `RNA`, or the only one.
    pub measurement: Option<String>,
    /// The matrix that becomes the expression table.
    pub matrix: MainMatrix,
    /// What becomes of the raw matrix where it is not the main one.
    pub raw: RawUse,
    pub selection: Selection,
    pub names: Names,
    /// The genomes whose features are kept; all, where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub genomes: Vec<String>,
    /// The types of features that are kept (`Gene Expression`, `Antibody Capture`, …); all, where
    /// none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub feature_types: Vec<String>,
    /// What identifies a gene of a 10x matrix.
    pub gene_id: GeneId,
    /// The list of cells of a matrix that has none beside it, and its list of features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barcodes: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<PathBuf>,
    /// What the rows and columns of a Matrix Market file are, where neither sizes nor names tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation: Option<Orientation>,
    /// What the input is called in the dataset; its file name without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// What every cell's identifier begins with; `{source}` stands for the name of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_id_prefix: Option<String>,
    /// Columns of obs with one text for all cells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_columns: Vec<(String, String)>,
    /// A condition on the columns of cells, in SQL: others are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells_where: Option<String>,
    /// The cells that are taken at most, from the first on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The genes that are taken, by their names; all without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genes: Option<Vec<String>>,
    /// What the names of genes stand for, where an input does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gene_map: Option<NameMap>,
    /// Columns of genes whose Ensembl identifiers lose their versions; `gene_id` stands for names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strip_versions: Vec<String>,
}

impl OpenOptions {
    /// What an input is called in the dataset.
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

/// What becomes of names that several cells, or several genes, have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    #[default]
    AsTheyAre,
    /// All but the first get a suffix: `-1`, `-2` …
    MadeUnique,
}

/// What identifies a gene of a 10x matrix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeneId {
    /// Its symbol, made unique as scanpy does it.
    #[default]
    Symbol,
    /// Its identifier, which for genes is that of Ensembl.
    Ensembl,
}

/// What the rows and the columns of a matrix are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// As kallisto, alevin-fry and Parse Biosciences write.
    CellsByGenes,
    /// As Cell Ranger and STARsolo write.
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
    /// The format's own: X of an AnnData, the layer `data` (or the only one) of a measurement.
    #[default]
    Own,
    /// The raw matrix, with genes of its own.
    Raw,
    /// A layer, by its name.
    Layer(String),
}

/// What becomes of the raw matrix of an AnnData.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawUse {
    #[default]
    LeaveOut,
    /// It becomes the layer `raw`; its genes must be those of X.
    Layer,
}

impl Default for OpenOptions {
    /// Everything, with 512 MiB, one thread and the system's folder for temporary files.
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
    /// Refuses what an input of a format has nothing of.
    pub(super) fn check(&self, path: &Path, format: Format) -> Result<(), SourceError> {
        let place = Place::whole(path);
        let refused = |flag: &str, of: &str| {
            Err(place.unsupported(
                format!("{flag}: an input that is {of}"),
                format!("leave out {flag}"),
            ))
        };
        let tenx = match format {
            Format::H5ad | Format::Soma => false,
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
