//! A table or view of a dataset, as DataFusion plans with it.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use futures::future::BoxFuture;

use super::columns::Stored;
use super::report::ScanReport;
use super::scan::TableScan;

/// Reports of the scans that a query makes.
pub(super) type Reports = Arc<Mutex<Vec<Arc<ScanReport>>>>;

/// A table or view.
#[derive(Debug)]
pub(super) struct StoredTable {
    stored: Arc<Stored>,
    reports: Reports,
}

impl StoredTable {
    pub fn new(stored: Arc<Stored>, reports: Reports) -> Self {
        StoredTable { stored, reports }
    }
}

// As `async_trait` would write it.
impl TableProvider for StoredTable {
    fn schema(&self) -> SchemaRef {
        self.stored.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn scan<'a, 's, 'p, 'f, 'r>(
        &'a self,
        state: &'s dyn Session,
        projection: Option<&'p Vec<usize>>,
        filters: &'f [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'r, Result<Arc<dyn ExecutionPlan>>>
    where
        'a: 'r,
        's: 'r,
        'p: 'r,
        'f: 'r,
        Self: 'r,
    {
        Box::pin(async move {
            let stored = self.stored.clone();
            let projection = match projection {
                Some(columns) => columns.clone(),
                None => (0..stored.columns.len()).collect(),
            };
            let schema = DFSchema::try_from(stored.schema.as_ref().clone())?;
            let conditions = filters.iter().map(|filter| {
                let filter = unqualified(filter.clone())?;
                state.create_physical_expr(filter, &schema)
            });
            let conditions = conditions.collect::<Result<Vec<_>>>()?;
            let name = format!("{}.{}", stored.dataset, stored.name);
            let version = stored.table.version().version;
            let report = Arc::new(ScanReport::new(name, version, stored.rows));
            let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            reports.push(report.clone());
            drop(reports);
            let partitions = state.config().target_partitions();
            let scan = TableScan::new(stored, projection, conditions, limit, partitions, report)?;
            Ok(Arc::new(scan) as Arc<dyn ExecutionPlan>)
        })
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| {
            if filter.is_volatile() {
                TableProviderFilterPushDown::Unsupported
            } else {
                TableProviderFilterPushDown::Exact
            }
        };
        Ok(filters.iter().map(support).collect())
    }
}

/// An expression whose columns are named without their table.
fn unqualified(expression: Expr) -> Result<Expr> {
    use datafusion::common::Column;
    use datafusion::common::tree_node::{Transformed, TreeNode};

    let unqualified = expression.transform(|part| {
        Ok(match part {
            Expr::Column(column) => {
                Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
            }
            other => Transformed::no(other),
        })
    });
    Ok(unqualified?.data)
}
