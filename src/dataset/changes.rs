//! Detects what other programs have done to the tables since config.json described them, as far as
//! their manifests show.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Schema};
use lance_core::datatypes::Field;
use serde::Serialize;

use super::{Dataset, DatasetConfig, DatasetError, Keys, UnsChange};
use crate::table::{TableFolder, TableName};

/// What other programs have done to a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// Changes of tables, at most one per table.
    pub tables: Vec<TableChange>,
    /// How uns.json differs from what config.json says of it; `None` if it does not.
    pub uns: Option<UnsChange>,
}

impl Changes {
    /// Whether they have done nothing.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.uns.is_none()
    }

    /// What they have done, in words.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let tables = self.tables.iter().map(TableChange::to_string);
        tables.chain(self.uns.iter().map(UnsChange::to_string))
    }

    /// Those of the tables that describe cells and genes.
    pub fn of_frames(&self) -> Changes {
        let frames = [TableName::Cells, TableName::Genes];
        let tables = self.tables.iter();
        Changes {
            tables: tables
                .filter(|change| frames.contains(&change.table))
                .cloned()
                .collect(),
            uns: None,
        }
    }
}

/// A table whose newest version is not the one that config.json describes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableChange {
    /// The table.
    pub table: TableName,
    /// Version that config.json describes; `None` if it does not describe the table.
    pub described: Option<u64>,
    /// Newest version.
    pub newest: u64,
    /// Columns that another program added.
    pub added: Vec<AddedColumn>,
    /// Columns of other programs whose values have changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Columns that another program removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Whether the described rows and columns are unchanged.
    pub known: Known,
}

/// A column that another program added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddedColumn {
    /// Name of the column.
    pub name: String,
    /// Number of components, if it is an embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u64>,
}

/// What manifests show about the rows and columns that config.json describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// They are stored in the same files.
    Same,
    /// Their files were rewritten; whether they are unchanged is not known without reading them.
    Rewritten,
    /// Their files were rewritten, and the described version was removed.
    Gone,
    /// Nothing is described: another program created the table.
    Nothing,
}

impl std::fmt::Display for TableChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (table, newest) = (self.table.key(), self.newest);
        write!(f, "{table}: version {newest} is the newest, ")?;
        match self.described {
            Some(described) => write!(f, "{described} is described")?,
            None => write!(f, "none is described")?,
        }
        let added = self.added.iter().map(|column| column.name.clone());
        for (what, names) in [
            ("new columns", added.collect::<Vec<_>>()),
            ("columns with new values", self.changed.clone()),
            ("columns that are gone", self.removed.clone()),
        ] {
            if !names.is_empty() {
                write!(f, "; {what}: {}", names.join(", "))?;
            }
        }
        match self.known {
            Known::Rewritten | Known::Gone => write!(f, "; its files were written anew"),
            Known::Same | Known::Nothing => Ok(()),
        }
    }
}

impl DatasetConfig {
    /// Columns of a table that other programs may change: those they added, and those that the
    /// reference lists as mutable.
    pub(super) fn columns_of_others(&self, table: TableName) -> BTreeSet<String> {
        let added = self.added_columns.get(table.key()).into_iter().flatten();
        let listed = match table {
            TableName::Expression => [None, None],
            TableName::Cells => [self.obs.as_ref(), self.obsm.as_ref()],
            TableName::Genes => [self.var.as_ref(), self.varm.as_ref()],
            TableName::Layers => [self.layers.as_ref(), None],
            TableName::Obsp => [self.obsp.as_ref(), None],
            TableName::Varp => [self.varp.as_ref(), None],
        };
        let listed = listed.into_iter().flatten().flat_map(|keys| &keys.mutable);
        let own = table.own_columns();
        let all = added.chain(listed).cloned();
        all.filter(|name| !own.contains(&name.as_str())).collect()
    }

