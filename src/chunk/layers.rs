//! Rows of the layers table: the union of the non-zeros of all layers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::concat;
use arrow::datatypes::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int32Type, UInt16Type, UInt32Type,
};
use arrow::error::ArrowError;

use super::CooBatch;
use crate::plan::IdType;
use crate::survey::ValueType;

/// Rows of the layers table for a range of cells: sorted by cell, then by gene, without duplicate
/// coordinates, and with at least one non-zero layer in each row.
#[derive(Debug, Clone)]
pub struct LayersBatch {
    /// Cell identifier of each row.
    pub cell_ids: ArrayRef,
    /// Gene identifier of each row.
    pub gene_ids: ArrayRef,
    /// Values of each layer; zero where it has no entry.
    pub values: Vec<ArrayRef>,
    /// Number of rows of each cell.
    pub counts: Vec<u32>,
    /// Rows of each layer before they were united, with statistics and digests.
    pub layers: Vec<CooBatch>,
}

impl LayersBatch {
    /// Unites the rows of all layers for the same cells. Each layer is given as one or more
    /// batches, whose types are those planned for the columns.
    ///
    /// # Errors
    /// If the batches of a layer cannot be concatenated.
    ///
    /// # Panics
    /// If there are no layers.
    pub fn unite(
        layers: Vec<Vec<CooBatch>>,
        gene_type: IdType,
        cell_type: IdType,
        value_types: &[ValueType],
    ) -> Result<Self, ArrowError> {
        let layers = layers
            .into_iter()
            .map(joined)
            .collect::<Result<Vec<_>, _>>()?;
        let alike = |a: &CooBatch, b: &CooBatch| {
            a.counts == b.counts && a.gene_ids.as_ref() == b.gene_ids.as_ref()
        };
        if layers.windows(2).all(|pair| alike(&pair[0], &pair[1])) {
            return Ok(LayersBatch {
                cell_ids: layers[0].cell_ids.clone(),
                gene_ids: layers[0].gene_ids.clone(),
                values: layers.iter().map(|layer| layer.values.clone()).collect(),
                counts: layers[0].counts.clone(),
                layers,
            });
        }
        let united = match gene_type {
            IdType::UInt16 => Union::of::<UInt16Type>(&layers),
            IdType::UInt32 => Union::of::<UInt32Type>(&layers),
            IdType::Int32 => Union::of::<Int32Type>(&layers),
        };
        let cell_ids = match cell_type {
            IdType::UInt16 => united.cells::<UInt16Type>(&layers),
            IdType::UInt32 => united.cells::<UInt32Type>(&layers),
            IdType::Int32 => united.cells::<Int32Type>(&layers),
        };
        let values = layers.iter().zip(&united.places).zip(value_types);
        let values = values.map(|((layer, places), value_type)| {
            let (values, rows) = (&layer.values, united.rows);
            match value_type {
                ValueType::UInt16 => spread::<UInt16Type>(values, places, rows),
                ValueType::UInt32 => spread::<UInt32Type>(values, places, rows),
                ValueType::Int32 => spread::<Int32Type>(values, places, rows),
                ValueType::Float32 => spread::<Float32Type>(values, places, rows),
                ValueType::Float64 => spread::<Float64Type>(values, places, rows),
            }
        });
        Ok(LayersBatch {
            cell_ids,
            values: values.collect(),
            gene_ids: united.gene_ids,
            counts: united.counts,
            layers,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.gene_ids.len()
    }
}

/// Concatenates the batches of one layer.
fn joined(mut batches: Vec<CooBatch>) -> Result<CooBatch, ArrowError> {
    if batches.len() == 1 {
        return Ok(batches.remove(0));
    }
    let together = |column: fn(&CooBatch) -> &ArrayRef| {
        let parts: Vec<&dyn Array> = batches.iter().map(|b| column(b).as_ref()).collect();
        concat(&parts)
    };
    let mut all = CooBatch {
        cell_ids: together(|batch| &batch.cell_ids)?,
        gene_ids: together(|batch| &batch.gene_ids)?,
        values: together(|batch| &batch.values)?,
        counts: batches
            .iter()
            .flat_map(|b| b.counts.iter().copied())
            .collect(),
        stats: batches
            .iter()
            .flat_map(|b| b.stats.iter().copied())
            .collect(),
        contents: Vec::new(),
        fractions: batches.iter().map(|batch| batch.fractions).sum(),
        entries: batches.iter().map(|batch| batch.entries).sum(),
        canonicalized: Default::default(),
        digest: Default::default(),
    };
    for batch in &batches {
        all.canonicalized.add(&batch.canonicalized);
        all.digest.add(batch.digest);
    }
    Ok(all)
}

/// Union of the coordinates of all layers.
struct Union {
    gene_ids: ArrayRef,
    counts: Vec<u32>,
    rows: usize,
    /// For each layer, the row of each of its entries.
    places: Vec<Vec<u32>>,
}

impl Union {
    fn of<T: ArrowPrimitiveType>(layers: &[CooBatch]) -> Self
    where
        T::Native: Ord,
    {
        let genes: Vec<&[T::Native]> = layers
            .iter()
            .map(|layer| &layer.gene_ids.as_primitive::<T>().values()[..])
            .collect();
        let mut next = vec![0usize; layers.len()];
        let mut places: Vec<Vec<u32>> = genes.iter().map(|g| Vec::with_capacity(g.len())).collect();
        let mut union: Vec<T::Native> = Vec::new();
        let mut counts = Vec::with_capacity(layers[0].counts.len());
        for cell in 0..layers[0].counts.len() {
            let before = union.len();
            let ends: Vec<usize> = layers
                .iter()
                .zip(&next)
                .map(|(layer, &next)| next + layer.counts[cell] as usize)
                .collect();
            let least = |next: &[usize]| {
                (0..genes.len())
                    .filter(|&layer| next[layer] < ends[layer])
                    .map(|layer| genes[layer][next[layer]])
                    .min()
            };
            while let Some(gene) = least(&next) {
                for layer in 0..genes.len() {
                    if next[layer] < ends[layer] && genes[layer][next[layer]] == gene {
                        // A chunk has far fewer entries than fit into 32 bits.
                        places[layer].push(union.len() as u32);
                        next[layer] += 1;
                    }
                }
                union.push(gene);
            }
            counts.push((union.len() - before) as u32);
        }
        Union {
            rows: union.len(),
            gene_ids: Arc::new(PrimitiveArray::<T>::new(union.into(), None)),
            counts,
            places,
        }
    }

    /// Returns the cell of each row, taken from a layer that has an entry there.
    fn cells<T: ArrowPrimitiveType>(&self, layers: &[CooBatch]) -> ArrayRef {
        let mut cells = vec![T::default_value(); self.rows];
        for (layer, places) in layers.iter().zip(&self.places) {
            let ids = layer.cell_ids.as_primitive::<T>().values();
            for (&place, &id) in places.iter().zip(ids.iter()) {
                cells[place as usize] = id;
            }
        }
        Arc::new(PrimitiveArray::<T>::new(cells.into(), None))
    }
}

fn spread<T: ArrowPrimitiveType>(values: &ArrayRef, places: &[u32], rows: usize) -> ArrayRef {
    let mut spread = vec![T::default_value(); rows];
    let values = values.as_primitive::<T>().values();
    for (&place, &value) in places.iter().zip(values.iter()) {
        spread[place as usize] = value;
    }
    Arc::new(PrimitiveArray::<T>::new(spread.into(), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float32Array, UInt16Array, UInt32Array};

    fn batch(cells: &[u32], genes: &[u16], values: &[f32], counts: &[u32]) -> CooBatch {
        CooBatch {
            cell_ids: Arc::new(UInt32Array::from(cells.to_vec())),
            gene_ids: Arc::new(UInt16Array::from(genes.to_vec())),
            values: Arc::new(Float32Array::from(values.to_vec())),
            counts: counts.to_vec(),
            stats: Vec::new(),
            contents: Vec::new(),
            fractions: 0,
            entries: values.len() as u64,
            canonicalized: Default::default(),
            digest: Default::default(),
        }
    }

    #[test]
    fn rows_are_the_union_and_zero_where_a_layer_has_none() {
        let first = vec![
            batch(&[7, 7], &[1, 4], &[1.0, 2.0], &[2]),
            batch(&[9], &[0], &[3.0], &[0, 1]),
        ];
        let second = vec![batch(&[7, 8, 9], &[4, 2, 0], &[5.0, 6.0, 7.0], &[1, 1, 1])];
        let types = [ValueType::Float32; 2];
        let united =
            LayersBatch::unite(vec![first, second], IdType::UInt16, IdType::UInt32, &types);
        let united = united.unwrap();
        assert_eq!(united.counts, [2, 1, 1]);
        let cells = united
            .cell_ids
            .as_primitive::<UInt32Type>()
            .values()
            .to_vec();
        assert_eq!(cells, [7, 7, 8, 9]);
        let genes = united
            .gene_ids
            .as_primitive::<UInt16Type>()
            .values()
            .to_vec();
        assert_eq!(genes, [1, 4, 2, 0]);
        let values = |layer: usize| {
            united.values[layer]
                .as_primitive::<Float32Type>()
                .values()
                .to_vec()
        };
        assert_eq!(values(0), [1.0, 2.0, 0.0, 3.0]);
        assert_eq!(values(1), [0.0, 5.0, 6.0, 7.0]);
        assert_eq!(united.layers[0].entries, 3);
    }
}
