//! Checks the files with hashes of cell identifiers.

use arrow::array::{Array, AsArray, RecordBatch};

use super::{Problem, Problems, VerifyError};
use crate::dataset::{CellHashes, Dataset, HashFile, IdHasher};

/// Hashes the identifiers of all cells again.
pub(super) struct HashCheck<'a> {
    dataset: &'a Dataset,
    files: &'a [CellHashes],
    /// File that contains the next cells, and the number of its cells seen so far.
    next: usize,
    hasher: IdHasher,
    come: u64,
    /// Files whose hashes differ from those of the cells.
    different: Vec<&'a CellHashes>,
}

impl<'a> HashCheck<'a> {
    /// Creates a check of the files that config.json relies on.
    pub fn of(dataset: &'a Dataset) -> Self {
        HashCheck {
            dataset,
            files: dataset.config().hashes_of_all_cells().unwrap_or_default(),
            next: 0,
            hasher: IdHasher::default(),
            come: 0,
            different: Vec::new(),
        }
    }

    /// Adds the next rows of the cells table.
    pub fn add(&mut self, batch: &RecordBatch) {
        let ids = batch.column_by_name("cell_id");
        let Some(mut ids) = ids.and_then(|ids| ids.as_string_opt::<i32>()).cloned() else {
            return;
        };
        while let Some(file) = self.files.get(self.next) {
            let here = usize::try_from(file.cells - self.come).unwrap_or(usize::MAX);
            let here = here.min(ids.len());
            self.hasher.add(&ids.slice(0, here));
            self.come += here as u64;
            ids = ids.slice(here, ids.len() - here);
            if self.come < file.cells {
                return;
            }
            let hasher = std::mem::take(&mut self.hasher);
            if !hasher.is_of(file) {
                self.different.push(file);
            }
            (self.next, self.come) = (self.next + 1, 0);
        }
    }

    /// Reports files that are missing or whose hashes differ.
    pub fn finish(self, problems: &mut Problems) -> Result<(), VerifyError> {
        for file in self.files {
            if let Some(contents) = file.contents_file()
                && file.read_contents(self.dataset.path(), |_| ())? != HashFile::Whole
            {
                let what = "it is missing, or not what config.json says; remove it, and the next append writes it anew";
                problems.add(Problem::new(contents.display().to_string(), what));
            }
            let what = match file.read(self.dataset.path(), |_| ())? {
                HashFile::Whole if self.different.contains(&file) => {
                    "it has not the hashes of its cells"
                }
                HashFile::Whole => continue,
                HashFile::Missing => "it is missing",
                HashFile::Changed => {
                    "it is not what config.json says; remove it, and the next append writes it anew"
                }
            };
            problems.add(Problem::new(file.file().display().to_string(), what));
        }
        Ok(())
    }
}
