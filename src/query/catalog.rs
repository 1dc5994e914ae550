//! Tables by name: those of datasets, and files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use futures::future::BoxFuture;

use super::columns::{Kind, Numbered, Seen, SeenColumn, Starts, Stored};
use super::error::{QueryError, through};
use super::file_table;
use super::functions::{CellNumbers, GeneColumns, GeneFinder, SYMBOLS, Totals};
use super::names::Names;
use super::sources;
use super::stored_table::{Reports, StoredTable};
use crate::dataset::Dataset;
use crate::table::{TableError, TableName};

/// The tables of a dataset.
#[derive(Debug)]
pub(super) struct DatasetTables {
    pub name: String,
    pub tables: BTreeMap<String, Arc<dyn TableProvider>>,
    pub genes: GeneFinder,
    pub columns: Arc<GeneColumns>,
    pub totals: Arc<Totals>,
    /// What users of views should know.
    pub warnings: Vec<String>,
}

/// Tables, by the name of a table or a file.
#[derive(Debug)]
pub(super) struct Tables {
    pub tables: BTreeMap<String, Arc<dyn TableProvider>>,
}

// As `async_trait` would write it.
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    fn table<'a, 'n, 'r>(
        &'a self,
        name: &'n str,
    ) -> BoxFuture<'r, Result<Option<Arc<dyn TableProvider>>, DataFusionError>>
    where
        'a: 'r,
        'n: 'r,
        Self: 'r,
    {
        Box::pin(async move {
            if let Some(table) = self.tables.get(name) {
                return Ok(Some(table.clone()));
            }
            if file_table::is_file(name) {
                file_table::open(name).await.map(Some).map_err(through)
            } else {
                Ok(None)
            }
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name) || file_table::is_file(name)
    }
}

/// A table of a dataset, open.
struct Open {
    table: Arc<lance::Dataset>,
    path: std::path::PathBuf,
    schema: SchemaRef,
    rows: u64,
}

impl DatasetTables {
    /// Opens all tables of a dataset, in the versions that its config.json describes.
    ///
    /// # Errors
    /// If a table cannot be opened, or a column is missing.
    pub async fn open(
        name: &str,
        dataset: &Dataset,
        reports: &Reports,
    ) -> Result<Self, QueryError> {
        let mut open: BTreeMap<TableName, Open> = BTreeMap::new();
        for table in dataset.tables() {
            open.insert(table, Open::of(dataset, table).await?);
        }
        let needed = |table: TableName| {
            open.get(&table).ok_or_else(|| {
                QueryError::Names(format!(
                    "{} has no table {}",
                    dataset.path().display(),
                    table.key()
                ))
            })
        };
        let (cells, genes) = (needed(TableName::Cells)?, needed(TableName::Genes)?);
        let expression = needed(TableName::Expression)?;
        let described = dataset.config().is_described();
        let starts = Starts {
            cells: cells.table.clone(),
            path: cells.path.clone(),
            column: "cell_integer_id".into(),
            count: cells.rows,
        };
        let starts = (described && cells.has("cell_start_index")).then_some(starts);
        let cell_names = Arc::new(cells.names("cell_id"));
        let gene_names = Arc::new(genes.names("gene_id"));
        let maker = Maker {
            dataset: name,
            described,
            counts: [cells.rows, genes.rows],
            names: [cell_names.clone(), gene_names.clone()],
            starts,
            reports,
        };
        let mut tables: BTreeMap<String, Arc<dyn TableProvider>> = BTreeMap::new();
        for (kind, table) in &open {
            let seen = match kind {
                TableName::Obsp => "obsp",
                TableName::Varp => "varp",
                other => other.key(),
            };
            tables.insert(seen.into(), maker.table(seen, *kind, table));
        }
        tables.insert(
            "x".into(),
            maker.view("x", TableName::Expression, expression, "value")?,
        );
        if let Some(layers) = open.get(&TableName::Layers) {
            for layer in layers.values_beside(TableName::Layers) {
                let view = format!("x_{layer}");
                let table = maker.view(&view, TableName::Layers, layers, &layer)?;
                tables.entry(view).or_insert(table);
            }
        }
        let described_sources = sources::table(dataset.config()).map_err(QueryError::running)?;
        tables.insert("sources".into(), Arc::new(described_sources));
        let value = expression.schema.field_with_name("value");
        let value = value.map_or(DataType::Float64, |field| widened(field.data_type()));
        let sum = if value.is_integer() {
            DataType::Int64
        } else {
            DataType::Float64
        };
        let numbers = Arc::new(CellNumbers::new(cell_names, cells.rows));
        let symbols = SYMBOLS.into_iter().find(|name| genes.has_text(name));
        let symbols = symbols.map(|name| (name, genes.names(name)));
        Ok(DatasetTables {
            name: name.to_string(),
            tables,
            genes: GeneFinder::new(gene_names, symbols),
            columns: Arc::new(GeneColumns::new(numbers.clone(), value)),
            totals: Arc::new(Totals::new(numbers, sum)),
            warnings: repeated(name, dataset),
        })
    }
}

/// What is said where identifiers occur more than once.
fn repeated(name: &str, dataset: &Dataset) -> Vec<String> {
    let sources = &dataset.config().sources;
    let mut warnings = Vec::new();
    if sources.iter().any(|source| source.repeated_cells.count > 0) {
        warnings.push(format!(
            "{name}: some cells have the same cell_id; a join on it mixes them, one on cell_integer_id does not"
        ));
    }
    if sources.iter().any(|source| source.repeated_genes.count > 0) {
        warnings.push(format!(
            "{name}: some genes have the same gene_id; a join on it mixes them, one on gene_integer_id does not"
        ));
    }
    warnings
}

