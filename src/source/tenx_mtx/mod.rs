//! Matrices of 10x Genomics and similar software in Matrix Market files, each with a barcodes and a
//! features file next to it.
//!
//! Cell Ranger sorts the entries by cell; such files are read in one pass. Others are transposed.

mod blocks;
mod choice;
mod digits;
mod entries;
mod header;
mod integer;
mod line_chunker;
mod matrix;
mod mtx_folder;
mod names;
mod orientation;
mod rows;
mod sample;
mod stream;
#[cfg(test)]
mod tests;
mod transposed;
mod value;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};

use self::blocks::{BLOCK, Blocks};
use self::choice::Choice;
use self::header::Header;
use self::matrix::MtxMatrix;
use self::mtx_folder::{Beside, NoList};
use self::names::Kind;
use self::orientation::{Orientation, Oriented};
use super::error::ErrorContext;
use super::features::options::{BARCODES, FEATURE_TYPE, FEATURES, GENE_ID, GENOME};
use super::features::{self, FeatureList, Genes, OtherColumn};
use super::lists::{CellList, read_features};
use super::text::{Content, TextFile};
use super::transpose::TransposeOptions;
use super::{
    Among, CellSource, ColumnKind, Description, Form, Format, InputFile, InputFormat, Layout,
    Matrix, MatrixDescription, MatrixName, Note, OpenOptions, OptionKind, OptionScope, OptionSpec,
    Originals, Probe, ProbedPath, RepeatedName, Siblings, SourceError, Uns,
};
use crate::remedy::{Remedy, Setting};

/// A Matrix Market file with its lists, as Cell Ranger writes them.
pub(super) struct TenxMtx;

/// What the rows and columns are, where neither sizes nor names tell.
const ORIENTATION: OptionSpec = OptionSpec {
    name: "orientation",
    key: "orientation",
    kind: OptionKind::Choice {
        values: &["cells-by-genes", "genes-by-cells"],
        default: None,
    },
    scope: OptionScope::Command,
    of: "Matrix Market file",
    heading: "10x matrices",
    value_name: "ORIENTATION",
    help: "What the rows and columns of a Matrix Market file are [default: found out from the lengths of its lists, or from the names of the files where it is square]",
    one_input: None,
};

impl InputFormat for TenxMtx {
    fn name(&self) -> &'static str {
        "10x-mtx"
    }

    fn about(&self) -> &'static str {
        "Matrix Market with lists of cells and features"
    }

    fn form(&self) -> Form {
        Form::Files
    }

    fn looks_like(&self) -> &'static str {
        ".mtx with a list of cells (barcodes.tsv) of its own"
    }

    fn options(&self) -> &'static [&'static OptionSpec] {
        &[
            &GENOME,
            &FEATURE_TYPE,
            &GENE_ID,
            &BARCODES,
            &FEATURES,
            &ORIENTATION,
        ]
    }

    fn probe(&self, site: &ProbedPath<'_>) -> Result<Probe, SourceError> {
        if site.is_folder() || matches!(site.content(), Content::Hdf5 | Content::PackedHdf5) {
            return Ok(Probe::No);
        }
        Ok(match header::is_banner(site.start()?) {
            true => Probe::Yes,
            // What is wrong with a file that was named in an archive is found when it is opened.
            false if site.is_in_archive() => Probe::Unlikely("no Matrix Market file".into()),
            false => Probe::No,
        })
    }

    fn among(&self, files: Siblings<'_>) -> Result<Among, SourceError> {
        match files.members() {
            None => choice::matrices_in(files.path()),
            Some(members) => choice::matrices_in_archive(files.path(), members.to_vec()),
        }
    }

    fn why_not(&self, site: &ProbedPath<'_>) -> Option<String> {
        let name = site
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let lists = ["barcodes.tsv", "features.tsv", "genes.tsv"];
        if name.contains(".mtx") {
            Some("is not a Matrix Market file: its first line is not %%MatrixMarket …".into())
        } else if lists.iter().any(|list| name.contains(list)) {
            Some("is a list; name the matrix (.mtx) beside it, or their folder".into())
        } else {
            None
        }
    }

    fn identity(&self, path: &Path) -> Result<Vec<InputFile>, SourceError> {
        let files = choice::matrix_and_cells(path)?;
        Ok(files.into_iter().map(InputFile).collect())
    }

    fn open(&self, path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError> {
        features::options::check(&ErrorContext::whole(path), options)?;
        Ok(Box::new(TenxMtxSource::open(path, options)?))
    }
}