    /// Returns the list that contains a column of a table.
    fn keys_mut(&mut self, table: TableName, width: Option<u64>) -> Option<&mut Option<Keys>> {
        Some(match (table, width) {
            (TableName::Expression, _) => return None,
            (TableName::Cells, None) => &mut self.obs,
            (TableName::Cells, Some(_)) => &mut self.obsm,
            (TableName::Genes, None) => &mut self.var,
            (TableName::Genes, Some(_)) => &mut self.varm,
            (TableName::Layers, _) => &mut self.layers,
            (TableName::Obsp, _) => &mut self.obsp,
            (TableName::Varp, _) => &mut self.varp,
        })
    }

    /// Adds columns that another program added to a table.
    pub(super) fn enter_columns(&mut self, table: TableName, columns: &[AddedColumn]) {
        let [cells, genes] = self.array_shape;
        for column in columns {
            let dimension = match table {
                TableName::Obsp => Some(cells),
                TableName::Varp => Some(genes),
                _ => column.width,
            };
            if let Some(keys) = self.keys_mut(table, column.width) {
                let keys = keys.get_or_insert_default();
                keys.enter(&column.name, dimension);
            }
        }
    }

    /// Adopts what manifests show: versions, tables and names of columns.
    fn take_over(&mut self, change: &TableChange, schema: &Schema) {
        let table = change.table;
        let folder = table.folder().to_string();
        self.tables.entry(table.key().into()).or_insert(folder);
        self.enter_columns(table, &change.added);
        for name in &change.removed {
            for width in [None, Some(0)] {
                if let Some(Some(keys)) = self.keys_mut(table, width) {
                    keys.remove(name);
                }
            }
        }
        let names: BTreeSet<&String> = schema.fields().iter().map(|field| field.name()).collect();
        let mut of_others = self.columns_of_others(table);
        of_others.extend(change.added.iter().map(|column| column.name.clone()));
        of_others.retain(|name| names.contains(name));
        if !of_others.is_empty() || change.known == Known::Nothing || !change.removed.is_empty() {
            let added = of_others.into_iter().collect();
            self.added_columns.insert(table.key().into(), added);
        }
    }
}

/// Where the values of some columns are stored: the rows of each fragment, and the file of each
/// column.
type Places = Vec<(String, Vec<Option<String>>)>;

fn places(table: &lance::Dataset, columns: &[String]) -> Places {
    fn numbers(field: &Field, found: &mut Vec<i32>) {
        found.push(field.id);
        field
            .children
            .iter()
            .for_each(|child| numbers(child, found));
    }
    let mut ids = Vec::new();
    for column in columns {
        match table.schema().field(column) {
            Some(field) => numbers(field, &mut ids),
            None => ids.push(i32::MIN),
        }
    }
    let fragments = table.fragments().iter();
    let of_fragment = fragments.map(|fragment| {
        let rows = format!(
            "{} {:?} {:?} {:?}",
            fragment.id, fragment.physical_rows, fragment.deletion_file, fragment.overlays
        );
        let file = |id: &i32| {
            let mut files = fragment.files.iter();
            let file = files.find(|file| file.fields.contains(id))?;
            Some(format!("{id} {}", file.path))
        };
        (rows, ids.iter().map(file).collect())
    });
    of_fragment.collect()
}

fn added(schema: &Schema, than: &BTreeSet<String>) -> Vec<AddedColumn> {
    let fields = schema.fields().iter();
    let new = fields.filter(|field| !than.contains(field.name()));
    new.map(|field| AddedColumn {
        name: field.name().clone(),
        width: width(field.data_type()),
    })
    .collect()
}

/// Number of components of an embedding.
pub(super) fn width(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::FixedSizeList(_, width) => u64::try_from(*width).ok(),
        _ => None,
    }
}

/// Returns the names of a table's columns.
pub(super) fn names_of(table: &lance::Dataset) -> BTreeSet<String> {
    let fields = table.schema().fields.iter();
    fields.map(|field| field.name.clone()).collect()
}