impl Open {
    async fn of(dataset: &Dataset, name: TableName) -> Result<Self, QueryError> {
        let table = dataset.table(name).await?;
        let path = dataset.path().join(name.folder());
        let rows = table.count_rows(None).await;
        let rows = rows.map_err(|error| TableError::lance("count the rows of", &path, error))?;
        let plain = Schema::from(table.schema());
        let fields = plain.fields().iter().map(|field| {
            // How columns are stored is nothing to a query.
            Arc::new(
                field
                    .as_ref()
                    .clone()
                    .with_metadata(std::collections::HashMap::new()),
            )
        });
        Ok(Open {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            table: Arc::new(table),
            path,
            rows: rows as u64,
        })
    }

    fn has(&self, column: &str) -> bool {
        self.schema.index_of(column).is_ok()
    }

    fn has_text(&self, column: &str) -> bool {
        let field = self.schema.field_with_name(column);
        field.is_ok_and(|field| matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8))
    }

    fn names(&self, column: &str) -> Names {
        Names::new(self.table.clone(), &self.path, column)
    }

    /// Columns of numbers beside those that say where they belong.
    fn values_beside(&self, name: TableName) -> Vec<String> {
        let own = name.number_columns();
        let fields = self.schema.fields().iter().filter(|field| {
            field.data_type().is_numeric() && !own.contains(&field.name().as_str())
        });
        fields.map(|field| field.name().clone()).collect()
    }
}

/// Makes tables of a dataset.
struct Maker<'a> {
    dataset: &'a str,
    described: bool,
    /// Numbers of cells and of genes.
    counts: [u64; 2],
    names: [Arc<Names>; 2],
    starts: Option<Starts>,
    reports: &'a Reports,
}

impl Maker<'_> {
    /// A table as it is stored.
    fn table(&self, seen: &str, name: TableName, open: &Open) -> Arc<dyn TableProvider> {
        let columns = open.schema.fields().iter().map(|field| SeenColumn {
            field: field.clone(),
            stored: field.name().clone(),
            seen: Seen::AsStored,
        });
        let kind = match name {
            TableName::Cells | TableName::Genes => Kind::Frame {
                in_order: self.described.then(|| name.number_columns()[0].to_string()),
            },
            TableName::Expression => Kind::Entries {
                starts: self.starts.clone(),
                without_zeros: None,
            },
            TableName::Layers | TableName::Obsp | TableName::Varp => Kind::Entries {
                starts: None,
                without_zeros: None,
            },
        };
        self.made(seen, name, open, columns.collect(), kind)
    }

    /// The entries of a matrix with the names of cells and genes.
    fn view(
        &self,
        seen: &str,
        name: TableName,
        open: &Open,
        value: &str,
    ) -> Result<Arc<dyn TableProvider>, QueryError> {
        let [cell, gene] = ["cell_integer_id", "gene_integer_id"].map(String::from);
        let stored = open.schema.field_with_name(value);
        let stored = stored.map_err(|_| {
            QueryError::Names(format!("{} has no column {value}", open.path.display()))
        })?;
        let wide = widened(stored.data_type());
        let seen_value = if &wide == stored.data_type() {
            Seen::AsStored
        } else {
            Seen::Widened
        };
        let column = |name: &str, data_type, stored: String, seen| SeenColumn {
            field: Arc::new(Field::new(name, data_type, true)),
            stored,
            seen,
        };
        let [cells, genes] = self.names.clone();
        let columns = vec![
            column("cell_id", DataType::Utf8View, cell, Seen::Named(cells)),
            column("gene_id", DataType::Utf8View, gene, Seen::Named(genes)),
            column("value", wide, value.to_string(), seen_value),
        ];
        let kind = match name {
            TableName::Expression => Kind::Entries {
                starts: self.starts.clone(),
                without_zeros: None,
            },
            _ => Kind::Entries {
                starts: None,
                without_zeros: Some(value.to_string()),
            },
        };
        Ok(self.made(seen, name, open, columns, kind))
    }

    fn made(
        &self,
        seen: &str,
        name: TableName,
        open: &Open,
        columns: Vec<SeenColumn>,
        kind: Kind,
    ) -> Arc<dyn TableProvider> {
        let [cells, genes] = self.counts;
        let counts = match name {
            TableName::Expression | TableName::Layers => vec![cells, genes],
            TableName::Obsp => vec![cells, cells],
            TableName::Varp => vec![genes, genes],
            TableName::Genes => vec![genes],
            TableName::Cells => vec![cells],
        };
        let numbered = name.number_columns().iter().zip(counts);
        let numbered = numbered.map(|(stored, count)| Numbered {
            stored: (*stored).to_string(),
            count,
        });
        let fields: Vec<_> = columns.iter().map(|column| column.field.clone()).collect();
        let stored = Stored {
            name: seen.to_string(),
            dataset: self.dataset.to_string(),
            table: open.table.clone(),
            path: open.path.clone(),
            schema: Arc::new(Schema::new(fields)),
            columns,
            numbered: numbered.collect(),
            rows: open.rows,
            kind,
        };
        Arc::new(StoredTable::new(Arc::new(stored), self.reports.clone()))
    }
}

/// The type in which values are computed with: whole numbers as 64-bit ones, which do not wrap.
fn widened(stored: &DataType) -> DataType {
    if stored.is_integer() {
        DataType::Int64
    } else {
        stored.clone()
    }
}
