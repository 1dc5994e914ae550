//! Tables of a dataset, read from synchronous code.

use std::future::Future;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use tokio::runtime::Runtime;

use crate::dataset::{Dataset, DatasetError};
use crate::source::{ErrorContext, SourceError};
use crate::store::StoreError;
use crate::table::{RowReader, RowsAndColumns, TableError, TableFolder, TableName};

/// One version of a table.
pub(super) struct OpenTable {
    /// The table.
    pub name: TableName,
    /// Path of its folder.
    pub path: PathBuf,
    /// Schema of its columns.
    pub schema: Schema,
    /// Number of rows, without deleted ones.
    pub rows: u64,
    /// Whether any rows are deleted.
    pub has_deletions: bool,
    table: lance::Dataset,
}

impl OpenTable {
    /// Opens a table of a dataset in the version that its config describes.
    pub fn of(dataset: &Dataset, name: TableName) -> Result<Arc<Self>, SourceError> {
        let owned = dataset.clone();
        let path = dataset.path().join(name.folder());
        let table = finish(
            &path,
            async move { owned.table(name).await.map_err(refused) },
        )?;
        let mut rows = 0u64;
        let mut has_deletions = false;
        for fragment in table.fragments().iter() {
            let deleted = match &fragment.deletion_file {
                None => Some(0),
                Some(file) => file.num_deleted_rows,
            };
            let (Some(physical), Some(deleted)) = (fragment.physical_rows, deleted) else {
                return Err(ErrorContext::whole(&path).unsupported(
                    "a table of so old a Lance that it does not count its rows",
                    "write it anew with Lance, by compaction",
                ));
            };
            has_deletions |= deleted > 0;
            rows += physical.saturating_sub(deleted) as u64;
        }
        Ok(Arc::new(OpenTable {
            name,
            schema: Schema::from(table.schema()),
            path,
            rows,
            has_deletions,
            table,
        }))
    }

    /// Returns the files of the table.
    pub fn files(&self) -> Result<Vec<PathBuf>, SourceError> {
        let folder = TableFolder::new(self.path.clone());
        let manifest = folder.manifest(self.table.version().version);
        let manifest = manifest.map_err(|error| refused(error.into()))?;
        let fragments = self.table.fragments();
        let files = fragments.iter().flat_map(|fragment| &fragment.files);
        // Only Lance can resolve files in other locations.
        let files = files.filter(|file| file.base_id.is_none());
        let files = files.map(|file| self.path.join("data").join(&file.path));
        Ok(manifest.into_iter().chain(files).collect())
    }

    /// Whether the table has a column.
    pub fn has(&self, column: &str) -> bool {
        self.schema.field_with_name(column).is_ok()
    }

    /// Location of the table, for messages.
    pub fn place(&self) -> ErrorContext {
        ErrorContext::whole(&self.path)
    }

    /// Reads rows of some columns, in their stored types.
    pub async fn reader(
        &self,
        columns: &[&str],
        rows: Range<u64>,
    ) -> Result<RowReader, SourceError> {
        let wanted = RowsAndColumns {
            columns: Some(columns),
            rows: Some(rows),
        };
        let reader = RowReader::of(&self.table, &self.path, wanted).await;
        reader.map_err(|error| refused(error.into()))
    }

    /// Reads rows of some columns as one batch, in the order of `columns`.
    pub fn read(
        self: &Arc<Self>,
        columns: &[String],
        rows: Range<u64>,
    ) -> Result<RecordBatch, SourceError> {
        let length = usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX);
        let arrow = |error: arrow::error::ArrowError| self.place().damaged(error.to_string());
        let fields = columns.iter().map(|name| self.schema.field_with_name(name));
        let fields = fields.collect::<Result<Vec<_>, _>>().map_err(arrow)?;
        let schema = Arc::new(Schema::new(fields.into_iter().cloned().collect::<Vec<_>>()));
        if length == 0 || columns.is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(length));
            let empty = schema
                .fields()
                .iter()
                .map(|field| arrow::array::new_empty_array(field.data_type()));
            return RecordBatch::try_new_with_options(schema.clone(), empty.collect(), &options)
                .map_err(arrow);
        }
        let (table, names) = (self.clone(), columns.to_vec());
        let batches = finish(&self.path, async move {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut reader = table.reader(&names, rows).await?;
            let mut batches = Vec::new();
            while let Some(batch) = next(&mut reader).await? {
                batches.push(batch);
            }
            Ok(batches)
        })?;
        let all = match &batches[..] {
            [batch] => batch.clone(),
            [] => RecordBatch::new_empty(schema),
            [first, ..] => concat_batches(&first.schema(), &batches).map_err(arrow)?,
        };
        if all.num_rows() != length {
            let found = all.num_rows();
            return Err(self
                .place()
                .damaged(format!("{length} of its rows were read, and {found} came")));
        }
        Ok(all)
    }
}

/// Returns the next rows.
pub(super) async fn next(reader: &mut RowReader) -> Result<Option<RecordBatch>, SourceError> {
    reader.next().await.map_err(|error| refused(error.into()))
}

/// Converts the reason why a dataset cannot be read as an input.
pub(super) fn refused(error: DatasetError) -> SourceError {
    match error {
        DatasetError::NotADataset { path, why } => SourceError::UnknownFormat {
            path,
            found: format!("is not a SLAF dataset: {why}"),
        },
        DatasetError::Store(StoreError::Io {
            action,
            path,
            source,
        })
        | DatasetError::Table(TableError::Store(StoreError::Io {
            action,
            path,
            source,
        })) => SourceError::Io {
            action,
            path,
            source,
        },
        other => SourceError::Reader(Box::new(other)),
    }
}

/// Returns the runtime on whose threads Lance reads inputs. It is separate because the caller may
/// be a task of another runtime, which cannot start a second one.
fn runtime(path: &Path) -> Result<&'static Runtime, SourceError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let runtime = crate::table::runtime(usize::MAX);
        runtime.map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|error| SourceError::Io {
        action: "start threads to read",
        path: path.to_path_buf(),
        source: std::io::Error::other(error.clone()),
    })
}

/// Runs a read on Lance's threads and waits for it; `path` is what is read, for messages.
pub(super) fn finish<T: Send + 'static>(
    path: &Path,
    work: impl Future<Output = Result<T, SourceError>> + Send + 'static,
) -> Result<T, SourceError> {
    let (sender, receiver) = sync_channel(1);
    runtime(path)?.spawn(async move {
        // If the receiver is gone, the result is not needed.
        let _ = sender.send(work.await);
    });
    receiver.recv().unwrap_or_else(|_| {
        Err(SourceError::Io {
            action: "go on reading",
            path: path.to_path_buf(),
            source: std::io::Error::other(
                "a thread failed unexpectedly; please report this with the command and the log",
            ),
        })
    })
}

/// Returns the path of a dataset's file, if it exists.
pub(super) fn file_of(dataset: &Path, name: &str) -> Option<PathBuf> {
    Some(dataset.join(name)).filter(|path| path.exists())
}
