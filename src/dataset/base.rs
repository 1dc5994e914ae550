//! Surveys an existing dataset for an append.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::{AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use rustc_hash::FxHashSet;

use super::base_columns::{columns, embeddings, original, others};
use super::{CellIds, ColumnNote, Dataset, DatasetError, matrix_key};
use crate::plan::{
    Base, BaseMatrix, BaseSource, BaseSurvey, Compression, Described, Dtypes, GeneKey, GeneList,
    IdType, KnownValues, PlannedColumn, Widening,
};
use crate::source::{ColumnKind, MatrixName, Part};
use crate::store::StoreError;
use crate::survey::{STABLE_IDS, Survey, ValueType, id_hash};
use crate::table::{RowReader, TableError, TableName, runtime};

/// Metadata key in which Lance stores the compression of a column.
const COMPRESSION: &str = lance_encoding::constants::COMPRESSION_META_KEY;

/// Columns that every dataset has in addition to those of its inputs.
const OF_CELLS: [&str; 4] = [
    "cell_id",
    "cell_integer_id",
    "source_file",
    "cell_start_index",
];
const OF_GENES: [&str; 2] = ["gene_id", "gene_integer_id"];

impl Dataset {
    /// Returns the list of genes by identifier or name; for synchronous code.
    pub(crate) fn list_of_genes_now(&self) -> Result<GeneList, DatasetError> {
        let runtime = self.runtime()?;
        runtime.block_on(self.list_of_genes(&GeneKey::IdsOrNames))
    }

    /// [`Dataset::survey`], for synchronous code.
    ///
    /// # Errors
    /// As [`Dataset::survey`].
    pub fn survey_now(
        &self,
        new: &[Survey],
        key: Option<&GeneKey>,
    ) -> Result<BaseSurvey, DatasetError> {
        let runtime = self.runtime()?;
        runtime.block_on(self.survey(new, key))
    }

    fn runtime(&self) -> Result<tokio::runtime::Runtime, StoreError> {
        let runtime = runtime(2);
        runtime.map_err(|source| StoreError::from_io("start threads to read", self.path(), source))
    }

