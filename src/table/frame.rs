//! Rows of the cells and genes tables.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, StringBuilder, UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;

use super::TableError;

/// Rows of the cells table.
pub struct CellRows<'a> {
    /// obs columns, in their planned types.
    pub obs: Vec<ArrayRef>,
    /// Identifier of each cell.
    pub cell_ids: StringArray,
    /// Numbers of the cells in the dataset.
    pub ids: Range<i64>,
    /// Name of the input the cells come from.
    pub source_file: &'a str,
    /// Row of the expression table at which each cell begins.
    pub starts: Vec<i64>,
    /// Embeddings of cells, in their planned types.
    pub obsm: Vec<ArrayRef>,
}

/// Rows of the genes table.
pub struct GeneRows {
    /// var columns, in their planned types.
    pub var: Vec<ArrayRef>,
    /// Identifier of each gene.
    pub gene_ids: StringArray,
    /// Numbers of the genes in the dataset.
    pub ids: Range<i64>,
    /// Embeddings of genes, in their planned types.
    pub varm: Vec<ArrayRef>,
}

impl CellRows<'_> {
    /// Returns the rows in the table's schema.
    ///
    /// # Errors
    /// If the columns do not match the schema.
    pub fn batch(self, table: &Path, schema: &Schema) -> Result<RecordBatch, TableError> {
        let rows = self.starts.len();
        // Allocate the exact size, since a writer may hold it for a long time.
        let bytes = rows.saturating_mul(self.source_file.len());
        let mut source_file = StringBuilder::with_capacity(rows, bytes);
        (0..rows).for_each(|_| source_file.append_value(self.source_file));
        let own: [ArrayRef; 4] = [
            Arc::new(self.cell_ids),
            Arc::new(Int64Array::from_iter_values(self.ids)),
            Arc::new(source_file.finish()),
            Arc::new(Int64Array::from(self.starts)),
        ];
        batch(schema, self.obs, own, self.obsm).map_err(|source| TableError::Arrow {
            path: table.into(),
            source,
        })
    }
}

impl GeneRows {
    /// Returns the rows in the table's schema.
    ///
    /// # Errors
    /// If the columns do not match the schema.
    pub fn batch(self, table: &Path, schema: &Schema) -> Result<RecordBatch, TableError> {
        let own: [ArrayRef; 2] = [
            Arc::new(self.gene_ids),
            Arc::new(Int64Array::from_iter_values(self.ids)),
        ];
        batch(schema, self.var, own, self.varm).map_err(|source| TableError::Arrow {
            path: table.into(),
            source,
        })
    }
}

impl GeneRows {
    /// Keeps only those of these rows, which are a range of an input's genes, that are in `kept`,
    /// and numbers them from `next` on. Keeps all rows if `kept` is `None`.
    pub fn taken(
        self,
        rows: &Range<u64>,
        kept: Option<&[u32]>,
        next: &mut i64,
    ) -> Result<Self, ArrowError> {
        let Some(kept) = kept else {
            let length = self.gene_ids.len() as i64;
            let ids = *next..*next + length;
            *next = ids.end;
            return Ok(GeneRows { ids, ..self });
        };
        let here = kept.iter().filter(|&&gene| rows.contains(&u64::from(gene)));
        let here = here.map(|&gene| (u64::from(gene) - rows.start) as u32);
        let here = UInt32Array::from_iter_values(here);
        let ids = *next..*next + here.len() as i64;
        *next = ids.end;
        let all = |columns: Vec<ArrayRef>| -> Result<Vec<ArrayRef>, ArrowError> {
            columns
                .iter()
                .map(|column| take(column, &here, None))
                .collect()
        };
        let names = take(&self.gene_ids, &here, None)?;
        Ok(GeneRows {
            var: all(self.var)?,
            gene_ids: names.as_string::<i32>().clone(),
            ids,
            varm: all(self.varm)?,
        })
    }
}

fn batch<const N: usize>(
    schema: &Schema,
    columns: Vec<ArrayRef>,
    own: [ArrayRef; N],
    embeddings: Vec<ArrayRef>,
) -> Result<RecordBatch, ArrowError> {
    let arrays = columns.into_iter().chain(own).chain(embeddings);
    RecordBatch::try_new(Arc::new(schema.clone()), arrays.collect())
}

/// Converts categoricals to strings; nulls are preserved. Other columns are unchanged.
///
/// # Errors
/// If the column cannot be cast.
pub fn plain_text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Dictionary(_, _) => cast(column, &DataType::Utf8),
        _ => Ok(column.clone()),
    }
}
