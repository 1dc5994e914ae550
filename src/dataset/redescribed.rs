//! What is described of the cells, and of what is no matrix, once another program's changes are
//! accepted.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::{
    CategoryList, ColumnDtype, Dataset, DatasetConfig, DatasetError, RowOrder, UNS, hash_of_file,
    uns_keys,
};
use crate::table::{RowReader, TableError, TableName};

/// Describes uns.json as it is. Keys that were not converted are others'.
pub(super) fn redescribe_uns(
    config: &mut DatasetConfig,
    now: &Dataset,
) -> Result<(), DatasetError> {
    config.uns_xxh3 = hash_of_file(&now.path().join(UNS))?;
    let found = match config.uns_xxh3 {
        None => None,
        Some(_) => uns_keys(now.path())?,
    };
    let known = config.uns_keys.take();
    config.uns_keys = found.map(|mut found| {
        found.retain(|key, _| known.as_ref().is_some_and(|known| known.contains_key(key)));
        found
    });
    Ok(())
}

/// Notes whether the cells of each source still name it.
pub(super) async fn redescribe_sources(
    config: &mut DatasetConfig,
    now: &Dataset,
    order: RowOrder,
) -> Result<(), DatasetError> {
    let (cells, column) = (TableName::Cells, "source_file");
    if now.table(cells).await?.schema().field(column).is_none() {
        return Ok(());
    }
    let mut rows = now
        .sorted_rows(cells, &["cell_integer_id", column], order)
        .await?;
    let mut cell = 0;
    while let Some(batch) = rows.next().await? {
        for name in &texts(now, cells, batch.column(1))? {
            let after = config.sources.partition_point(|s| s.first_cell <= cell);
            let source = after.checked_sub(1).map(|place| &config.sources[place]);
            // Sources without cells begin where others do.
            let is_of = source.filter(|source| cell < source.first_cell + source.cells);
            if is_of.is_some_and(|source| Some(source.source_file.as_str()) != name) {
                config.renamed_sources = true;
                return Ok(());
            }
            cell += 1;
        }
    }
    Ok(())
}

/// Adds the values to lists of categories that these lack: readers would take them for missing.
pub(super) async fn redescribe_categories(
    config: &mut DatasetConfig,
    now: &Dataset,
) -> Result<(), DatasetError> {
    for (name, dtypes) in [
        (TableName::Cells, &mut config.obs_dtypes),
        (TableName::Genes, &mut config.var_dtypes),
    ] {
        let table = now.table(name).await?;
        dtypes.retain(|column, _| table.schema().field(column).is_some());
        let path = now.path().join(name.folder());
        let new = new_categories(now, name, &table, dtypes).await?;
        for (column, new) in new.into_iter().filter(|(_, new)| !new.is_empty()) {
            let Some(dtype) = dtypes.get_mut(&column) else {
                continue;
            };
            let new = CategoryList::from(StringArray::from_iter_values(new));
            let known = dtype.categories.get_or_insert_default();
            let Some(united) = known.united(&new) else {
                let why = format!("the categories of {column} are more than 2 GiB of text");
                return Err(DatasetError::Unacceptable { path, why });
            };
            *known = united;
            // Nobody told where among the others they stand.
            dtype.ordered = Some(false);
        }
    }
    Ok(())
}

/// For each column of categories, the values that its list lacks.
async fn new_categories(
    now: &Dataset,
    name: TableName,
    table: &lance::Dataset,
    dtypes: &BTreeMap<String, ColumnDtype>,
) -> Result<BTreeMap<String, BTreeSet<String>>, DatasetError> {
    let path = now.path().join(name.folder());
    let mut new = BTreeMap::new();
    for (column, dtype) in dtypes.iter().filter(|(_, dtype)| dtype.dtype == "category") {
        let known = dtype.categories.iter().flat_map(CategoryList::iter);
        let known: std::collections::HashSet<&str> = known.collect();
        let mut found = BTreeSet::new();
        let mut rows = RowReader::of_columns(table, &path, &[column]).await?;
        while let Some(batch) = rows.next().await? {
            let texts = texts(now, name, batch.column(0))?;
            let lacking = texts.iter().flatten().filter(|text| !known.contains(text));
            for text in lacking {
                if !found.contains(text) {
                    found.insert(text.to_string());
                }
            }
        }
        new.insert(column.clone(), found);
    }
    Ok(new)
}

fn texts(now: &Dataset, name: TableName, column: &dyn Array) -> Result<StringArray, DatasetError> {
    let texts = cast(column, &DataType::Utf8).map_err(|source| TableError::Arrow {
        path: now.path().join(name.folder()),
        source,
    })?;
    Ok(texts.as_string::<i32>().clone())
}
