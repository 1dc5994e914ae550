//! Exports: a dataset, or what is chosen of it, becomes files of other formats.

mod cells;
mod destination;
mod exporter;
mod format;
mod manifest;
mod parts;
mod split;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use destination::{Destination, FileOutput, Form};
pub use exporter::Exporter;
pub use format::ExportFormat;
pub use split::{Shard, Split};

use crate::chunk::Digest;
use crate::dataset::{Dataset, DatasetConfig};
use crate::ingest::OverwritePolicy;
use crate::progress::{Event, Progress};
use crate::sink::{
    self, Filters, Genes, H5adSink, MatrixLayout, MetadataFiles, Outline, Resources, Scope, Sink,
    SinkError, TableFormat, TableShape, TableSink, TenxH5Sink, TenxMtxSink, WithMetadata,
};
use crate::source::{CellSource, Note, OpenOptions};

/// An export: what is written, and how.
#[derive(Debug, Clone)]
pub struct Export {
    /// What of the dataset is read; memory, threads and scratch folder are those of `resources`.
    pub open: OpenOptions,
    /// The format; by default the ending of the output's name tells it.
    pub format: Option<ExportFormat>,
    /// How X and layers of an h5ad file are stored.
    pub layout: MatrixLayout,
    /// Compression of HDF5 files.
    pub filters: Filters,
    /// What becomes of obs and obsm in formats that have no room for them.
    pub metadata: Metadata,
    /// What a row of a table (Parquet, Arrow) is.
    pub shape: TableShape,
    /// How it is divided into files.
    pub split: Split,
    /// What to do if the output exists.
    pub overwrite: OverwritePolicy,
    /// What the export may use.
    pub resources: Resources,
}

impl Default for Export {
    fn default() -> Self {
        let open = OpenOptions::default();
        Export {
            resources: Resources {
                memory: open.memory,
                threads: open.threads,
                chunk_cells: u64::MAX,
                scratch: open.scratch.clone(),
            },
            open,
            format: None,
            layout: MatrixLayout::default(),
            filters: Filters::default(),
            metadata: Metadata::default(),
            shape: TableShape::default(),
            split: Split::default(),
            overwrite: OverwritePolicy::Refuse,
        }
    }
}

/// What becomes of obs and obsm in formats that have no room for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Metadata {
    /// They are left out, and named.
    #[default]
    LeftOut,
    /// They are written to tables of text beside the output.
    Beside,
}

/// What was exported.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    /// The file or folder.
    pub output: PathBuf,
    /// Its format.
    pub format: ExportFormat,
    /// Number of files or folders.
    pub files: usize,
    /// Of these, those that an earlier run had written.
    pub earlier_files: usize,
    /// Number of cells.
    pub cells: u64,
    /// Number of genes.
    pub genes: u64,
    /// Non-zeros of X.
    pub nonzeros: u64,
    /// The digest of X: that of a dataset made from the output.
    pub digest: Digest,
    /// Size of the output in bytes.
    pub bytes: u64,
    /// What the output does not have, or not as the inputs of the dataset had it.
    pub notes: Vec<Note>,
    /// What a user should know before trusting the result.
    pub warnings: Vec<String>,
}

impl Export {
    /// Opens what is exported.
    ///
    /// # Errors
    /// If it cannot be read, or has not what is chosen of it.
    pub fn open(&self, dataset: &Path) -> Result<Opened, SinkError> {
        let options = OpenOptions {
            memory: self.resources.memory,
            threads: self.resources.threads,
            scratch: self.resources.scratch.clone(),
            ..self.open.clone()
        };
        let source = crate::source::open(dataset, &options)?;
        let mut notes = Vec::new();
        if source.description().format.as_str() == "slaf"
            && let Ok(dataset) = Dataset::open(dataset)
        {
            notes = conversion_notes(dataset.config());
        }
        Ok(Opened {
            source: source.into(),
            notes,
            key: key_of(dataset, &options)?,
        })
    }