    /// Surveys the dataset for appending `new` inputs. `key` is an additional key by which genes
    /// may be joined.
    ///
    /// # Errors
    /// [`DatasetError::CannotContinue`] if rows cannot be appended exactly to its tables; reading
    /// errors.
    pub async fn survey(
        &self,
        new: &[Survey],
        key: Option<&GeneKey>,
    ) -> Result<BaseSurvey, DatasetError> {
        let mut tables = BTreeMap::new();
        for name in self.tables() {
            tables.insert(name, self.table(name).await?);
        }
        let needed = |name: TableName| {
            tables
                .get(&name)
                .ok_or_else(|| self.cannot_continue(name, "the table is missing".to_string()))
        };
        let (expression, cells) = (needed(TableName::Expression)?, needed(TableName::Cells)?);
        let genes = needed(TableName::Genes)?;
        let base = Base {
            versions: tables
                .iter()
                .map(|(name, table)| (name.key().to_string(), table.version().version))
                .collect(),
            cells: self.rows(cells, TableName::Cells).await?,
            genes: self.rows(genes, TableName::Genes).await?,
            rows: self.rows(expression, TableName::Expression).await?,
            widening: Widening::default(),
            known: KnownValues::Keep,
            uns: None,
            described: if self.config().is_described() && self.config().sums.is_some() {
                Described::Whole
            } else {
                Described::Partly
            },
            scale: None,
        };
        let [n_cells, n_genes] = self.config().array_shape;
        if [n_cells, n_genes] != [base.cells, base.genes] {
            let found = format!(
                "config.json tells of {n_cells} cells and {n_genes} genes, and the tables of {} and {}: an append by another program was interrupted",
                base.cells, base.genes
            );
            return Err(self.cannot_continue(TableName::Cells, found));
        }
        let notes = &self.config().column_notes;
        let schema = Schema::from(expression.schema());
        let (cell_type, gene_type, value_type) = self.expression_types(&schema)?;
        let compression = schema.field(2).metadata().get(COMPRESSION);
        let cells_schema = Schema::from(cells.schema());
        let genes_schema = Schema::from(genes.schema());
        let matrices = |name: TableName, part: Part| match tables.get(&name) {
            None => Ok((Vec::new(), None)),
            Some(table) => self.matrices(name, &Schema::from(table.schema()), part, notes),
        };
        let scale = match self.config().scale() {
            Some(scale) => scale,
            None => {
                self.sampled_scale(expression, base.rows, value_type)
                    .await?
            }
        };
        let base = Base {
            scale: Some(scale),
            ..base
        };
        let (layers, layer_ids) = matrices(TableName::Layers, Part::Layers)?;
        let (obsp, pair_ids) = matrices(TableName::Obsp, Part::Obsp)?;
        if pair_ids.is_some_and(|ids| ids != [IdType::UInt32; 2]) {
            let why = "its identifiers are not uint32".to_string();
            return Err(self.cannot_continue(TableName::Obsp, why));
        }
        let var = columns(&genes_schema, &OF_GENES, Part::Var, self);
        let obs = columns(&cells_schema, &OF_CELLS, Part::Obs, self);
        let obsm = embeddings(&cells_schema, Part::Obsm, notes);
        let varm = embeddings(&genes_schema, Part::Varm, notes);
        let other_layers = match tables.get(&TableName::Layers) {
            None => Vec::new(),
            Some(table) => {
                let schema = Schema::from(table.schema());
                self.check_nullable(TableName::Layers, &schema, 2)?;
                let is_layer = |name: &String| layers.iter().any(|l| l.written_as == *name);
                let names = schema.fields().iter().skip(2).map(|field| field.name());
                names.filter(|name| !is_layer(name)).cloned().collect()
            }
        };
        let sources = self.config().sources.iter();
        Ok(BaseSurvey {
            other_layers,
            of_others: self.names_of_others(),
            path: self.path().to_path_buf(),
            base,
            dtypes: match cell_type {
                IdType::Int32 => Dtypes::Signed,
                IdType::UInt16 | IdType::UInt32 => Dtypes::Narrow,
            },
            compression: Compression::of_scheme(compression.map(String::as_str)),
            cell_type,
            gene_type,
            layer_ids,
            value_type,
            gene_key: self.config().gene_key.clone(),
            gene_ids: self.known_gene_ids(genes, &var).await?,
            id_versions: self.config().gene_id_versions,
            gene_keys: self.gene_keys(genes, &var, key).await?,
            cells_again: self.cells_again(cells, new).await?,
            other_columns: [
                others(&cells_schema, &OF_CELLS, &obs, &obsm),
                others(&genes_schema, &OF_GENES, &var, &varm),
            ],
            obs,
            var,
            obsm,
            varm,
            layers,
            obsp,
            sources: sources
                .map(|source| BaseSource {
                    path: source.path.clone(),
                    matrix: source.matrix.clone(),
                    fingerprint: source.fingerprint.clone(),
                })
                .collect(),
        })
    }

    pub(super) async fn rows(
        &self,
        table: &lance::Dataset,
        name: TableName,
    ) -> Result<u64, DatasetError> {
        let count = table.count_rows(None).await;
        let path = self.path().join(name.folder());
        Ok(count.map_err(|e| TableError::lance("read", &path, e))? as u64)
    }

    /// Returns what other programs added, by the names it would have in inputs.
    fn names_of_others(&self) -> Vec<String> {
        let notes = &self.config().column_notes;
        let mut names = Vec::new();
        for (table, parts) in [
            (TableName::Cells, &[Part::Obs, Part::Obsm][..]),
            (TableName::Genes, &[Part::Var, Part::Varm]),
            (TableName::Layers, &[Part::Layers]),
            (TableName::Obsp, &[Part::Obsp]),
        ] {
            for column in self.config().columns_of_others(table) {
                for &part in parts {
                    let name = original(part, &column, notes).0;
                    names.push(format!("{}/{name}", part.name()));
                }
            }
        }
        names
    }

    fn cannot_continue(&self, table: TableName, why: String) -> DatasetError {
        DatasetError::CannotContinue {
            path: self.path().join(table.folder()),
            why,
        }
    }

