//! A builder for exports, for callers of the library.

use std::path::{Path, PathBuf};

use super::{Export, ExportFormat, Exported, Metadata, Shard};
use crate::error::Error;
use crate::ingest::{OverwritePolicy, affordable_threads};
use crate::progress::Event;
use crate::sink::{Filters, MatrixLayout, TableShape};
use crate::source::{MainMatrix, OpenOptions};

type OnProgress<'a> = Box<dyn Fn(Event<'_>) + Sync + 'a>;

/// Exports a dataset, or a part of it, to files of other formats.
///
/// Nothing is read before [`Exporter::write`].
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let atlas = folder.path().join("atlas.slaf");
/// # let output = folder.path().join("part.h5ad");
/// # let _ = slaf::Converter::new().input("fixtures/h5ad/demo.h5ad").write(&atlas)?;
/// let exported = slaf::open(&atlas)?.export().limit(50).write(&output)?;
/// assert_eq!((exported.cells, exported.genes), (50, 300));
///
/// let again = slaf::open(&output)?;
/// assert_eq!(again.n_obs(), 50);
/// # Ok::<(), slaf::Error>(())
/// ```
#[must_use = "nothing is read before `write`"]
pub struct Exporter<'a> {
    dataset: PathBuf,
    export: Export,
    /// Number of threads requested.
    threads: Option<usize>,
    on_progress: Option<OnProgress<'a>>,
}

impl<'a> Exporter<'a> {
    /// Creates an export with the defaults of the command line.
    pub fn new(dataset: impl Into<PathBuf>) -> Self {
        Exporter {
            dataset: dataset.into(),
            export: Export::default(),
            threads: None,
            on_progress: None,
        }
    }

    /// Sets what of the dataset is read. Memory and threads are those of the export.
    pub fn open_options(mut self, options: OpenOptions) -> Self {
        self.export.open = options;
        self
    }

    /// Takes only cells that satisfy a condition in SQL on the columns of obs and `cell_id`.
    pub fn cells_where(mut self, condition: impl Into<String>) -> Self {
        self.export.open.cells_where = Some(condition.into());
        self
    }

    /// Takes only these genes, by their names.
    pub fn genes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.export.open.genes = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Takes so many cells at most, from the first on.
    pub fn limit(mut self, cells: u64) -> Self {
        self.export.open.limit = Some(cells);
        self
    }

    /// Makes a layer X.
    pub fn matrix(mut self, layer: impl Into<String>) -> Self {
        self.export.open.matrix = MainMatrix::Layer(layer.into());
        self
    }

    /// Sets the format; by default the ending of the output's name tells it.
    pub fn format(mut self, format: ExportFormat) -> Self {
        self.export.format = Some(format);
        self
    }

    /// Sets how X and layers of an h5ad file are stored; by cell, by default.
    pub fn layout(mut self, layout: MatrixLayout) -> Self {
        self.export.layout = layout;
        self
    }

    /// Sets the compression.
    pub fn compression(mut self, filters: Filters) -> Self {
        self.export.filters = filters;
        self
    }

    /// Sets what a row of a table (Parquet, Arrow) is.
    pub fn shape(mut self, shape: TableShape) -> Self {
        self.export.shape = shape;
        self
    }

    /// Writes obs and obsm to tables of text beside 10x files.
    pub fn with_metadata(mut self) -> Self {
        self.export.metadata = Metadata::Beside;
        self
    }

    /// Writes files of so many cells at most into a folder.
    pub fn cells_per_file(mut self, cells: u64) -> Self {
        self.export.split.cells_per_file = Some(cells.max(1));
        self
    }

    /// Writes a file, or several, for each value of a column of obs into a folder.
    pub fn split_by(mut self, column: impl Into<String>) -> Self {
        self.export.split.by = Some(column.into());
        self
    }

    /// Writes only the files of one worker of several.
    pub fn shard(mut self, shard: Shard) -> Self {
        self.export.split.shard = shard;
        self
    }

    /// Replaces an existing output once the new one is complete.
    pub fn overwrite(mut self) -> Self {
        self.export.overwrite = OverwritePolicy::Replace;
        self
    }

    /// Sets the memory limit in bytes; 512 MiB by default, at least 256 MiB.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.export.resources.memory = bytes.max(256 << 20);
        self
    }

    /// Sets the number of threads; one per processor by default.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.max(1));
        self
    }

    /// Sets a listener for progress events. It is called frequently and from any thread.
    pub fn on_progress(mut self, listener: impl Fn(Event<'_>) + Sync + 'a) -> Self {
        self.on_progress = Some(Box::new(listener));
        self
    }

    /// Runs the export. Blocks until the output is complete; must not be called from asynchronous
    /// code.
    ///
    /// # Errors
    /// The dataset cannot be read, has not what is chosen of it, or the output exists or cannot be
    /// written.
    pub fn write(mut self, output: impl AsRef<Path>) -> Result<Exported, Error> {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        let resources = &mut self.export.resources;
        let threads = self.threads.unwrap_or_else(all);
        resources.threads = affordable_threads(threads, resources.memory);
        let listener = self.on_progress;
        let progress = |event: Event<'_>| {
            if let Some(listener) = &listener {
                listener(event);
            }
        };
        Ok(self
            .export
            .write(&self.dataset, output.as_ref(), &progress)?)
    }
}
