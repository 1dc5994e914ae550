//! Datasets that are asked, with the memory and the threads that it may take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast, cast_with_options, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, UInt32Type};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::{displayable, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast::Statement;
use futures::TryStreamExt;

use super::answer::Answer;
use super::arithmetic::Widened;
use super::catalog::{DatasetTables, Tables};
use super::error::{QueryError, unwrapped};
use super::functions::{self, Calls, GeneColumn};
use super::ids_first::IdsFirst;
use super::near;
use super::place::Place;
use super::report::Report;
use super::rewritten::with_cells;
use super::scan::{Copies, ScanSettings};
use super::sides::EntriesPass;
use super::statement;
use super::stored_table::Reports;
use crate::dataset::Dataset;

/// What the program itself takes of the memory, beside what queries hold. Of the rest, operators may
/// hold a half: while they sort and spill, they have their rows twice.
const OWN_MEMORY: u64 = 144 << 20;

/// The catalog of all tables, and the schema of files where no dataset is the only one.
const CATALOG: &str = "slaf";
const FILES: &str = "files";

/// What queries may take.
#[derive(Debug, Clone)]
pub struct Resources {
    /// Bytes of memory of the whole process.
    pub memory: u64,
    /// Number of threads.
    pub threads: usize,
    /// Folder for what does not fit into memory.
    pub scratch: PathBuf,
}

/// A dataset, and what it is called in queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedDataset {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
}

impl Default for Resources {
    /// 512 MiB, all processors, and the system's folder for temporary files.
    fn default() -> Self {
        Resources {
            memory: 512 << 20,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            scratch: std::env::temp_dir(),
        }
    }
}

impl NamedDataset {
    /// A dataset as it is given on the command line: `name=path`, or a path, and then its name is that
    /// of the folder without its ending.
    ///
    /// # Errors
    /// If it has no name.
    pub fn given(text: &Path) -> Result<Self, QueryError> {
        let whole = text.to_string_lossy();
        if let Some((name, path)) = whole.split_once('=')
            && !text.exists()
            && !name.contains('/')
        {
            return if name.is_empty() || path.is_empty() {
                Err(QueryError::Names(format!("{whole}: name=path is meant")))
            } else {
                Ok(NamedDataset {
                    name: name.to_string(),
                    path: path.into(),
                })
            };
        }
        let absolute = std::path::absolute(text).unwrap_or_else(|_| text.to_path_buf());
        match absolute.file_stem() {
            Some(name) => Ok(NamedDataset {
                name: name.to_string_lossy().into_owned(),
                path: text.to_path_buf(),
            }),
            None => Err(QueryError::Names(format!(
                "{whole} has no name; give it one: name={whole}"
            ))),
        }
    }
}

/// Open datasets.
pub struct Session {
    state: SessionState,
    datasets: Vec<DatasetTables>,
    reports: Reports,
    threads: usize,
    pool: u64,
}

impl Session {
    /// Opens datasets for queries.
    ///
    /// # Errors
    /// If one cannot be opened, or two have the same name.
    pub async fn open(
        datasets: &[NamedDataset],
        resources: &Resources,
    ) -> Result<Self, QueryError> {
        let reports = Reports::default();
        let mut opened: Vec<DatasetTables> = Vec::new();
        for NamedDataset { name, path } in datasets {
            if let Some(same) = opened.iter().find(|other| other.name == *name) {
                return Err(QueryError::Names(format!(
                    "two datasets are called {}; name one of them: other={}",
                    same.name,
                    path.display()
                )));
            }
            let dataset = Dataset::open(path)?;
            opened.push(DatasetTables::open(name, &dataset, &reports).await?);
        }
        let state = state(&opened, resources)?;
        Ok(Session {
            state,
            datasets: opened,
            reports,
            threads: resources.threads.max(1),
            pool: pool(resources),
        })
    }

    /// Whether there is one dataset, whose name need not be said.
    pub fn is_of_one(&self) -> bool {
        self.datasets.len() == 1
    }

