//! Appending to a dataset.

use std::path::{Path, PathBuf};

use super::Converter;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::ingest::Outcome;
use crate::plan::Widening;
use crate::source::CellSource;

/// Adds inputs to a dataset, which others may read meanwhile: they see it before or after.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let atlas = folder.path().join("atlas.slaf");
/// # slaf::Converter::new().input("fixtures/h5ad/demo.h5ad").write(&atlas)?;
/// let summary = slaf::append(&atlas)?
///     .input("fixtures/h5ad/demo.h5ad")
///     .configure(|converter| converter.cell_id_prefix("again-"))
///     .run()?;
/// assert_eq!(summary.n_obs(), 400);
/// # Ok::<(), slaf::Error>(())
/// ```
#[must_use = "nothing is read before `run`"]
pub struct Append<'a> {
    dataset: PathBuf,
    converter: Converter<'a>,
}

/// Begins an append to the dataset in a folder.
///
/// # Errors
/// Where there is no complete dataset.
pub fn append<'a>(dataset: impl AsRef<Path>) -> Result<Append<'a>, Error> {
    let dataset = dataset.as_ref().to_path_buf();
    Dataset::open(&dataset)?;
    Ok(Append {
        dataset,
        converter: Converter::new(),
    })
}

impl<'a> Append<'a> {
    /// Adds a file, or all inputs of a folder or an archive.
    pub fn input(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.configure(|converter| converter.input(path))
    }

    /// Adds an input that is open already.
    pub fn source(self, source: impl CellSource + 'static) -> Self {
        self.configure(|converter| converter.source(source))
    }

    /// Rewrites tables whose types do not hold the new values, as a part of the same commit. Without
    /// it such inputs are refused.
    pub fn widen(mut self) -> Self {
        self.converter.conversion.plan.widening = Widening::Allow;
        self
    }

    /// Sets whatever a conversion can be told: joins, resources, progress. Types and compression are
    /// the dataset's.
    pub fn configure(mut self, set: impl FnOnce(Converter<'a>) -> Converter<'a>) -> Self {
        self.converter = set(self.converter);
        self
    }

    /// Appends. Surveys the inputs, plans again where the dataset has changed meanwhile, and blocks
    /// until the dataset is complete; must not be called from asynchronous code.
    ///
    /// # Errors
    /// An input is refused or does not go with the dataset, or another process is writing it.
    pub fn run(self) -> Result<Outcome, Error> {
        let Append { dataset, converter } = self;
        converter.run(|conversion, inputs, progress| conversion.append(inputs, &dataset, progress))
    }
}