    /// Writes a dataset to a file or folder, which appears when it is complete.
    ///
    /// # Errors
    /// If the dataset cannot be read, or the output exists or cannot be written.
    pub fn write(
        &self,
        dataset: &Path,
        output: &Path,
        progress: &dyn Progress,
    ) -> Result<Exported, SinkError> {
        let format = if self.split.is_whole() {
            ExportFormat::of(output, self.format)?
        } else {
            self.format.unwrap_or(ExportFormat::H5ad)
        };
        let form = match (self.split.is_whole(), format.is_folder()) {
            (false, _) => Form::Parts,
            (true, true) => Form::Folder,
            (true, false) => Form::File,
        };
        if self.split.is_whole() && self.split.shard != Shard::default() {
            return Err(SinkError::Usage(
                "--shard divides files among workers: say with --cells-per-file or --split-by which".into(),
            ));
        }
        let is_table = matches!(format, ExportFormat::Parquet | ExportFormat::Arrow);
        if self.shape == TableShape::Wide && !is_table {
            let what =
                format!("--wide is for tables (parquet, arrow), not for {format}; leave it out");
            return Err(SinkError::Usage(what));
        }
        if self.layout == MatrixLayout::Csc && format != ExportFormat::H5ad {
            let what = format!("--layout csc is for h5ad, not for {format}; leave it out");
            return Err(SinkError::Usage(what));
        }
        // Before anything is read.
        let destination = Destination::check(output, dataset, form, self.overwrite)?;
        let opened = self.open(dataset)?;
        let outline = opened.outline(self.layout);
        let entries = outline.description.x.entries.unwrap_or(0);
        progress.report(Event::Exporting { entries });
        let done = match form {
            Form::Parts => self.write_parts(&opened, &destination, format, progress)?,
            Form::File | Form::Folder => {
                let output = Output {
                    source: &*opened.source,
                    outline: &outline,
                    destination: &destination,
                    format,
                    begin: Begin::Empty(Scope::Everything),
                };
                Done {
                    files: 1,
                    ..self.write_one(&output, progress)?
                }
            }
        };
        let about = &outline.description;
        let mut notes = opened.notes.clone();
        notes.extend(about.converted.iter().cloned());
        notes.extend(about.left_out.iter().cloned());
        notes.extend(done.notes);
        Ok(Exported {
            output: destination.path().to_path_buf(),
            format,
            files: done.files,
            earlier_files: done.earlier,
            cells: done.cells,
            genes: about.n_vars,
            nonzeros: done.nonzeros,
            digest: done.digest,
            bytes: done.bytes,
            notes,
            warnings: about.warnings.clone(),
        })
    }

    /// Writes one file or folder.
    fn write_one(&self, output: &Output<'_>, progress: &dyn Progress) -> Result<Done, SinkError> {
        let Output {
            outline,
            destination,
            format,
            ..
        } = *output;
        let beside = match (self.metadata, format) {
            (Metadata::Beside, ExportFormat::TenxH5 | ExportFormat::TenxMtx) => {
                MetadataFiles::names(outline)
            }
            (Metadata::Beside, other) => {
                return Err(SinkError::Usage(format!(
                    "--with-metadata is for 10x files, not for {other}; leave it out"
                )));
            }
            (Metadata::LeftOut, _) => Vec::new(),
        };
        let file = FileOutput::begin(destination, format, &beside)?;
        crate::failpoint::reach("export-begun");
        let (path, name) = (file.path(), destination.path());
        let scope = match output.begin {
            Begin::Empty(scope) => scope,
            Begin::Copy { of, genes } => {
                copy_contents(of, path).map_err(destination.failed("write"))?;
                Scope::OfCells(genes)
            }
        };
        let has_metadata = !beside.is_empty();
        let mut sink: Box<dyn Sink> = match format {
            ExportFormat::H5ad => {
                let sink = H5adSink::new(path, name, self.filters);
                Box::new(match output.begin {
                    Begin::Empty(_) => sink,
                    Begin::Copy { .. } => sink.of_cells(),
                })
            }
            ExportFormat::Parquet | ExportFormat::Arrow => {
                let table = match format {
                    ExportFormat::Parquet => TableFormat::Parquet,
                    _ => TableFormat::Arrow,
                };
                Box::new(TableSink::new(path, name, table, self.shape, self.filters))
            }
            ExportFormat::TenxH5 => {
                let scratch = &self.resources.scratch;
                let sink = TenxH5Sink::new(path, name, self.filters, scratch, has_metadata);
                Box::new(WithMetadata::new(sink, file.beside()))
            }
            ExportFormat::TenxMtx => {
                let sink = TenxMtxSink::new(path, name, self.filters, has_metadata);
                Box::new(WithMetadata::new(sink, file.beside()))
            }
        };
        let resources = &self.resources;
        let written = sink::write(
            output.source,
            &mut *sink,
            outline,
            scope,
            resources,
            progress,
        )?;
        drop(sink);
        Ok(Done {
            bytes: file.finish()?,
            cells: outline.description.n_obs,
            nonzeros: written.nonzeros,
            digest: written.digest,
            notes: written.notes,
            ..Done::default()
        })
    }
}