    /// All tables, by dataset: their names and columns.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &str, SchemaRef)> {
        self.datasets.iter().flat_map(|dataset| {
            let tables = dataset.tables.iter();
            tables.map(|(name, table)| (dataset.name.as_str(), name.as_str(), table.schema()))
        })
    }

    /// Plans a query, of whose result at most `limit` rows are wanted. Nothing but identifiers, and what
    /// functions need, is read before the rows of the answer are.
    ///
    /// # Errors
    /// [`QueryError::Sql`] with the place, if there is something wrong with the query.
    pub async fn query(&self, sql: &str, limit: Option<usize>) -> Result<Answer, QueryError> {
        let answer = self.answer(sql, limit).await;
        answer.map_err(|error| error.shown_in(sql))
    }

    async fn answer(&self, sql: &str, limit: Option<usize>) -> Result<Answer, QueryError> {
        let mut statement = statement::parse(sql)?;
        let warnings = self.known_tables(sql, &statement)?;
        with_cells(&mut statement);
        let plan = self
            .state
            .statement_to_plan(datafusion::sql::parser::Statement::Statement(Box::new(
                statement,
            )));
        let plan = plan.await.map_err(|error| self.said(sql, error))?;
        self.prepare(sql, &plan).await?;
        let plan = match limit {
            Some(limit) => LogicalPlanBuilder::from(plan).limit(0, Some(limit)),
            None => Ok(LogicalPlanBuilder::from(plan)),
        };
        let plan = plan
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| self.said(sql, error))?;
        self.reports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let mut state = self.state.clone();
        let partitions = if has_groups(&plan) { self.threads } else { 1 };
        let config = state.config_mut();
        config.options_mut().execution.target_partitions = partitions;
        config.set_extension(Arc::new(ScanSettings {
            threads: self.threads,
            pool: self.pool,
            copies: if is_sorted(&plan) {
                Copies::Batches
            } else {
                Copies::Blocks
            },
        }));
        let physical = state.create_physical_plan(&plan).await;
        let physical = physical.map_err(|error| self.said(sql, error))?;
        let report = Report {
            scans: std::mem::take(
                &mut *self.reports.lock().unwrap_or_else(PoisonError::into_inner),
            ),
            plan: displayable(physical.as_ref()).indent(false).to_string(),
        };
        let stream = execute_stream(physical, state.task_ctx()).map_err(QueryError::running)?;
        Ok(Answer::new(stream, report, warnings))
    }

    /// Runs a query of our own.
    async fn rows(&self, sql: &str) -> Result<RecordBatch, QueryError> {
        let answer = Box::pin(self.answer(sql, None)).await?;
        let (schema, stream) = (answer.schema(), answer.into_stream());
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        concat_batches(&schema, &batches).map_err(|error| QueryError::Failed(error.to_string()))
    }

    /// Reads what functions need.
    async fn prepare(&self, sql: &str, plan: &LogicalPlan) -> Result<(), QueryError> {
        let calls = Calls::of(plan).map_err(|error| self.said(sql, error))?;
        let pool = self.state.runtime_env().memory_pool.clone();
        for dataset in &self.datasets {
            let prefix = self.prefix(dataset);
            let is_own = |name: &str| {
                let own = name.strip_prefix(prefix.as_str());
                own.is_some_and(|function| !function.contains('.'))
            };
            if calls.by_name.iter().any(|name| is_own(name)) {
                let numbers = &dataset.columns.cells;
                numbers
                    .read_names(&pool)
                    .await
                    .map_err(QueryError::running)?;
            }
            let genes = calls.genes.iter().filter(|(name, _)| is_own(name));
            let genes: BTreeSet<&str> = genes.map(|(_, gene)| gene.as_str()).collect();
            self.read_genes(sql, dataset, genes).await?;
            if calls.totals.iter().any(|name| is_own(name)) && !dataset.totals.are_read() {
                self.read_totals(dataset).await?;
            }
        }
        Ok(())
    }

    fn prefix(&self, dataset: &DatasetTables) -> String {
        match self.datasets.len() {
            1 => String::new(),
            _ => format!("{}.", dataset.name),
        }
    }

    /// Reads the entries of genes, in one go.
    async fn read_genes(
        &self,
        sql: &str,
        dataset: &DatasetTables,
        genes: BTreeSet<&str>,
    ) -> Result<(), QueryError> {
        let pool = self.state.runtime_env().memory_pool.clone();
        let mut numbers: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for gene in genes {
            if !dataset.columns.has(gene) {
                let number = dataset.genes.number(gene, sql, &pool).await?;
                numbers.entry(number).or_default().push(gene);
            }
        }
        if numbers.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = numbers.keys().map(u32::to_string).collect();
        let rows = self
            .rows(&format!(
                "SELECT cell_integer_id, gene_integer_id, value FROM {}.expression WHERE gene_integer_id IN ({})",
                quoted(&dataset.name),
                list.join(", ")
            ))
            .await?;
        let failed = |error: arrow::error::ArrowError| QueryError::Failed(error.to_string());
        let of = cast(rows.column(1), &DataType::UInt32).map_err(failed)?;
        for (number, names) in numbers {
            let of_gene: arrow::array::BooleanArray = of
                .as_primitive::<UInt32Type>()
                .iter()
                .map(|found| Some(found == Some(number)))
                .collect();
            let own = arrow::compute::filter_record_batch(&rows, &of_gene).map_err(failed)?;
            let order =
                arrow::compute::sort_to_indices(own.column(0), None, None).map_err(failed)?;
            let own = arrow::compute::take_record_batch(&own, &order).map_err(failed)?;
            let cells = cast(own.column(0), &DataType::UInt32).map_err(failed)?;
            let values = cast(own.column(2), &dataset.columns.value).map_err(failed)?;
            for name in names {
                let held = MemoryConsumer::new(format!("expr('{name}')")).register(&pool);
                let bytes = cells.get_array_memory_size() + values.get_array_memory_size();
                held.try_grow(bytes).map_err(QueryError::running)?;
                let column = GeneColumn {
                    cells: cells.as_primitive::<UInt32Type>().clone(),
                    values: values.clone(),
                    _held: held,
                };
                dataset.columns.keep(name, column);
            }
        }
        Ok(())
    }

    /// Sums the entries of all cells.
    async fn read_totals(&self, dataset: &DatasetTables) -> Result<(), QueryError> {
        let pool = self.state.runtime_env().memory_pool.clone();
        let held = MemoryConsumer::new("counts of the cells").register(&pool);
        let count = usize::try_from(dataset.totals.cells.count()).unwrap_or(usize::MAX);
        held.try_grow(count.saturating_mul(32))
            .map_err(QueryError::running)?;
        let sums = format!(
            "SELECT cell_integer_id, sum(value), count(*) FROM {}.expression GROUP BY cell_integer_id",
            quoted(&dataset.name)
        );
        let mut stream = Box::pin(self.answer(&sums, None)).await?.into_stream();
        let exact = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let failed = |error: arrow::error::ArrowError| QueryError::Failed(error.to_string());
        let are_whole = dataset.totals.sum == DataType::Int64;
        let mut whole = vec![0i64; if are_whole { count } else { 0 }];
        let mut real = vec![0f64; if are_whole { 0 } else { count }];
        let mut genes = vec![0i64; count];
        while let Some(rows) = stream.try_next().await? {
            let cells =
                cast_with_options(rows.column(0), &DataType::UInt32, &exact).map_err(failed)?;
            let sums =
                cast_with_options(rows.column(1), &dataset.totals.sum, &exact).map_err(failed)?;
            let counts = rows.column(2).as_primitive::<Int64Type>();
            for (row, &cell) in cells
                .as_primitive::<UInt32Type>()
                .values()
                .iter()
                .enumerate()
            {
                let cell = cell as usize;
                if cell >= count {
                    return Err(QueryError::Failed(format!(
                        "{}: rows are of a cell {cell}, and there are {count}",
                        dataset.name
                    )));
                }
                genes[cell] = counts.value(row);
                if are_whole {
                    whole[cell] = sums.as_primitive::<Int64Type>().value(row);
                } else {
                    real[cell] = sums.as_primitive::<Float64Type>().value(row);
                }
            }
        }
        let sums: arrow::array::ArrayRef = if are_whole {
            Arc::new(arrow::array::Int64Array::from(whole))
        } else {
            Arc::new(arrow::array::Float64Array::from(real))
        };
        let genes = Arc::new(arrow::array::Int64Array::from(genes));
        dataset.totals.keep(sums, genes, held);
        Ok(())
    }

    /// Checks that the tables of a query exist. Returns what is to be known about them.
    fn known_tables(&self, sql: &str, statement: &Statement) -> Result<Vec<String>, QueryError> {
        let statement = datafusion::sql::parser::Statement::Statement(Box::new(statement.clone()));
        let tables = self.state.resolve_table_references(&statement);
        let tables = tables.map_err(|error| self.said(sql, error))?;
        let mut warnings: Vec<String> = Vec::new();
        for table in tables {
            let name = table.table();
            if super::file_table::is_file(name) {
                continue;
            }
            let wrong = |word: &str, problem: String| QueryError::Sql {
                problem,
                place: Place::of_word(sql, word),
                shown: None,
            };
            let dataset = match (table.schema(), &self.datasets[..]) {
                (None, [only]) => only,
                (None, several) => {
                    let holders = several
                        .iter()
                        .filter(|dataset| dataset.tables.contains_key(name));
                    let holders: Vec<String> =
                        holders.map(|d| format!("{}.{name}", d.name)).collect();
                    let problem = match &holders[..] {
                        [] => format!("there is no table {name}"),
                        all => format!(
                            "of several datasets, say whose {name} is meant: {}",
                            all.join(" or ")
                        ),
                    };
                    return Err(wrong(name, problem));
                }
                (Some(schema), datasets) => {
                    let Some(found) = datasets.iter().find(|dataset| dataset.name == schema) else {
                        let names = datasets.iter().map(|dataset| dataset.name.as_str());
                        let hint = near::hint(schema, names);
                        return Err(wrong(
                            schema,
                            format!("there is no dataset {schema}; {hint}"),
                        ));
                    };
                    found
                }
            };
            if !dataset.tables.contains_key(name) {
                let names = dataset.tables.keys().map(String::as_str);
                let hint = near::hint(name, names);
                return Err(wrong(name, format!("there is no table {name}; {hint}")));
            }
            if name == "x" || name.starts_with("x_") {
                for warning in &dataset.warnings {
                    if !warnings.contains(warning) {
                        warnings.push(warning.clone());
                    }
                }
            }
        }
        Ok(warnings)
    }

    /// What is wrong with a query, and where.
    fn said(&self, sql: &str, error: datafusion::error::DataFusionError) -> QueryError {
        let error = match unwrapped(error) {
            Ok(ours) => return ours,
            Err(error) => error,
        };
        super::answer::wrong_query(sql, &error)
    }
}

