//! Scale of a dataset's values: from the description of its inputs, or from a sample of its rows.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt32Type};

use super::{Dataset, DatasetConfig, DatasetError};
use crate::source::{SampledRows, TypedVec};
use crate::survey::{RowSample, Scale, ValueType, of_rows};
use crate::table::{RowReader, TableError, TableName};

/// Number of positions at which rows are read, and number of rows at each.
const PLACES: u64 = 4;
const ROWS: u64 = 1 << 14;

impl DatasetConfig {
    /// Scale of the expression table, according to the descriptions of the inputs.
    pub(crate) fn scale(&self) -> Option<Scale> {
        let scales = self.sources.iter().filter_map(|source| source.scale);
        scales.reduce(Scale::with)
    }

    /// Scale of a layer, given the key of its matrix.
    pub(super) fn scale_of_layer(&self, key: &str) -> Option<Scale> {
        let layers = self.sources.iter().flat_map(|source| &source.layers);
        let layers = layers.filter(|layer| layer.key == key);
        layers.filter_map(|layer| layer.scale).reduce(Scale::with)
    }
}

impl Dataset {
    /// Estimates the scale of the values, which are stored in this type and have `rows` rows, from
    /// a sample; used if the inputs' descriptions do not give it.
    pub(super) async fn sampled_scale(
        &self,
        expression: &lance::Dataset,
        rows: u64,
        value_type: ValueType,
    ) -> Result<Scale, DatasetError> {
        let number_type = match value_type {
            ValueType::UInt16 | ValueType::UInt32 => return Ok(Scale::COUNTS),
            ValueType::Int32 | ValueType::Float32 | ValueType::Float64 => value_type.into(),
        };
        let path = self.path().join(TableName::Expression.folder());
        let arrow = |source| TableError::Arrow {
            path: path.clone(),
            source,
        };
        let mut sample = RowSample::default();
        let cells = self.config().array_shape[0];
        let last = rows.saturating_sub(ROWS);
        let mut starts: Vec<u64> = (0..PLACES)
            .map(|place| last / (PLACES - 1) * place)
            .collect();
        starts.dedup();
        for start in starts {
            let place = start..(start + ROWS).min(rows);
            let mut batches = RowReader::over(expression, &path, Some(place)).await?;
            let (mut ids, mut values) = (Vec::new(), Vec::new());
            while let Some(batch) = batches.next().await? {
                let cells = cast(batch.column(0), &DataType::UInt32).map_err(arrow)?;
                let numbers = cast(batch.column(2), &DataType::Float64).map_err(arrow)?;
                ids.extend_from_slice(cells.as_primitive::<UInt32Type>().values());
                values.extend_from_slice(numbers.as_primitive::<Float64Type>().values());
            }
            let (ids, values) = (TypedVec::UInt32(ids), TypedVec::Float64(values));
            let (rows_of, values) = (&ids, &values);
            let shown = SampledRows::Entries {
                rows: rows_of,
                values,
            };
            sample.add(shown, cells, Some(rows));
        }
        let sample = sample.finished(Some(rows));
        Ok(of_rows(&sample, number_type, None))
    }
}
