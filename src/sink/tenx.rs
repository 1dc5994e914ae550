//! What 10x Genomics' two formats have in common: lists of barcodes and of features, and counts.

use std::path::Path;

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::{FrameBlock, Outline, SinkError};
use crate::source::{Column, ColumnKind, MatrixName, Note};

/// Columns of var that may hold identifiers, by preference: scanpy's name for them is the first.
const IDS: [&str; 4] = ["gene_ids", "gene_id", "feature_id", "ensembl_id"];
const TYPES: [&str; 2] = ["feature_types", "feature_type"];
const GENOME: &str = "genome";
/// What features are if nothing tells.
const GENES: &str = "Gene Expression";

/// Features: what var tells of them.
#[derive(Debug, Default)]
pub(super) struct Features {
    pub ids: Vec<String>,
    pub names: Vec<String>,
    pub types: Vec<String>,
    pub genomes: Vec<String>,
}

/// Which columns of var are written.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FeatureColumns {
    ids: Option<usize>,
    types: Option<usize>,
    genomes: Option<usize>,
}

impl FeatureColumns {
    pub fn of(columns: &[Column]) -> Self {
        let is_text = |column: &Column| {
            matches!(
                column.kind,
                ColumnKind::Text | ColumnKind::Categorical { .. }
            )
        };
        let place = |name: &&str| {
            let found = columns.iter().position(|column| column.name == **name);
            found.filter(|&place| is_text(&columns[place]))
        };
        FeatureColumns {
            ids: IDS.iter().find_map(place),
            types: TYPES.iter().find_map(place),
            genomes: place(&GENOME),
        }
    }

    fn contains(&self, column: usize) -> bool {
        [self.ids, self.types, self.genomes].contains(&Some(column))
    }
}

impl Features {
    /// Adds the genes of a block.
    pub fn add(
        &mut self,
        block: &FrameBlock,
        columns: FeatureColumns,
        path: &Path,
    ) -> Result<(), SinkError> {
        let column = |place: Option<usize>| -> Result<Option<StringArray>, SinkError> {
            let Some(place) = place else {
                return Ok(None);
            };
            let texts = cast(block.columns.column(place), &DataType::Utf8);
            let texts =
                texts.map_err(|error| SinkError::by_text(path, "var", error.to_string()))?;
            Ok(Some(texts.as_string::<i32>().clone()))
        };
        let (ids, types) = (column(columns.ids)?, column(columns.types)?);
        let genomes = column(columns.genomes)?;
        for row in 0..block.names.len() {
            let name = block.names.value(row);
            let of = |texts: &Option<StringArray>, otherwise: &str| {
                let text = texts.as_ref().filter(|texts| texts.is_valid(row));
                text.map_or(otherwise, |texts| texts.value(row)).to_string()
            };
            self.ids.push(of(&ids, name));
            self.names.push(name.to_string());
            self.types.push(of(&types, GENES));
            self.genomes.push(of(&genomes, ""));
        }
        Ok(())
    }
}

/// What of a source these formats do not hold. `beside` are obs and obsm if they are written, too.
pub(super) fn left_out(outline: &Outline, beside: bool) -> Vec<Note> {
    let about = &outline.description;
    let mut notes = Vec::new();
    let mut note = |object: String| {
        notes.push(Note::new(object, "10x files have no room for it"));
    };
    for matrix in about
        .matrices()
        .filter(|matrix| matrix.name != MatrixName::X)
    {
        note(matrix.name.to_string());
    }
    if !beside {
        about
            .obs
            .iter()
            .for_each(|column| note(format!("obs/{}", column.name)));
        about
            .obsm
            .iter()
            .for_each(|e| note(format!("obsm/{}", e.name)));
    }
    let written = FeatureColumns::of(&about.var);
    for (place, column) in about.var.iter().enumerate() {
        if !written.contains(place) {
            note(format!("var/{}", column.name));
        }
    }
    about
        .varm
        .iter()
        .for_each(|e| note(format!("varm/{}", e.name)));
    if about.uns {
        note("uns".into());
    }
    notes
}

/// Refuses names that a list of lines cannot hold.
pub(super) fn check_line(path: &Path, texts: &[&str]) -> Result<(), SinkError> {
    match texts.iter().find(|text| text.contains(['\t', '\n', '\r'])) {
        None => Ok(()),
        Some(text) => Err(SinkError::unsupported(
            path,
            format!("the name {text:?} has a tab or a line break, which lists of 10x cannot have"),
            "export to h5ad, which holds every name",
        )),
    }
}
