//! What config.json records is compared with what the tables tell without reading their rows.
//!
//! An append adds to the recorded sums, so that wrong ones would stay wrong for ever. Numbers of rows
//! stand in the manifests; sums of values and digests, only `slaf verify` compares.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{CONFIG, Changes, Dataset, DatasetError, Metadata};
use crate::source::Part;
use crate::table::TableName;

impl Dataset {
    /// Compares the recorded numbers of cells, genes and rows with each other and with the tables.
    /// Tables in which `changes` of other programs are found are left out: these are compared when
    /// they are adopted.
    ///
    /// # Errors
    /// [`DatasetError::Contradiction`] for the first that differs.
    pub async fn check_recorded_sums(&self, changes: &Changes) -> Result<(), DatasetError> {
        let config = self.config();
        if !config.is_described() {
            return Ok(());
        }
        let [cells, genes] = config.array_shape;
        let covered = config.sources.iter().map(|source| source.cells).sum();
        let rows = config.sources.iter().map(|source| source.rows).sum();
        let told = config.metadata.expression_count;
        for (what, found, of, expected) in [
            ("n_cells", config.n_cells, "array_shape", cells),
            ("n_genes", config.n_genes, "array_shape", genes),
            ("cells of all sources", covered, "array_shape", cells),
            (
                "rows of all sources",
                rows,
                "metadata.expression_count",
                told,
            ),
            (
                "sums.rows",
                config.sums.map_or(told, |sums| sums.rows),
                "metadata.expression_count",
                told,
            ),
        ] {
            // slafdb lists no sources.
            let is_known = !config.sources.is_empty() || !what.ends_with("of all sources");
            if is_known && found != expected {
                return Err(self.contradiction(format!("{what}: {found}, but {of} has {expected}")));
            }
        }
        if let Some(sums) = &config.sums {
            let of_sums = Metadata::new(config.array_shape, sums).expression_stats;
            let recorded = &config.metadata.expression_stats;
            for (what, found, expected) in [
                ("min_value", recorded.min_value, of_sums.min_value),
                ("max_value", recorded.max_value, of_sums.max_value),
                ("mean_value", recorded.mean_value, of_sums.mean_value),
                ("std_value", recorded.std_value, of_sums.std_value),
            ] {
                let largest = found.abs().max(expected.abs());
                if (found - expected).abs() > 1e-9 * largest {
                    return Err(self.contradiction(format!(
                        "metadata.expression_stats.{what}: {found}, but sums make it {expected}"
                    )));
                }
            }
        }
        for name in self.tables() {
            if changes.tables.iter().any(|change| change.table == name) {
                continue;
            }
            let found = self.rows(&self.table(name).await?, name).await?;
            let folder = name.folder();
            let expected = match name {
                TableName::Cells => cells,
                TableName::Genes => genes,
                TableName::Expression => told,
                TableName::Layers | TableName::Obsp | TableName::Varp => {
                    let Some(rows) = self.rows_of_matrices(name) else {
                        continue;
                    };
                    found.clamp(*rows.start(), *rows.end())
                }
            };
            if found != expected {
                return Err(self.contradiction(format!(
                    "{expected} rows of {folder}, but the table has {found}"
                )));
            }
        }
        Ok(())
    }

    /// How many rows a table of matrices may have: each has a value of one of them or of several.
    /// `None` where that is not recorded of all.
    fn rows_of_matrices(&self, name: TableName) -> Option<RangeInclusive<u64>> {
        let config = self.config();
        let mut sources = config.sources.iter();
        if config.added_columns.contains_key(name.key()) || sources.any(|s| s.job.is_none()) {
            return None;
        }
        let part = match name {
            TableName::Obsp => Part::Obsp,
            TableName::Varp => Part::Varp,
            _ => Part::Layers,
        };
        let of_table = format!("{}/", part.name());
        let mut matrices: BTreeMap<&str, u64> = BTreeMap::new();
        for note in config.sources.iter().flat_map(|source| &source.layers) {
            if note.key.is_empty() {
                return None;
            }
            if note.key.starts_with(&of_table) {
                let rows = matrices.entry(&note.key).or_default();
                *rows = rows.saturating_add(note.rows);
            }
        }
        let largest = matrices.values().max().copied().unwrap_or_default();
        let all = matrices
            .values()
            .fold(0u64, |all, &rows| all.saturating_add(rows));
        Some(largest..=all)
    }

    fn contradiction(&self, what: String) -> DatasetError {
        DatasetError::Contradiction {
            path: self.path().join(CONFIG),
            dataset: self.path().to_path_buf(),
            what,
        }
    }
}
