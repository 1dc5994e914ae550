//! Exports: a dataset, or what is chosen of it, becomes files of other formats.

mod destination;
mod format;

use std::path::{Path, PathBuf};

use serde::Serialize;

use destination::{Destination, FileOutput};
pub use format::ExportFormat;

use crate::chunk::Digest;
use crate::dataset::{Dataset, DatasetConfig};
use crate::ingest::OverwritePolicy;
use crate::progress::{Event, Progress};
use crate::sink::{
    self, Filters, H5adSink, MatrixLayout, MetadataFiles, Outline, Resources, Sink, SinkError,
    TenxH5Sink, TenxMtxSink, WithMetadata,
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
        Ok(Opened { source, notes })
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
        let format = ExportFormat::of(output, self.format)?;
        // Before anything is read.
        let destination = Destination::check(output, dataset, format, self.overwrite)?;
        let opened = self.open(dataset)?;
        self.write_opened(&opened, &destination, format, progress)
    }

    fn write_opened(
        &self,
        opened: &Opened,
        destination: &Destination,
        format: ExportFormat,
        progress: &dyn Progress,
    ) -> Result<Exported, SinkError> {
        let outline = opened.outline(self.layout);
        let entries = outline.description.x.entries.unwrap_or(0);
        progress.report(Event::Exporting { entries });
        let beside = match (self.metadata, format) {
            (Metadata::Beside, ExportFormat::TenxH5 | ExportFormat::TenxMtx) => {
                MetadataFiles::names(&outline)
            }
            (Metadata::Beside, other) => {
                return Err(SinkError::Usage(format!(
                    "--with-metadata: {other} holds obs and obsm itself; leave it out"
                )));
            }
            (Metadata::LeftOut, _) => Vec::new(),
        };
        let file = FileOutput::begin(destination, format, &beside)?;
        crate::failpoint::reach("export-begun");
        let (path, name) = (file.path(), destination.path());
        let has_metadata = !beside.is_empty();
        let mut sink: Box<dyn Sink> = match format {
            ExportFormat::H5ad => Box::new(H5adSink::new(path, name, self.filters)),
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
        let written = sink::write(
            &*opened.source,
            &mut *sink,
            &outline,
            &self.resources,
            progress,
        )?;
        drop(sink);
        let bytes = file.finish()?;
        let about = &outline.description;
        let mut notes = opened.notes.clone();
        notes.extend(about.converted.iter().cloned());
        notes.extend(about.left_out.iter().cloned());
        notes.extend(written.notes);
        Ok(Exported {
            output: destination.path().to_path_buf(),
            format,
            cells: about.n_obs,
            genes: about.n_vars,
            nonzeros: written.nonzeros,
            digest: written.digest,
            bytes,
            notes,
            warnings: about.warnings.clone(),
        })
    }
}

/// What is exported, open.
pub struct Opened {
    /// What is chosen of the dataset.
    pub source: Box<dyn CellSource>,
    /// What became of them when they were converted.
    pub notes: Vec<Note>,
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
