//! Identities of the genes of a dataset, independent of their names in it.

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

use super::{Dataset, DatasetError, RowOrder};
use crate::chunk::{GeneIdentity, IdHash};
use crate::source::Part;
use crate::survey::STABLE_IDS;
use crate::table::{TableError, TableName};

/// The identities of all genes, by their numbers: the identifier that does not change, where a gene
/// has one, else its name.
pub(crate) async fn gene_identities(dataset: &Dataset) -> Result<Vec<GeneIdentity>, DatasetError> {
    let table = dataset.table(TableName::Genes).await?;
    let mut notes = dataset.config().column_notes.iter();
    let note = notes.find(|note| note.part == Part::Var && note.column == STABLE_IDS);
    let stable = note.map_or(STABLE_IDS, |note| note.written_as.as_str());
    let mut columns = vec!["gene_id"];
    columns.extend(table.schema().field(stable).map(|_| stable));
    of_all(dataset, &columns, |texts, row| {
        let text = |place: usize| {
            let column = texts.get(place).filter(|column| column.is_valid(row));
            column.map(|column| column.value(row))
        };
        let stable = text(1).filter(|id| !id.is_empty());
        GeneIdentity::of(stable.or(text(0)).unwrap_or_default())
    })
    .await
}

/// The hashes of the identifiers of all genes, by their numbers.
pub(crate) async fn gene_hashes(dataset: &Dataset) -> Result<Vec<IdHash>, DatasetError> {
    of_all(dataset, &["gene_id"], |texts, row| {
        let id = texts[0].is_valid(row).then(|| texts[0].value(row));
        IdHash::of(id.unwrap_or_default())
    })
    .await
}

/// Something of each gene, of columns of texts. Other programs may have left the rows in any order.
async fn of_all<T>(
    dataset: &Dataset,
    columns: &[&str],
    of_row: impl Fn(&[StringArray], usize) -> T,
) -> Result<Vec<T>, DatasetError> {
    let path = dataset.path().join(TableName::Genes.folder());
    let arrow = |source| TableError::Arrow {
        path: path.clone(),
        source,
    };
    let all = [TableName::Genes.number_columns(), columns].concat();
    let mut rows = dataset
        .sorted_rows(TableName::Genes, &all, RowOrder::Sorted)
        .await?;
    let mut genes: Vec<(i64, T)> = Vec::new();
    while let Some(batch) = rows.next().await? {
        let numbers = cast(batch.column(0), &DataType::Int64).map_err(arrow)?;
        let texts = batch.columns()[1..].iter();
        let texts = texts.map(|column| Ok(cast(column, &DataType::Utf8)?.as_string().clone()));
        let texts: Vec<StringArray> = texts.collect::<Result<_, _>>().map_err(arrow)?;
        let numbers = numbers.as_primitive::<Int64Type>().values();
        let numbers = numbers.iter().enumerate();
        genes.extend(numbers.map(|(row, &number)| (number, of_row(&texts, row))));
    }
    genes.sort_by_key(|(number, _)| *number);
    let mut numbers = (0..).zip(&genes);
    if let Some((expected, _)) = numbers.find(|(expected, (number, _))| expected != number) {
        let why = format!("the gene {expected} is missing, or there twice");
        return Err(DatasetError::CannotContinue { path, why });
    }
    Ok(genes.into_iter().map(|(_, gene)| gene).collect())
}