/// An open matrix with its barcodes and features.
pub(super) struct TenxMtxSource {
    description: Description,
    files: Vec<PathBuf>,
    cells: CellList,
    genes: Genes,
    features_place: ErrorContext,
    matrix: MtxMatrix,
    uns: Uns,
}

/// Key in uns for the metadata that Cell Ranger writes into a comment, with Cell Ranger's name for
/// it.
const METADATA: &str = "metadata_json";

impl TenxMtxSource {
    /// Opens a matrix given by its file, its folder, an archive, or a file in an archive.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, SourceError> {
        let choice = only(path, choice::choices(path)?)?;
        let missing = || ErrorContext::whole(&choice.input).damaged("the matrix is missing");
        let file = choice
            .shelf
            .file(&choice.matrix)
            .ok_or_else(missing)?
            .clone();
        let (header, first, _) = Blocks::open(&file, BLOCK)?;
        // One more for a header line; a better error is possible when both have been counted.
        let most = header.rows.max(header.columns).saturating_add(1);
        let mut warnings = Vec::new();
        let barcodes = list(&choice, &file, Kind::Cells, options, &mut warnings)?;
        let features = list(&choice, &file, Kind::Features, options, &mut warnings)?;
        let cells = CellList::read(&barcodes, most, options)?;
        let mut list = read_features(&features, most, options.memory / 4)?;
        let names = names_of_genes(&choice, options);
        if let Some(names) = names {
            add_names(&mut list, &features, names, most, options)?;
        }
        let oriented = Oriented {
            matrix: &file,
            header: &header,
            cells: (barcodes.name(), cells.has_heading()),
            features: (features.name(), list.heading),
            counts: [cells.count(), list.count as u64],
            asked: Orientation::asked(options),
        };
        let (order, word) = oriented.order()?;
        warnings.extend(word);
        let features_place = features.place();
        let mut genes = Genes::choose(
            list,
            &ErrorContext::new(features.path(), features.name()),
            options,
        )?;
        let mut left_out = std::mem::take(&mut genes.left_out);
        let uns = metadata(&header).selected(&options.selection, &mut left_out);
        if cells.columns() > 1 {
            let object = format!("columns 2 to {} of {}", cells.columns(), barcodes.name());
            left_out.push(Note::new(object, "they have no names"));
        }
        warnings.append(&mut genes.warnings);
        let mut converted = std::mem::take(&mut genes.converted);
        if let Some(split) = cells.split() {
            converted.push(Note::new(barcodes.name(), split));
        }
        let transpose = TransposeOptions::of(options);
        let matrix = MtxMatrix::new(file.clone(), header, order, genes.kept().clone(), transpose)?;
        matrix.look(&first)?;
        let description = Description {
            path: choice.input.clone(),
            format: Format::named(TenxMtx.name()),
            n_obs: cells.count(),
            n_vars: genes.count(),
            x: MatrixDescription {
                name: MatrixName::X,
                object: file.name(),
                layout: Layout::Coo,
                number_type: matrix.number_type(),
                entries: Some(matrix.entries()),
            },
            layers: Vec::new(),
            obs: Vec::new(),
            var: genes.columns(),
            obsm: Vec::new(),
            varm: Vec::new(),
            obsp: Vec::new(),
            varp: Vec::new(),
            uns: !uns.values.is_empty(),
            converted,
            left_out,
            warnings,
            originals: Originals::default(),
        };
        let files = [&file, &barcodes, &features].into_iter().chain(names);
        let mut files: Vec<PathBuf> = files.map(|file| file.path().to_path_buf()).collect();
        // An archive holds them all.
        files.dedup();
        Ok(TenxMtxSource {
            description,
            files,
            cells,
            genes,
            features_place,
            matrix,
            uns,
        })
    }
}

/// Returns the single matrix that a path refers to.
fn only(path: &Path, mut choices: Vec<Choice>) -> Result<Choice, SourceError> {
    let place = ErrorContext::whole(path);
    match choices.len() {
        1 => Ok(choices.remove(0)),
        0 => Err(place.unsupported(
            "a folder or archive without a matrix (.mtx) that has a list of cells of its own",
            format!(
                "name the file of the matrix, and its lists with {} and {}",
                Setting::any(BARCODES.name),
                Setting::any(FEATURES.name)
            ),
        )),
        _ => {
            let inputs: Vec<PathBuf> = choices.into_iter().map(|choice| choice.input).collect();
            Err(SourceError::several(path, &inputs))
        }
    }
}

