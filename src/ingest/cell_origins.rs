//! Whose a cell is: an input's, or a source's of the dataset.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::IngestError;
use crate::dataset::{Dataset, SourceNote};
use crate::plan::Plan;
use crate::source::Inputs;
use crate::table::{RowReader, TableError, TableName};

/// An input, or a source of the dataset, by its position; cells of the dataset may have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CellOrigin {
    Source(Option<usize>),
    Input(usize),
}

/// The inputs of a plan and the sources of the dataset that they are added to.
pub(super) struct CellOrigins<'a> {
    pub plan: &'a Plan,
    pub before: Option<&'a Dataset>,
}

impl<'a> CellOrigins<'a> {
    pub fn sources(&self) -> &'a [SourceNote] {
        self.before.map_or(&[], |before| &before.config().sources)
    }

    /// The input of a new cell.
    pub fn input_of(&self, cell: u32) -> usize {
        let inputs = &self.plan.inputs;
        let after = inputs.partition_point(|input| input.cells.end <= u64::from(cell));
        after.min(inputs.len().saturating_sub(1))
    }

    /// Where a cell of the dataset is from.
    pub fn source_of(&self, cell: u64) -> CellOrigin {
        let sources = self.sources();
        let after = sources.partition_point(|source| source.first_cell <= cell);
        CellOrigin::Source(after.checked_sub(1))
    }

    fn source(&self, number: Option<usize>) -> Option<&'a SourceNote> {
        number.and_then(|number| self.sources().get(number))
    }

    /// The path of what a place stands for.
    pub fn path(&self, place: CellOrigin) -> &'a Path {
        match place {
            CellOrigin::Input(number) => &self.plan.inputs[number].path,
            CellOrigin::Source(number) => match self.source(number) {
                Some(source) => &source.path,
                None => self.before.map_or(Path::new(""), Dataset::path),
            },
        }
    }

    /// What it is called in the dataset.
    pub fn source_file(&self, place: CellOrigin) -> String {
        let known = match place {
            CellOrigin::Input(number) => Some(&self.plan.inputs[number].source_file),
            CellOrigin::Source(number) => self.source(number).map(|source| &source.source_file),
        };
        let folder = || self.path(place).file_name().unwrap_or_default();
        known.map_or_else(|| folder().to_string_lossy().into_owned(), String::clone)
    }

    /// The name of a cell, by its number.
    pub fn cell_id(
        &self,
        place: CellOrigin,
        cell: u64,
        inputs: &Inputs,
        runtime: &tokio::runtime::Handle,
    ) -> Result<String, IngestError> {
        match (place, self.before) {
            (CellOrigin::Input(number), _) => {
                let own = cell - self.plan.inputs[number].cells.start;
                let ids = inputs.get(number)?.obs_names(own..own + 1)?;
                Ok(ids.value(0).to_string())
            }
            (CellOrigin::Source(_), Some(before)) => runtime.block_on(of_dataset(before, cell)),
            (CellOrigin::Source(_), None) => Ok(format!("cell {cell}")),
        }
    }
}

/// The name of a cell of a dataset.
async fn of_dataset(dataset: &Dataset, cell: u64) -> Result<String, IngestError> {
    let table = dataset.table(TableName::Cells).await?;
    let path = dataset.path().join(TableName::Cells.folder());
    let mut rows = RowReader::over(&table, &path, Some(cell..cell + 1)).await?;
    let batch = rows.next().await?;
    let ids = batch
        .as_ref()
        .and_then(|batch| batch.column_by_name("cell_id"));
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
        return Ok(format!("cell {cell}"));
    };
    let ids = cast(ids, &DataType::Utf8).map_err(|source| TableError::Arrow { path, source })?;
    Ok(ids.as_string::<i32>().value(0).to_string())
}