    fn expression_types(
        &self,
        schema: &Schema,
    ) -> Result<(IdType, IdType, ValueType), DatasetError> {
        let refused = |why: String| self.cannot_continue(TableName::Expression, why);
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        if !names.starts_with(&["cell_integer_id", "gene_integer_id", "value"]) {
            return Err(refused(format!(
                "its columns are {}; only cell_integer_id, gene_integer_id and value, in this order, can be continued",
                names.join(", ")
            )));
        }
        self.check_nullable(TableName::Expression, schema, 3)?;
        let unknown = |number: usize| {
            let field = schema.field(number);
            refused(format!("{} is {}", field.name(), field.data_type()))
        };
        let [cell, gene] = [0, 1].map(|number| IdType::of_arrow(schema.field(number).data_type()));
        Ok((
            cell.ok_or_else(|| unknown(0))?,
            gene.ok_or_else(|| unknown(1))?,
            ValueType::of_arrow(schema.field(2).data_type()).ok_or_else(|| unknown(2))?,
        ))
    }

    /// Checks that columns of others are nullable, since appended rows have no value in them.
    fn check_nullable(
        &self,
        name: TableName,
        schema: &Schema,
        own: usize,
    ) -> Result<(), DatasetError> {
        let mut others = schema.fields().iter().skip(own);
        match others.find(|field| !field.is_nullable()) {
            None => Ok(()),
            Some(field) => {
                let column = field.name();
                let why = format!(
                    "its column {column}, which another program added, takes no missing values; drop it with Lance"
                );
                Err(self.cannot_continue(name, why))
            }
        }
    }

    /// Returns the matrices of a table of non-zeros and the types of its identifiers. Columns of
    /// types that no matrix has are skipped.
    fn matrices(
        &self,
        name: TableName,
        schema: &Schema,
        part: Part,
        notes: &[ColumnNote],
    ) -> Result<(Vec<BaseMatrix>, Option<[IdType; 2]>), DatasetError> {
        let refused = |number: usize| {
            let field = schema.field(number);
            let why = format!("{} is {}", field.name(), field.data_type());
            self.cannot_continue(name, why)
        };
        let ids = [0, 1].map(|number| IdType::of_arrow(schema.field(number).data_type()));
        let [Some(rows), Some(columns)] = ids else {
            return Err(refused(usize::from(ids[0].is_some())));
        };
        let fields = schema.fields().iter().skip(2);
        let matrices = fields.filter_map(|field| {
            Some(BaseMatrix {
                name: original(part, field.name(), notes).0,
                written_as: field.name().clone(),
                value_type: ValueType::of_arrow(field.data_type())?,
                scale: match part {
                    Part::Layers => self.config().scale_of_layer(&matrix_key(&MatrixName::Layer(
                        original(part, field.name(), notes).0,
                    ))),
                    _ => None,
                },
            })
        });
        Ok((matrices.collect(), Some([rows, columns])))
    }

    /// Reads the possible keys of genes: names, stable identifiers, and the given column.
    async fn gene_keys(
        &self,
        genes: &lance::Dataset,
        var: &[PlannedColumn],
        key: Option<&GeneKey>,
    ) -> Result<Vec<(GeneKey, StringArray)>, DatasetError> {
        let mut wanted = vec![(GeneKey::Id, "gene_id".to_string())];
        let stable = GeneKey::Column(STABLE_IDS.into());
        let named = [Some(&stable), key, self.config().gene_key.as_ref()];
        for key in named.into_iter().flatten() {
            let GeneKey::Column(name) = key else { continue };
            let mut columns = var.iter().filter(|column| column.column == *name);
            if let Some(column) = columns.next()
                && !wanted.iter().any(|(known, _)| known == key)
            {
                wanted.push((key.clone(), column.written_as.clone()));
            }
        }
        let names: Vec<&str> = wanted.iter().map(|(_, name)| name.as_str()).collect();
        let keys = self.texts_of_genes(genes, &names).await?;
        // A column in which some genes have no value cannot be a key.
        let complete = wanted.into_iter().zip(keys);
        let complete = complete.filter(|(_, keys)| keys.iter().all(Option::is_some));
        Ok(complete
            .map(|((key, _), keys)| (key, StringArray::from(keys)))
            .collect())
    }

