//! What the columns of a list of features are.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use super::table::Separator;
use crate::source::ColumnKind;
use crate::source::features::{FeatureList, OtherColumn};

/// Column names in features files that have a header line. For Ensembl IDs, …
pub(super) const IDS: &[&str] = &[
    "ensembl",
    "ensembl_gene_id",
    "ensembl_id",
    "feature_id",
    "gene_id",
    "gene_ids",
    "id",
];
/// … symbols, …
pub(super) const SYMBOLS: &[&str] = &[
    "feature",
    "feature_name",
    "features",
    "gene",
    "gene_name",
    "gene_names",
    "gene_short_name",
    "gene_symbol",
    "genes",
    "name",
    "symbol",
];
/// … types, and genomes. The first column may have no name: pandas and R leave it empty.
const TYPES: &[&str] = &["feature_type", "feature_types"];
const GENOMES: &[&str] = &["genome"];

/// The feature types of Cell Ranger.
const KNOWN_TYPES: [&str; 6] = [
    "Gene Expression",
    "Antibody Capture",
    "CRISPR Guide Capture",
    "Multiplexing Capture",
    "Custom",
    "Peaks",
];

/// Peaks have no names; they are named by their positions, as Cell Ranger does in HDF5.
pub(super) fn peaks(columns: [StringArray; 3], count: usize) -> FeatureList {
    let text = |column: usize, row: usize| columns[column].value(row);
    let names = (0..count).map(|row| format!("{}:{}-{}", text(0, row), text(1, row), text(2, row)));
    let ids = StringArray::from_iter_values(names);
    let others = ["chrom", "start", "end"].into_iter().zip(columns);
    FeatureList {
        count,
        ids: Some(ids),
        types: Some(StringArray::from(vec!["Peaks"; count])),
        others: others
            .map(|(name, column)| OtherColumn {
                name: name.into(),
                kind: ColumnKind::Text,
                values: Arc::new(column),
            })
            .collect(),
        ..FeatureList::default()
    }
}

/// Assigns columns by name. A column without a name is the index of a table: symbols, or whatever
/// else is missing.
pub(super) fn headed(heading: &[String], columns: Vec<StringArray>, count: usize) -> FeatureList {
    let mut list = FeatureList {
        count,
        ..FeatureList::default()
    };
    let mut index = None;
    for (at, (name, column)) in heading.iter().zip(columns).enumerate() {
        let lower = name.trim().to_lowercase();
        let is = |names: &[&str]| names.contains(&lower.as_str());
        if is(GENOMES) && list.genomes.is_none() {
            list.genomes = Some(column.clone());
        }
        let free = [
            (&mut list.ids, IDS),
            (&mut list.symbols, SYMBOLS),
            (&mut list.types, TYPES),
            (&mut index, &[""][..]),
        ]
        .into_iter()
        .find(|(role, names)| is(names) && role.is_none());
        match free {
            Some((role, _)) => *role = Some(column),
            None => other(&mut list, name.trim(), at, column),
        }
    }
    if let Some(index) = index {
        if list.symbols.is_none() {
            list.symbols = Some(index);
        } else if list.ids.is_none() {
            list.ids = Some(index);
        } else {
            other(&mut list, "index", 0, index);
        }
    }
    list
}

/// Adds a column without a special meaning, under a unique name.
fn other(list: &mut FeatureList, name: &str, at: usize, column: StringArray) {
    const TAKEN: [&str; 5] = [
        "gene_id",
        "gene_ids",
        "gene_symbols",
        "feature_types",
        "probe_ids",
    ];
    let taken = |name: &str| {
        let mut others = list.others.iter();
        TAKEN.contains(&name) || others.any(|other| other.name == name)
    };
    let name = if name.is_empty() || taken(name) {
        format!("feature_column_{}", at + 1)
    } else {
        name.to_string()
    };
    list.others.push(OtherColumn {
        name,
        kind: ColumnKind::Text,
        values: Arc::new(column) as ArrayRef,
    });
}

/// Assigns columns by number. If they are separated by tabs, the third one is the type, as Cell
/// Ranger writes it; otherwise only if it contains types.
pub(super) fn listed(columns: Vec<StringArray>, count: usize, separator: Separator) -> FeatureList {
    let mut list = FeatureList {
        count,
        ..FeatureList::default()
    };
    let width = columns.len();
    let place_of_genes = width == 6
        && columns[4..]
            .iter()
            .all(|column| column.iter().flatten().all(is_position));
    for (at, column) in columns.into_iter().enumerate() {
        match (at, width) {
            (0, 1) => list.symbols = Some(column),
            (0, _) => list.ids = Some(column),
            (1, _) => list.symbols = Some(column),
            (2, _) if separator == Separator::Tab || holds_types(&column) => {
                list.types = Some(column);
            }
            _ => list.others.push(OtherColumn {
                name: match (at, place_of_genes) {
                    (3, true) => "chrom".into(),
                    (4, true) => "start".into(),
                    (5, true) => "end".into(),
                    _ => format!("feature_column_{}", at + 1),
                },
                kind: ColumnKind::Text,
                values: Arc::new(column) as ArrayRef,
            }),
        }
    }
    if list.symbols.is_none() {
        // An empty list.
        list.symbols = Some(StringArray::from(Vec::<String>::new()));
    }
    list
}

fn holds_types(column: &StringArray) -> bool {
    column
        .iter()
        .all(|text| text.is_some_and(|text| KNOWN_TYPES.contains(&text)))
}

fn is_position(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