/// Returns the barcodes or features file: the one the user named, or the one next to the matrix.
fn list(
    choice: &Choice,
    matrix: &TextFile,
    kind: Kind,
    options: &OpenOptions,
    warnings: &mut Vec<String>,
) -> Result<TextFile, SourceError> {
    let (given, what, names) = match kind {
        Kind::Cells => (BARCODES, "cells", "barcodes.tsv"),
        Kind::Features => (FEATURES, "features", "features.tsv or genes.tsv"),
    };
    let setting = Setting::any(given.name);
    if let Some(given) = options.own.file(&given) {
        return Ok(TextFile::new(given));
    }
    let beside = choice.shelf.list(&choice.matrix, kind);
    if let Ok(Beside::Shared(name)) = beside {
        warnings.push(format!(
            "its {what} are those of {name}, which is not named after it; another list can be named with {setting}"
        ));
    }
    let (file, why) = match beside {
        Ok(Beside::Own(name) | Beside::Shared(name)) => (choice.shelf.file(name), None),
        Err(NoList(why)) => (None, why),
    };
    file.cloned().ok_or_else(|| {
        let why = why.map_or(String::new(), |why| format!("; {why}"));
        matrix.place().unsupported(
            format!("a matrix without a list of its {what} beside it ({names}{why})"),
            Remedy::using(setting, "name the list"),
        )
    })
}

/// The list of the names of the genes that the list beside a matrix identifies.
fn names_of_genes<'a>(choice: &'a Choice, options: &OpenOptions) -> Option<&'a TextFile> {
    if options.own.has(&FEATURES) {
        return None;
    }
    match choice.shelf.list(&choice.matrix, Kind::Features) {
        Ok(Beside::Own(name) | Beside::Shared(name)) => choice.shelf.names_of_genes(name),
        Err(_) => None,
    }
}

/// Adds the names of genes to their list.
fn add_names(
    list: &mut FeatureList,
    features: &TextFile,
    names: &TextFile,
    most: u64,
    options: &OpenOptions,
) -> Result<(), SourceError> {
    let found = read_features(names, most, options.memory / 4)?;
    let column = match (found.symbols, found.ids) {
        (Some(names), None) if found.others.is_empty() => names,
        _ => {
            let setting = Setting::of(FEATURES.name, features.name());
            let help = Remedy::using(setting, "read the list of the genes alone");
            return Err(names
                .place()
                .unsupported("a list of names of genes with several columns", help));
        }
    };
    if found.count != list.count {
        let what = format!(
            "a list of {} names of genes beside {}, which lists {} genes,",
            found.count,
            features.name(),
            list.count
        );
        let help = [
            Remedy::Other("put it right or away".into()),
            Remedy::using(
                Setting::of(FEATURES.name, features.name()),
                "read the list of the genes alone",
            ),
        ];
        return Err(names.place().unsupported(what, help));
    }
    list.others.push(OtherColumn {
        name: "gene_name".into(),
        kind: ColumnKind::Text,
        values: Arc::new(column),
    });
    Ok(())
}

/// What Cell Ranger says in a comment.
fn metadata(header: &Header) -> Uns {
    let mut uns = Uns::default();
    if let Some(text) = &header.metadata
        && let Ok(value) = serde_json::from_str(text)
    {
        uns.values.insert(METADATA.into(), value);
    }
    uns
}

impl CellSource for TenxMtxSource {
    fn description(&self) -> &Description {
        &self.description
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        self.cells.ids(cells)
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        Ok(self.genes.ids(genes))
    }

    fn repeated_names(&self) -> Result<Vec<RepeatedName>, SourceError> {
        Ok(self.genes.repeated_names())
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.genes.read(genes, &self.features_place)
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        Ok(self.uns.clone())
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        match name {
            MatrixName::X => Ok(&self.matrix),
            other => Err(ErrorContext::whole(&self.description.path).not_described(other)),
        }
    }

    fn assume_unsorted(&self) {
        self.matrix.assume_unsorted();
    }
}
