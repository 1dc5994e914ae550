//! Adapters that present an input with other names, with additional columns, or with a subset of
//! its cells and genes.

mod identified;
mod labelled;
mod subset;
mod unique;

use std::ops::Range;
use std::path::PathBuf;

use arrow::array::{RecordBatch, StringArray};
use arrow::buffer::NullBuffer;

pub(super) use identified::Identified;
pub(super) use labelled::Labelled;
pub(super) use subset::Subset;
pub(in crate::source) use unique::{UniqueNames, renamed, with_names};

use super::{
    Axis, CellSource, Description, Matrix, MatrixName, RepeatedName, SourceError, TypedVec, Uns,
};

/// An adapter that changes the cells and genes of another input, but not its matrices.
pub(super) trait View: Send + Sync {
    fn inner(&self) -> &dyn CellSource;

    fn description(&self) -> &Description;

    fn cell_ids(&self, cells: Range<u64>) -> Result<StringArray, SourceError>;

    fn gene_ids(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        self.inner().var_names(genes)
    }

    fn repeated_names(&self) -> Result<Vec<RepeatedName>, SourceError> {
        self.inner().repeated_names()
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.inner().obs(cells)
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.inner().var(genes)
    }
}

impl<V: View> CellSource for V {
    fn description(&self) -> &Description {
        View::description(self)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.inner().files()
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        View::cell_ids(self, cells)
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        View::gene_ids(self, genes)
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        View::obs(self, cells)
    }

    fn repeated_names(&self) -> Result<Vec<RepeatedName>, SourceError> {
        View::repeated_names(self)
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        View::var(self, genes)
    }

    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        self.inner().embedding(axis, name, rows)
    }

    fn embedding_nulls(
        &self,
        axis: Axis,
        name: &str,
        rows: Range<u64>,
    ) -> Result<Option<NullBuffer>, SourceError> {
        self.inner().embedding_nulls(axis, name, rows)
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        self.inner().uns()
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        self.inner().matrix(name)
    }

    fn assume_unsorted(&self) {
        self.inner().assume_unsorted();
    }

    fn held_bytes(&self) -> u64 {
        self.inner().held_bytes()
    }
}
