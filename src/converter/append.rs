//! Appending to a dataset.

use std::path::{Path, PathBuf};

use super::Converter;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::ingest::Outcome;
use crate::plan::Widening;
use crate::source::CellSource;

/// Adds inputs to a dataset. Concurrent readers see the dataset either before or after the append.
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

/// Starts an append to the dataset in a folder.
///
/// # Errors
/// If there is no complete dataset.
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

    /// Adds an input that is already open.
    pub fn source(self, source: impl CellSource + 'static) -> Self {
        self.configure(|converter| converter.source(source))
    }

    /// Rewrites tables whose types do not hold the new values, as part of the same commit.
    /// Otherwise, such inputs are refused.
    pub fn widen(mut self) -> Self {
        self.converter.conversion.plan.widening = Widening::Allow;
        self
    }

    /// Sets any option of a conversion: joins, resources, progress. Types and compression are
    /// always those of the dataset.
    pub fn configure(mut self, set: impl FnOnce(Converter<'a>) -> Converter<'a>) -> Self {
        self.converter = set(self.converter);
        self
    }

    /// Appends the inputs. Surveys them, plans again if the dataset has changed in the meantime,
    /// and blocks until the dataset is complete; must not be called from asynchronous code.
    ///
    /// # Errors
    /// An input is refused or is incompatible with the dataset, or another process is writing the
    /// dataset.
    pub fn run(self) -> Result<Outcome, Error> {
        let Append { dataset, converter } = self;
        converter.run(|conversion, inputs, progress| conversion.append(inputs, &dataset, progress))
    }
}
