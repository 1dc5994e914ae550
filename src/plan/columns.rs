//! Names of the columns of the dataset for columns, layers, embeddings and pairwise matrices.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::source::{Column, ColumnKind};

/// A table that describes cells or genes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// The table of cells.
    Obs,
    /// The table of genes.
    Var,
}

impl Table {
    /// Names of the columns that every dataset has and that an input's column therefore cannot
    /// have.
    pub(super) fn reserved(self) -> &'static [&'static str] {
        match self {
            Table::Obs => &[
                "cell_id",
                "cell_integer_id",
                "source_file",
                "cell_start_index",
            ],
            Table::Var => &["gene_id", "gene_integer_id"],
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Table::Obs => "_obs",
            Table::Var => "_var",
        }
    }
}

/// Names that Lance reserves for its own columns.
const LANCE_RESERVED: [&str; 5] = [
    "_rowid",
    "_rowaddr",
    "_rowoffset",
    "_row_created_at_version",
    "_row_last_updated_at_version",
];

/// Characters in names that Lance rejects, or with which it writes a table that it cannot read.
const UNWRITABLE: [char; 3] = ['.', '`', '\0'];

/// A column of an input and its name in the dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedColumn {
    /// Name of the column in the input.
    pub column: String,
    /// Name of the column in the dataset.
    pub written_as: String,
    /// Type of the column.
    pub kind: ColumnKind,
}

/// Finds an unused name for every column: the one it has in `kept`, otherwise its own if that can
/// be written, otherwise a similar one. `taken` are the names of other columns of the table.
pub(super) fn named(
    columns: &[Column],
    table: Table,
    kept: &[PlannedColumn],
    taken: &[String],
) -> Vec<PlannedColumn> {
    let known = |column: &Column| kept.iter().find(|known| known.column == column.name);
    let kept_names: HashSet<&String> = kept.iter().map(|known| &known.written_as).collect();
    let own = |column: &Column| {
        let name = column.name.as_str();
        let reserved = table.reserved().contains(&name) || LANCE_RESERVED.contains(&name);
        let used = kept_names.contains(&column.name) || taken.contains(&column.name);
        !reserved && !used && !name.contains(UNWRITABLE) && !name.is_empty()
    };
    // Columns that keep their names take precedence.
    let mut used: HashSet<String> = columns
        .iter()
        .filter(|column| own(column))
        .map(|column| column.name.clone())
        .chain(table.reserved().iter().map(ToString::to_string))
        .chain(kept_names.iter().map(ToString::to_string))
        .chain(taken.iter().cloned())
        .collect();
    columns
        .iter()
        .map(|column| {
            let written_as = match known(column) {
                Some(known) => known.written_as.clone(),
                None if own(column) => column.name.clone(),
                None => free_name(column, table, &mut used),
            };
            PlannedColumn {
                column: column.name.clone(),
                written_as,
                kind: column.kind.clone(),
            }
        })
        .collect()
}

fn free_name(column: &Column, table: Table, used: &mut HashSet<String>) -> String {
    let mut name = column.name.replace(UNWRITABLE, "_");
    if name.is_empty() {
        name = "unnamed".into();
    }
    if table.reserved().contains(&name.as_str()) || LANCE_RESERVED.contains(&name.as_str()) {
        name.push_str(table.suffix());
    }
    numbered(name, used)
}

/// Returns the name, with a number appended if it is taken.
fn numbered(name: String, used: &mut HashSet<String>) -> String {
    let mut candidate = name.clone();
    for number in 2.. {
        if used.insert(candidate.clone()) {
            break;
        }
        candidate = format!("{name}_{number}");
    }
    candidate
}

/// Returns names for layers, embeddings or pairwise matrices. They are valid SQL identifiers
/// because readers of the reference put them into queries unquoted. `taken` are the existing
/// columns of their table.
pub(super) fn identifiers<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    suffix: &str,
    taken: impl Iterator<Item = String>,
) -> Vec<String> {
    let mut used: HashSet<String> = taken.collect();
    let own: Vec<bool> = names
        .clone()
        .map(|name| is_identifier(name) && used.insert(name.to_string()))
        .collect();
    names
        .zip(own)
        .map(|(name, own)| {
            if own {
                return name.to_string();
            }
            let mut safe: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect();
            if !is_identifier(&safe) {
                safe.insert(0, '_');
            }
            if is_identifier(name) {
                safe.push_str(suffix);
            }
            let mut candidate = safe.clone();
            for number in 2.. {
                if used.insert(candidate.clone()) {
                    break;
                }
                candidate = format!("{safe}_{number}");
            }
            candidate
        })
        .collect()
}

fn is_identifier(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !LANCE_RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(names: &[&str], table: Table) -> Vec<String> {
        let columns: Vec<Column> = names
            .iter()
            .map(|name| Column {
                name: name.to_string(),
                kind: ColumnKind::Text,
            })
            .collect();
        named(&columns, table, &[], &[])
            .into_iter()
            .map(|column| column.written_as)
            .collect()
    }

    #[test]
    fn taken_names_get_a_suffix() {
        assert_eq!(
            written(&["cell_id", "gene_id", "_rowid"], Table::Obs),
            ["cell_id_obs", "gene_id", "_rowid_obs"]
        );
        assert_eq!(written(&["gene_id"], Table::Var), ["gene_id_var"]);
    }

    #[test]
    fn dots_become_underlines_without_collisions() {
        assert_eq!(
            written(&["a.b", "a_b", "a.b.", "a_b_"], Table::Obs),
            ["a_b_2", "a_b", "a_b__2", "a_b_"]
        );
        assert_eq!(
            written(&["cell.id", "cell_id"], Table::Obs),
            ["cell_id_obs", "cell_id_obs_2"]
        );
    }

    #[test]
    fn layers_and_embeddings_get_identifiers() {
        let written = |names: &[&str], taken: &[&str]| {
            let taken = taken.iter().map(|name| name.to_string());
            identifiers(names.iter().copied(), "_obsm", taken)
        };
        assert_eq!(written(&["X_pca", "counts"], &[]), ["X_pca", "counts"]);
        assert_eq!(
            written(&["X-pca", "X pca", "X_pca"], &[]),
            ["X_pca_2", "X_pca_3", "X_pca"]
        );
        assert_eq!(
            written(&["age", "1st", ""], &["age"]),
            ["age_obsm", "_1st", "_"]
        );
    }
}
