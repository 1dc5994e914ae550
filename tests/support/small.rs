//! Small inputs whose cells and genes have names by which they are found in a dataset.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use slaf::table::TableName;

use super::dataset::{rows, table, texts};
use super::h5ad_writer::write_named;
use super::program::{Run, slaf};

/// An input of a few cells: the names of genes and, for each cell, the values of some of them.
#[derive(Debug, Clone)]
pub struct Small {
    pub genes: Vec<String>,
    pub cells: Vec<Vec<(usize, f32)>>,
}

impl Small {
    pub fn write(&self, path: &Path, prefix: &str) {
        let cells: Vec<String> = (0..self.cells.len())
            .map(|i| format!("{prefix}{i}"))
            .collect();
        let mut entries = Vec::new();
        for (cell, values) in self.cells.iter().enumerate() {
            entries.extend(values.iter().map(|&(gene, value)| (cell, gene, value)));
        }
        write_named(path, &cells, &self.genes, &entries);
    }
}

/// Expected contents of a dataset of these inputs, whose cells are named PREFIX0, PREFIX1, …
pub fn wanted<'a>(smalls: impl Iterator<Item = (String, &'a Small)>) -> Named {
    let mut wanted: Named = Vec::new();
    for (prefix, small) in smalls {
        for (cell, values) in small.cells.iter().enumerate() {
            for &(gene, value) in values {
                let gene = small.genes[gene].clone();
                wanted.push((format!("{prefix}{cell}"), gene, f64::from(value)));
            }
        }
    }
    wanted.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    wanted
}

/// Values by names of cell and gene, independent of the dataset's numbering.
pub type Named = Vec<(String, String, f64)>;

pub fn named(dataset: &Path) -> Named {
    let ids = |name: TableName, column: &str| {
        let batch = table(dataset, name);
        texts(batch.column_by_name(column).unwrap())
    };
    let cells = ids(TableName::Cells, "cell_id");
    let genes = ids(TableName::Genes, "gene_id");
    let name = |ids: &[Option<String>], id: u64| ids[id as usize].clone().unwrap();
    let found = rows(&table(dataset, TableName::Expression)).into_iter();
    let mut found: Named = found
        .map(|(cell, gene, value)| (name(&cells, cell), name(&genes, gene), value))
        .collect();
    found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    found
}

pub fn convert(inputs: &[PathBuf], output: &Path, flags: &[&str]) -> Run {
    Run::of(
        slaf(&["convert", "-q"])
            .args(inputs)
            .arg(output)
            .args(flags),
    )
}

pub fn smalls() -> impl Strategy<Value = Vec<Small>> {
    let small = prop::sample::subsequence((0..8).collect::<Vec<usize>>(), 1..8).prop_shuffle();
    let small = small.prop_flat_map(|genes| {
        let count = genes.len();
        let names: Vec<String> = genes.iter().map(|gene| format!("g{gene}")).collect();
        let cell = prop::collection::btree_map(0..count, 1u16..100, 0..=count);
        prop::collection::vec(cell, 0..6).prop_map(move |cells| Small {
            genes: names.clone(),
            cells: cells
                .into_iter()
                .map(|cell| cell.into_iter().map(|(g, v)| (g, f32::from(v))).collect())
                .collect(),
        })
    });
    prop::collection::vec(small, 2..4)
}
