//! The identifiers of all cells and genes, by which digests know them.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::gene_identities::gene_hashes;
use super::{Dataset, DatasetError, RowOrder};
use crate::chunk::IdHash;
use crate::table::{TableError, TableName};

/// Their hashes, by the numbers of cells and genes.
pub(super) struct Identifiers {
    cells: Vec<IdHash>,
    genes: Vec<IdHash>,
}

impl Identifiers {
    /// Reads them. The rows of the cells lie like this.
    pub async fn of(dataset: &Dataset, cells: RowOrder) -> Result<Self, DatasetError> {
        let columns = ["cell_integer_id", "cell_id"];
        let mut rows = dataset
            .sorted_rows(TableName::Cells, &columns, cells)
            .await?;
        let mut hashes = Vec::new();
        while let Some(batch) = rows.next().await? {
            let ids = cast(batch.column(1), &DataType::Utf8);
            let ids = ids.map_err(|source| TableError::Arrow {
                path: dataset.path().join(TableName::Cells.folder()),
                source,
            })?;
            hashes.extend(IdHash::of_all(ids.as_string::<i32>()));
        }
        Ok(Identifiers {
            cells: hashes,
            genes: gene_hashes(dataset).await?,
        })
    }

    /// Those of the rows, and of the columns, of the matrices of a table.
    pub fn of_table(&self, table: TableName) -> [&[IdHash]; 2] {
        match table {
            TableName::Obsp => [&self.cells, &self.cells],
            TableName::Varp => [&self.genes, &self.genes],
            _ => [&self.cells, &self.genes],
        }
    }
}
