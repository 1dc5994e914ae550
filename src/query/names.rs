//! Identifiers of all cells or genes, in the order of their numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use rustc_hash::FxHashMap;
use tokio::sync::OnceCell;

use super::error::through;
use crate::table::{RowReader, RowsAndColumns};

/// A column of texts of a table of cells or genes. It is read when it is needed first.
#[derive(Debug)]
pub(super) struct Names {
    table: Arc<lance::Dataset>,
    path: std::path::PathBuf,
    column: String,
    read: OnceCell<Read>,
    by_name: OnceCell<(FxHashMap<String, Option<u32>>, MemoryReservation)>,
}

#[derive(Debug)]
struct Read {
    texts: ArrayRef,
    /// What they take of the memory of the query.
    _held: MemoryReservation,
}

impl Names {
    /// The texts of a column.
    pub fn new(table: Arc<lance::Dataset>, path: &std::path::Path, column: &str) -> Self {
        Names {
            table,
            path: path.to_path_buf(),
            column: column.to_string(),
            read: OnceCell::new(),
            by_name: OnceCell::new(),
        }
    }

    /// All texts, as views.
    ///
    /// # Errors
    /// If they cannot be read, or take more memory than there is.
    pub async fn texts(&self, pool: &Arc<dyn MemoryPool>) -> Result<ArrayRef> {
        let read = self.read.get_or_try_init(|| self.read(pool)).await?;
        Ok(read.texts.clone())
    }

    /// The texts, if they have been read.
    pub fn known(&self) -> Option<ArrayRef> {
        self.read.get().map(|read| read.texts.clone())
    }

    /// The number of each name, if they have been read.
    pub fn known_by_name(&self) -> Option<&FxHashMap<String, Option<u32>>> {
        self.by_name.get().map(|(numbers, _)| numbers)
    }

    async fn read(&self, pool: &Arc<dyn MemoryPool>) -> Result<Read> {
        let what = format!("the column {} of {}", self.column, self.path.display());
        let held = MemoryConsumer::new(what).register(pool);
        let columns = [self.column.as_str()];
        let wanted = RowsAndColumns {
            columns: Some(&columns),
            rows: None,
        };
        let mut reader = RowReader::of(&self.table, &self.path, wanted)
            .await
            .map_err(through)?;
        let mut parts: Vec<ArrayRef> = Vec::new();
        while let Some(batch) = reader.next().await.map_err(through)? {
            let part = cast(batch.column(0), &DataType::Utf8View)?;
            held.try_grow(part.get_array_memory_size())?;
            parts.push(part);
        }
        let texts: ArrayRef = match &parts[..] {
            [] => Arc::new(StringViewArray::from(Vec::<&str>::new())),
            [part] => part.clone(),
            parts => {
                let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                concat(&parts)?
            }
        };
        held.try_resize(texts.get_array_memory_size())?;
        Ok(Read { texts, _held: held })
    }

    /// The number of each name; `None` for one that several have.
    ///
    /// # Errors
    /// As [`Names::texts`].
    pub async fn by_name(
        &self,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<&FxHashMap<String, Option<u32>>> {
        let texts = self.texts(pool).await?;
        let made = self.by_name.get_or_try_init(|| async {
            let held = MemoryConsumer::new(format!("an index of {}", self.column)).register(pool);
            let texts = texts.as_string_view();
            let bytes: usize = texts.iter().flatten().map(str::len).sum();
            held.try_grow(bytes + texts.len() * 48)?;
            let mut numbers = FxHashMap::default();
            numbers.reserve(texts.len());
            for (number, name) in (0u32..).zip(texts.iter()) {
                let Some(name) = name else { continue };
                let entry = numbers.entry(name.to_string());
                entry
                    .and_modify(|number| *number = None)
                    .or_insert(Some(number));
            }
            Ok::<_, datafusion::error::DataFusionError>((numbers, held))
        });
        Ok(&made.await?.0)
    }
}
