//! Builders for conversions and appends, for callers of the library.

mod append;
mod given;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use append::{Append, append};
use given::GivenInputs;

use crate::error::Error;
use crate::ingest::{Conversion, Outcome, OverwritePolicy, ResumePolicy, affordable_threads};
use crate::plan::{Compression, Dtypes, Duplicates, GeneKey, Join, PlanOptions, VersionWish};
use crate::progress::Event;
use crate::source::{CellSource, OpenOptions};
use crate::store::LockPolicy;
use crate::survey::ValueType;

type OnProgress<'a> = Box<dyn Fn(Event<'_>) + Sync + 'a>;

/// Converts inputs to a new dataset.
///
/// Nothing is read before [`Converter::write`]. Repeating the same conversion resumes a run that
/// was interrupted.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let output = folder.path().join("atlas.slaf");
/// use slaf::{Converter, Join};
///
/// let summary = Converter::new()
///     .input("fixtures/h5ad/demo.h5ad")
///     .join(Join::Outer)
///     .memory_limit(1 << 30)
///     .write(&output)?;
/// assert_eq!((summary.n_obs(), summary.n_vars()), (200, 300));
/// # Ok::<(), slaf::Error>(())
/// ```
#[must_use = "nothing is read before `write`"]
#[derive(Default)]
pub struct Converter<'a> {
    inputs: GivenInputs,
    conversion: Conversion,
    /// Number of threads requested.
    threads: Option<usize>,
    on_progress: Option<OnProgress<'a>>,
}

impl<'a> Converter<'a> {
    /// Creates a conversion without inputs, with the defaults of the command line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or all inputs of a folder or an archive. The format is detected from the
    /// content.
    pub fn input(mut self, path: impl Into<PathBuf>) -> Self {
        self.inputs.path(path.into());
        self
    }

    /// Adds one input with its own options, which replace those of [`Converter::open_options`];
    /// memory and threads are those of the conversion.
    pub fn input_with(mut self, path: impl Into<PathBuf>, options: OpenOptions) -> Self {
        self.inputs.with(path.into(), options);
        self
    }

    /// Adds an input that is already open, such as one in memory.
    pub fn source(mut self, source: impl CellSource + 'static) -> Self {
        self.inputs.open(Arc::new(source));
        self
    }

    /// Sets how inputs without their own options are opened.
    pub fn open_options(mut self, options: OpenOptions) -> Self {
        self.inputs.defaults = options;
        self
    }

    /// Sets the prefix of the cell identifiers of inputs without their own options; `{source}`
    /// stands for the name of the input without its file extension.
    pub fn cell_id_prefix(mut self, template: impl Into<String>) -> Self {
        self.inputs.prefix = Some(template.into());
        self
    }

    /// Sets how the genes of several inputs are joined; by default they must be the same.
    pub fn join(mut self, join: Join) -> Self {
        self.conversion.plan.join = join;
        self
    }

    /// Sets how the obs columns, layers and embeddings of several inputs are joined.
    pub fn obs_join(mut self, join: Join) -> Self {
        self.conversion.plan.obs_join = join;
        self
    }

    /// Sets how the var columns of several inputs are joined.
    pub fn var_join(mut self, join: Join) -> Self {
        self.conversion.plan.var_join = join;
        self
    }

    /// Sets the key by which genes are joined; by default stable identifiers if all inputs have
    /// them, otherwise names.
    pub fn gene_key(mut self, key: GeneKey) -> Self {
        self.conversion.plan.gene_key = Some(key);
        self
    }

    /// Sets whether genes are joined without the versions of their identifiers (`ENSG….7`).
    pub fn gene_id_versions(mut self, versions: VersionWish) -> Self {
        self.conversion.versions = versions;
        self
    }

    /// Allows cells of different inputs to have the same identifier.
    pub fn allow_duplicate_cells(mut self) -> Self {
        self.conversion.plan.duplicate_cells = Duplicates::Allow;
        self
    }

    /// Sets the types of the tables: the narrowest, or signed types that every reader supports.
    /// Also selects the compression that suits them best.
    pub fn dtypes(mut self, dtypes: Dtypes) -> Self {
        self.conversion.plan.dtypes = dtypes;
        self.conversion.plan.compression = dtypes.best_compression();
        self
    }

    /// Forces the type of the values; values that do not fit are refused. By default the narrowest
    /// exact type.
    pub fn value_type(mut self, value_type: ValueType) -> Self {
        self.conversion.plan.value_type = Some(value_type);
        self
    }

    /// Sets the compression of the tables of non-zeros.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.conversion.plan.compression = compression;
        self
    }

    /// Sets the maximum number of rows of a fragment of the expression table; 100,000,000 by
    /// default.
    pub fn fragment_rows(mut self, rows: u64) -> Self {
        self.conversion.plan.fragment_rows = rows.max(1);
        self
    }

    /// Sets all other options. Replaces those set before.
    pub fn plan_options(mut self, options: PlanOptions) -> Self {
        self.conversion.plan = options;
        self
    }

    /// Sets the memory limit in bytes; 512 MiB by default, at least 256 MiB.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.conversion.run.memory = bytes.max(256 << 20);
        self
    }

    /// Sets the number of threads; one per processor by default. Fewer are used if memory is
    /// insufficient.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.max(1));
        self
    }

    /// Replaces an existing complete dataset once the new one is complete.
    pub fn overwrite(mut self) -> Self {
        self.conversion.run.existing = OverwritePolicy::Replace;
        self
    }

    /// Discards what an earlier run left unfinished.
    pub fn no_resume(mut self) -> Self {
        self.conversion.run.earlier = ResumePolicy::Discard;
        self
    }

    /// Waits while another process is writing the output.
    pub fn wait(mut self) -> Self {
        self.conversion.run.wait = LockPolicy::Yes;
        self
    }

    /// Sets a listener for progress events. It is called frequently and from any thread.
    pub fn on_progress(mut self, listener: impl Fn(Event<'_>) + Sync + 'a) -> Self {
        self.on_progress = Some(Box::new(listener));
        self
    }

    /// Runs the conversion. Blocks until the dataset is complete; must not be called from
    /// asynchronous code.
    ///
    /// # Errors
    /// An input is refused, inputs are incompatible, or the output exists or cannot be written.
    pub fn write(self, output: impl AsRef<Path>) -> Result<Outcome, Error> {
        self.run(|conversion, inputs, progress| conversion.write(inputs, output.as_ref(), progress))
    }

    fn run(
        mut self,
        job: impl FnOnce(
            &Conversion,
            &mut crate::source::Inputs,
            &dyn crate::progress::Progress,
        ) -> Result<crate::ingest::Finished, crate::ingest::IngestError>,
    ) -> Result<Outcome, Error> {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        let run = &mut self.conversion.run;
        run.threads = affordable_threads(self.threads.unwrap_or_else(all), run.memory);
        let mut inputs = self.inputs.inputs(run.memory, run.threads)?;
        let listener = self.on_progress;
        let progress = |event: Event<'_>| {
            if let Some(listener) = &listener {
                listener(event);
            }
        };
        let finished = job(&self.conversion, &mut inputs, &progress)?;
        let outcome = finished.outcome().clone();
        finished.close()?;
        Ok(outcome)
    }
}