/// An output of several, or the only one.
struct Output<'a> {
    source: &'a dyn CellSource,
    outline: &'a Outline,
    destination: &'a Destination,
    format: ExportFormat,
    begin: Begin<'a>,
}

/// What an output begins with.
#[derive(Clone, Copy)]
enum Begin<'a> {
    Empty(Scope<'a>),
    /// A file with all that belongs to genes.
    Copy {
        of: &'a Path,
        genes: &'a Genes,
    },
}

/// What was written.
#[derive(Debug, Default)]
struct Done {
    files: usize,
    /// Of these, those of an earlier run.
    earlier: usize,
    cells: u64,
    nonzeros: u64,
    digest: Digest,
    bytes: u64,
    notes: Vec<Note>,
}

/// What is exported, open.
pub struct Opened {
    /// What is chosen of the dataset.
    pub source: Arc<dyn CellSource>,
    /// What became of its inputs when they were converted.
    pub notes: Vec<Note>,
    /// Stands for its contents, and what is chosen of them.
    key: String,
}

impl Opened {
    fn outline(&self, layout: MatrixLayout) -> Outline {
        Outline {
            description: self.source.description().clone(),
            layout,
        }
    }
}

/// What the conversion of the inputs changed or left out, each once.
fn conversion_notes(config: &DatasetConfig) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for source in &config.sources {
        for note in source.converted.iter().chain(&source.left_out) {
            let reason = format!("when it was converted: {}", note.reason);
            let note = Note::new(note.object.clone(), reason);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

/// Stands for the contents of a dataset, and for what is chosen of them.
///
/// # Errors
/// If it cannot be told in text: parts that other options made would be taken for those of these.
fn key_of(dataset: &Path, options: &OpenOptions) -> Result<String, SinkError> {
    let untold = |error: serde_json::Error| {
        let dataset = dataset.display();
        SinkError::Usage(format!(
            "{dataset}: its options have no text: {error}; name files in UTF-8"
        ))
    };
    let contents = match Dataset::open(dataset) {
        Ok(opened) => {
            let config = opened.config();
            let described = (&config.described_at, &config.versions, &config.digests);
            serde_json::to_string(&(described, &config.array_shape)).map_err(untold)?
        }
        // Of an input of another format, its name.
        Err(_) => dataset.display().to_string(),
    };
    let options = serde_json::to_string(options).map_err(untold)?;
    Ok(format!("{contents} {options}"))
}

/// Copies the contents of a file into another one, which keeps its permissions.
fn copy_contents(of: &Path, into: &Path) -> std::io::Result<()> {
    let mut from = std::fs::File::open(of)?;
    let mut into = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(into)?;
    std::io::copy(&mut from, &mut into).map(|_| ())
}
