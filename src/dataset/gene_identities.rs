//! Identities of the genes of a dataset, independent of their names in it.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::{Dataset, DatasetError};
use crate::chunk::GeneIdentity;
use crate::source::Part;
use crate::survey::STABLE_IDS;
use crate::table::{RowReader, TableError, TableName};

/// Returns the identities of all genes, in order: from the stable identifier if a gene has one,
/// otherwise from its name.
pub(crate) async fn gene_identities(dataset: &Dataset) -> Result<Vec<GeneIdentity>, DatasetError> {
    let path = dataset.path().join(TableName::Genes.folder());
    let table = dataset.table(TableName::Genes).await?;
    let mut notes = dataset.config().column_notes.iter();
    let note = notes.find(|note| note.part == Part::Var && note.column == STABLE_IDS);
    let stable = note.map_or(STABLE_IDS, |note| note.written_as.as_str());
    let mut columns = vec!["gene_id"];
    columns.extend(table.schema().field(stable).map(|_| stable));
    let mut rows = RowReader::of_columns(&table, &path, &columns).await?;
    let mut identities = Vec::new();
    while let Some(batch) = rows.next().await? {
        let texts = batch.columns().iter();
        let texts = texts.map(|column| cast(column, &DataType::Utf8));
        let texts = texts.collect::<Result<Vec<_>, _>>();
        let texts = texts.map_err(|source| TableError::Arrow {
            path: path.clone(),
            source,
        })?;
        let texts: Vec<_> = texts
            .iter()
            .map(|column| column.as_string::<i32>())
            .collect();
        for row in 0..batch.num_rows() {
            let text = |place: usize| {
                let column = texts.get(place).filter(|column| column.is_valid(row));
                column.map(|column| column.value(row))
            };
            let stable = text(1).filter(|id| !id.is_empty());
            identities.push(GeneIdentity::of(stable.or(text(0)).unwrap_or_default()));
        }
    }
    Ok(identities)
}