/// A name in quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether rows of a plan are held to be sorted.
fn is_sorted(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let looked = plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Sort(_) | LogicalPlan::Window(_));
        Ok(TreeNodeRecursion::Continue)
    });
    looked.is_err() || found
}

/// Whether rows of a plan are gathered into groups: then their order is lost, and several threads may
/// read them.
fn has_groups(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let looked = plan.apply_with_subqueries(|node| {
        found |= matches!(
            node,
            LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) | LogicalPlan::Window(_)
        );
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    looked.is_ok() && found
}

/// Bytes that operators may hold.
fn pool(resources: &Resources) -> u64 {
    resources.memory.saturating_sub(OWN_MEMORY) / 2
}

fn state(datasets: &[DatasetTables], resources: &Resources) -> Result<SessionState, QueryError> {
    let pool = usize::try_from(pool(resources)).unwrap_or(usize::MAX);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(pool)))
        .with_disk_manager_builder(
            DiskManagerBuilder::default()
                .with_mode(DiskManagerMode::Directories(vec![
                    resources.scratch.clone(),
                ]))
                .with_max_temp_directory_size(u64::MAX),
        )
        .build_arc()
        .map_err(QueryError::running)?;
    let default = match datasets {
        [only] => only.name.clone(),
        _ => FILES.to_string(),
    };
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, default)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_target_partitions(1)
        .with_sort_spill_reservation_bytes(pool / 3);
    let options = config.options_mut();
    // Names are as they are stored, and not in lower case.
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.collect_spans = true;
    // Of the dynamic filters, those of joins are told to scans by a rule of ours.
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.optimizer.hash_join_single_partition_threshold = pool / 4;
    options.optimizer.hash_join_single_partition_threshold_rows = 1 << 24;
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = Vec::new();
    for rule in PhysicalOptimizer::new().rules {
        let name = rule.name().to_string();
        rules.push(rule);
        if name == "join_selection" {
            rules.push(Arc::new(EntriesPass));
        }
    }
    rules.push(Arc::new(IdsFirst));
    let catalog = MemoryCatalogProvider::new();
    let mut builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_physical_optimizer_rules(rules);
    let mut functions = functions::plain();
    for dataset in datasets {
        let tables = Tables {
            tables: dataset.tables.clone(),
        };
        let registered = catalog.register_schema(&dataset.name, Arc::new(tables));
        registered.map_err(QueryError::running)?;
        let prefix = match datasets.len() {
            1 => String::new(),
            _ => format!("{}.", dataset.name),
        };
        functions.extend(functions::of_dataset(
            &prefix,
            &dataset.columns,
            &dataset.totals,
        ));
    }
    if datasets.len() != 1 {
        let files = Tables {
            tables: BTreeMap::new(),
        };
        let registered = catalog.register_schema(FILES, Arc::new(files));
        registered.map_err(QueryError::running)?;
    }
    builder
        .scalar_functions()
        .get_or_insert_default()
        .extend(functions.into_iter().map(Arc::new));
    let state = builder.build();
    state
        .catalog_list()
        .register_catalog(CATALOG.into(), Arc::new(catalog));
    let mut state = state;
    datafusion::execution::FunctionRegistry::register_function_rewrite(
        &mut state,
        Arc::new(Widened),
    )
    .map_err(QueryError::running)?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_called_by_their_folder() {
        let given = |text: &str| NamedDataset::given(Path::new(text)).map(|named| named.name);
        assert_eq!(given("a/atlas.slaf").unwrap(), "atlas");
        assert_eq!(given("old=a/atlas.slaf").unwrap(), "old");
        assert!(given("=a").is_err() && given("a=").is_err());
    }
}
