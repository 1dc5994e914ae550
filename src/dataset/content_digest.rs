//! A digest of what a dataset contains, however it is stored.
//!
//! It does not depend on fragments, widths of types, compression, or the names of the inputs, nor on
//! anything that was only recorded about them.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;

use super::{Dataset, DatasetError, UNS};
use crate::chunk::Digest;
use crate::store::{StoreError, read_text};
use crate::table::{RowReader, TableError, TableName, row_digest};

/// Columns that say where rows are stored, and where they come from.
const NOT_CONTENT: [&str; 4] = [
    "cell_integer_id",
    "gene_integer_id",
    "cell_start_index",
    "source_file",
];

/// Bytes of uns.json, at most.
const LONGEST: u64 = 1 << 30;

/// The key of uns that says which dataset a file was exported from.
const EXPORTED: &str = "slaf";

/// Returns the digest in hexadecimal digits; `None` if the dataset has no digests, because another
/// program wrote it.
///
/// # Errors
/// If a table cannot be read.
pub async fn content_digest(path: &Path) -> Result<Option<String>, DatasetError> {
    let dataset = Dataset::open(path)?;
    let config = dataset.config();
    if !config.is_described() {
        return Ok(None);
    }
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    let mut matrices: BTreeMap<&str, Digest> = BTreeMap::new();
    for source in &config.sources {
        if source.cells > 0 && !source.digests.contains_key("expression") {
            return Ok(None);
        }
        for (key, digest) in &source.digests {
            matrices.entry(key).or_default().add(*digest);
        }
    }
    for (key, digest) in matrices {
        // A matrix without entries is like one that is not there.
        if digest != Digest::default() || key == "expression" {
            parts.insert(key.to_string(), digest.to_string());
        }
    }
    for (table, name) in [(TableName::Cells, "obs"), (TableName::Genes, "var")] {
        parts.insert(name.into(), frame(&dataset, table).await?.to_string());
    }
    let uns = dataset.path().join(UNS);
    if uns.exists() {
        let text = read_text(&uns, LONGEST);
        let text = text.map_err(|error| StoreError::from_io("read", &uns, error))?;
        if let Ok(serde_json::Value::Object(mut values)) = serde_json::from_str(&text) {
            values.shift_remove(EXPORTED);
            values.sort_keys();
            let values = serde_json::Value::Object(values).to_string();
            if values != "{}" {
                parts.insert("uns".into(), blake3::hash(values.as_bytes()).to_string());
            }
        }
    }
    let [cells, genes] = config.array_shape;
    let mut text = format!("{cells} {genes}\n");
    for (key, digest) in parts {
        text += &format!("{key}\t{digest}\n");
    }
    Ok(Some(blake3::hash(text.as_bytes()).to_string()))
}

/// Digest of the columns of a table of cells or genes that are content.
async fn frame(dataset: &Dataset, name: TableName) -> Result<Digest, DatasetError> {
    let table = dataset.table(name).await?;
    let path = dataset.path().join(name.folder());
    let mut reader = RowReader::over(&table, &path, None).await?;
    let mut digest = Digest::default();
    while let Some(batch) = reader.next().await? {
        let arrow = |source| TableError::Arrow {
            path: path.clone(),
            source,
        };
        let content: Vec<usize> = (0..batch.num_columns())
            .filter(|&column| !NOT_CONTENT.contains(&batch.schema().field(column).name().as_str()))
            .collect();
        let content: RecordBatch = batch.project(&content).map_err(arrow)?;
        digest.add(row_digest(&content).map_err(arrow)?);
    }
    Ok(digest)
}