    /// Reads columns of the genes table as strings.
    async fn texts_of_genes(
        &self,
        genes: &lance::Dataset,
        names: &[&str],
    ) -> Result<Vec<Vec<Option<String>>>, DatasetError> {
        let path = self.path().join(TableName::Genes.folder());
        let mut rows = RowReader::of_columns(genes, &path, names).await?;
        let mut all: Vec<Vec<Option<String>>> = vec![Vec::new(); names.len()];
        while let Some(batch) = rows.next().await? {
            for (all, column) in all.iter_mut().zip(batch.columns()) {
                let texts = cast(column, &DataType::Utf8);
                let texts = texts.map_err(|source| TableError::Arrow {
                    path: path.clone(),
                    source,
                })?;
                let texts = texts.as_string::<i32>();
                all.extend(texts.iter().map(|text| text.map(str::to_string)));
            }
        }
        Ok(all)
    }

    /// Returns the identifier of each gene, if known: from its column, or learned when it was
    /// joined with a gene that has one.
    async fn known_gene_ids(
        &self,
        genes: &lance::Dataset,
        var: &[PlannedColumn],
    ) -> Result<Vec<Option<String>>, DatasetError> {
        let column = var.iter().find(|column| {
            column.column == STABLE_IDS
                && matches!(
                    column.kind,
                    ColumnKind::Text | ColumnKind::Categorical { .. }
                )
        });
        let mut ids = match column {
            Some(column) => {
                let read = self.texts_of_genes(genes, &[&column.written_as]).await?;
                read.into_iter().next().unwrap_or_default()
            }
            None => Vec::new(),
        };
        for (&place, id) in &self.config().learned_gene_ids {
            let place = place as usize;
            if ids.len() <= place {
                ids.resize(place + 1, None);
            }
            ids[place].get_or_insert_with(|| id.clone());
        }
        Ok(ids)
    }

    /// Returns the list of genes for a join by `key`.
    pub(crate) async fn list_of_genes(&self, key: &GeneKey) -> Result<GeneList, DatasetError> {
        let genes = self.table(TableName::Genes).await?;
        let var = columns(&Schema::from(genes.schema()), &OF_GENES, Part::Var, self);
        let wanted = match key {
            GeneKey::IdsOrNames => &GeneKey::Id,
            key => key,
        };
        let keys = self.gene_keys(&genes, &var, Some(wanted)).await?;
        let found = keys.into_iter().find(|(known, _)| known == wanted);
        let Some((_, keys)) = found else {
            let why = format!("the column {wanted} is missing");
            return Err(self.cannot_continue(TableName::Genes, why));
        };
        Ok(match key {
            GeneKey::Column(_) => GeneList::of_column(keys),
            _ => GeneList::of_names(keys, Some(&self.known_gene_ids(&genes, &var).await?)),
        })
    }

    /// Returns the hashes of cell identifiers that occur both in the dataset and in the inputs.
    async fn cells_again(
        &self,
        cells: &lance::Dataset,
        new: &[Survey],
    ) -> Result<FxHashSet<u64>, DatasetError> {
        let new = new.iter().flat_map(|survey| &survey.cell_hashes);
        let new: FxHashSet<u64> = new.copied().collect();
        let mut again = FxHashSet::default();
        if self.read_hashes(|hashes| again.extend(hashes.filter(|hash| new.contains(hash))))? {
            return Ok(again);
        }
        again.clear();
        let path = self.path().join(TableName::Cells.folder());
        let mut known = CellIds::of(cells, &path).await?;
        while let Some(ids) = known.next().await? {
            let hashes = ids.iter().map(|id| id_hash(id.unwrap_or_default()));
            again.extend(hashes.filter(|hash| new.contains(hash)));
        }
        Ok(again)
    }
}

/// Returns the first column of a batch as strings.
pub(super) fn texts(
    path: &std::path::Path,
    batch: &arrow::array::RecordBatch,
) -> Result<StringArray, DatasetError> {
    let texts = cast(batch.column(0), &DataType::Utf8);
    let texts = texts.map_err(|source| TableError::Arrow {
        path: PathBuf::from(path),
        source,
    })?;
    Ok(texts.as_string::<i32>().clone())
}