impl Dataset {
    /// What another program has changed, or made, since config.json described the dataset.
    pub async fn changes(&self) -> Result<Changes, DatasetError> {
        let mut changes = Changes {
            tables: Vec::new(),
            uns: self.uns_change()?,
        };
        for table in TableName::IN_COMMIT_ORDER {
            let folder = TableFolder::new(self.path().join(table.folder()));
            let described = self.versions().get(table.key()).copied();
            let named = self.config().tables.contains_key(table.key());
            // If no version is described, the newest is read.
            if described.is_none() && named && !self.config().is_described() {
                continue;
            }
            let Some(newest) = folder.newest().await? else {
                continue;
            };
            if described != Some(newest.version().version) {
                let change = self.change(table, &folder, described, &newest).await?;
                changes.tables.push(change);
            }
        }
        Ok(changes)
    }

    async fn change(
        &self,
        table: TableName,
        folder: &TableFolder,
        described: Option<u64>,
        newest: &lance::Dataset,
    ) -> Result<TableChange, DatasetError> {
        let schema = Schema::from(newest.schema());
        let own = table.own_columns().iter().map(ToString::to_string);
        let mut change = TableChange {
            table,
            described,
            newest: newest.version().version,
            added: Vec::new(),
            changed: Vec::new(),
            removed: Vec::new(),
            known: Known::Nothing,
        };
        let Some(version) = described else {
            change.added = added(&schema, &own.collect());
            return Ok(change);
        };
        if !folder.has(Some(version))? {
            change.known = Known::Gone;
            return Ok(change);
        }
        let before = folder.at(version).await?;
        let (had, has) = (names_of(&before), names_of(newest));
        let of_others = self.config().columns_of_others(table);
        change.added = added(&schema, &had);
        change.removed = had.difference(&has).cloned().collect();
        let is_moved = |name: &&String| {
            let column = std::slice::from_ref(*name);
            places(&before, column) != places(newest, column)
        };
        let both = had
            .intersection(&has)
            .filter(|name| of_others.contains(*name));
        change.changed = both.filter(is_moved).cloned().collect();
        let known: Vec<String> = had.difference(&of_others).cloned().collect();
        change.known = if places(&before, &known) == places(newest, &known) {
            Known::Same
        } else {
            Known::Rewritten
        };
        if change.known == Known::Rewritten {
            // If the files were rewritten, they do not show whether these columns have new values.
            change.changed.clear();
        }
        Ok(change)
    }

    /// The dataset with what others have done to it: their newest versions, and the names of their
    /// columns. What is in these is not looked at.
    pub async fn with_changes(&self, changes: &Changes) -> Result<Dataset, DatasetError> {
        let mut config = self.config().clone();
        let mut versions: BTreeMap<String, u64> = self.versions().clone();
        for change in &changes.tables {
            let folder = TableFolder::new(self.path().join(change.table.folder()));
            let newest = folder.at(change.newest).await?;
            config.take_over(change, &Schema::from(newest.schema()));
            if config.is_described() {
                let key = change.table.key().to_string();
                config.versions.insert(key.clone(), change.newest);
                versions.insert(key, change.newest);
            }
        }
        if let Some(uns) = &changes.uns
            && uns.problem.is_none()
        {
            config.uns_xxh3.clone_from(&uns.xxh3);
            config.uns_keys.get_or_insert_default();
        }
        Ok(Dataset::at(self.path(), config, versions))
    }

    /// Returns the dataset with the numbers of cells and genes that its tables have.
    ///
    /// # Errors
    /// If the tables cannot be read.
    pub async fn with_shape_of_tables(&self) -> Result<Dataset, DatasetError> {
        let mut config = self.config().clone();
        for (place, name) in [TableName::Cells, TableName::Genes].into_iter().enumerate() {
            let rows = self.rows(&self.table(name).await?, name).await?;
            config.array_shape[place] = rows;
        }
        Ok(Dataset::at(self.path(), config, self.versions().clone()))
    }

    /// Opens the dataset in a folder as it is now, with what other programs have done to it.
    pub async fn open_newest(path: &std::path::Path) -> Result<(Dataset, Changes), DatasetError> {
        let described = Dataset::open(path)?;
        let changes = described.changes().await?;
        let now = described.with_changes(&changes).await?;
        Ok((now, changes))
    }
}
