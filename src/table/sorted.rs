//! Reads the rows of a table in sorted order.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext};
use lance::Dataset;
use lance::dataset::scanner::ColumnOrdering;

use super::{RowReader, TableError};

/// Number of bytes of rows that a sort holds in memory; the rest is spilled to disk.
const POOL: usize = 96 << 20;

/// Number of rows of a batch.
const BATCH_ROWS: usize = 1 << 13;

impl RowReader {
    /// Reads the rows of a table with all or some of its columns, sorted by integer columns in
    /// ascending order.
    ///
    /// # Errors
    /// If the table lacks a column, or the sort cannot be started.
    pub async fn sorted(
        table: &Dataset,
        path: &Path,
        columns: Option<&[&str]>,
        by: &[&str],
    ) -> Result<Self, TableError> {
        let lance = |e| TableError::lance("sort", path, e);
        let mut scan = table.scan();
        scan.batch_size(BATCH_ROWS);
        if let Some(columns) = columns {
            scan.project(columns).map_err(lance)?;
        }
        let by = by.iter().map(ToString::to_string);
        let by = by.map(ColumnOrdering::asc_nulls_first).collect();
        scan.order_by(Some(by)).map_err(lance)?;
        let plan = scan.create_plan().await.map_err(lance)?;
        let session = SessionConfig::new()
            .with_target_partitions(1)
            .with_batch_size(BATCH_ROWS)
            .with_sort_spill_reservation_bytes(POOL / 3);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(POOL)))
            .build_arc();
        let stream = runtime.and_then(|runtime| {
            let context = SessionContext::new_with_config_rt(session, runtime);
            execute_stream(plan, context.task_ctx())
        });
        let stream = stream.map_err(|e| lance(lance::Error::from(e)))?;
        Ok(Self::of_stream(table, path, stream))
    }
}
