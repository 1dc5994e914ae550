//! Files beside a dataset, as tables: `FROM 'donors.csv'`.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::prelude::SessionContext;

use super::error::QueryError;

/// Endings of files that are tables.
pub(super) const ENDINGS: [&str; 8] =
    ["csv", "tsv", "txt", "tab", "parquet", "pq", "json", "jsonl"];

/// Whether a name in a query means a file.
pub(super) fn is_file(name: &str) -> bool {
    ending(name).is_some_and(|ending| ENDINGS.contains(&ending.as_str())) || name.contains('/')
}

fn ending(name: &str) -> Option<String> {
    Some(Path::new(name).extension()?.to_str()?.to_lowercase())
}

/// Opens a file as a table.
///
/// # Errors
/// If it does not exist, is of another kind or cannot be read.
pub(super) async fn open(name: &str) -> Result<Arc<dyn TableProvider>, QueryError> {
    let failed = |problem: String| QueryError::Sql {
        problem: format!("{name}: {problem}"),
        place: None,
        shown: None,
    };
    let path = std::path::absolute(name).map_err(|error| failed(error.to_string()))?;
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(failed(
                "it is a folder; datasets are named before the query, as in slaf query a.slaf b.slaf SQL".into(),
            ));
        }
        Ok(_) => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    let ending = ending(name).unwrap_or_default();
    let delimiter = match ending.as_str() {
        "csv" => Some(b','),
        "tsv" | "txt" | "tab" => Some(b'\t'),
        _ => None,
    };
    let format: Arc<dyn FileFormat> = match (delimiter, ending.as_str()) {
        (Some(delimiter), _) => Arc::new(csv(delimiter)),
        (None, "json" | "jsonl") => {
            // All of the file: types of a part would be a guess.
            Arc::new(JsonFormat::default().with_schema_infer_max_rec(usize::MAX))
        }
        (None, "parquet" | "pq") => Arc::new(ParquetFormat::default()),
        (None, _) => {
            return Err(failed(format!(
                "files that are tables end with {}",
                ENDINGS.join(", ")
            )));
        }
    };
    let said = |error: datafusion::error::DataFusionError| failed(error.strip_backtrace());
    let url = path
        .to_str()
        .ok_or_else(|| failed("its name is not UTF-8".into()))?;
    // Characters that stand for others in patterns stand for themselves.
    let url = url::escaped(url);
    let url = ListingTableUrl::parse(&url).map_err(said)?;
    let options = ListingOptions::new(format).with_file_extension("");
    let context = SessionContext::new();
    let state = context.state();
    let schema = options.infer_schema(&state, &url).await.map_err(said)?;
    let schema = match delimiter {
        Some(_) => with_codes(schema, &options, &url, &context)
            .await
            .map_err(said)?,
        None => schema,
    };
    let config = ListingTableConfig::new(url)
        .with_listing_options(options)
        .with_schema(schema);
    Ok(Arc::new(ListingTable::try_new(config).map_err(said)?))
}

fn csv(delimiter: u8) -> CsvFormat {
    CsvFormat::default()
        .with_has_header(true)
        .with_delimiter(delimiter)
        .with_schema_infer_max_rec(usize::MAX)
}

/// Columns of codes as texts: 007 is not the number 7.
async fn with_codes(
    schema: Arc<Schema>,
    options: &ListingOptions,
    url: &ListingTableUrl,
    context: &SessionContext,
) -> datafusion::common::Result<Arc<Schema>> {
    use arrow::array::AsArray;
    use datafusion::physical_plan::execute_stream;
    use futures::TryStreamExt;

    let texts = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), DataType::Utf8, true));
    let texts = Arc::new(Schema::new(texts.collect::<Vec<_>>()));
    let config = ListingTableConfig::new(url.clone())
        .with_listing_options(options.clone())
        .with_schema(texts);
    let table = ListingTable::try_new(config)?;
    let plan = table.scan(&context.state(), None, &[], None).await?;
    let mut stream = execute_stream(plan, context.task_ctx())?;
    let mut codes = vec![false; schema.fields().len()];
    while let Some(batch) = stream.try_next().await? {
        for (code, column) in codes.iter_mut().zip(batch.columns()) {
            *code |= column.as_string::<i32>().iter().flatten().any(is_code);
        }
    }
    let fields = schema.fields().iter().zip(codes).map(|(field, code)| {
        if code && field.data_type().is_numeric() {
            Arc::new(Field::new(field.name(), DataType::Utf8, true))
        } else {
            field.clone()
        }
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// Whether a text begins with a zero that a number would lose.
fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    matches!(digits, [b'0', next, ..] if next.is_ascii_digit())
}

mod url {
    /// A path without characters that stand for others.
    pub(super) fn escaped(path: &str) -> String {
        let mut escaped = String::from("file://");
        for byte in path.bytes() {
            match byte {
                b'/' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
                byte if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
                byte => escaped.push_str(&format!("%{byte:02X}")),
            }
        }
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_no_numbers() {
        assert!(is_code("007") && is_code("-01"));
        assert!(!is_code("0") && !is_code("0.5") && !is_code("70"));
        assert!(is_file("donors.csv") && is_file("a/b") && !is_file("cells"));
        assert_eq!(url::escaped("/a b/[1].csv"), "file:///a%20b/%5B1%5D.csv");
    }
}
