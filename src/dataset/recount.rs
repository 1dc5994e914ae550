//! Describes a dataset from the contents of its tables, because its config does not describe them
//! or cannot be trusted.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;

use super::adoption::Identifiers;
use super::order::FrameOrder;
use super::recounted::CellList;
use super::tally::{Counting, value_columns};
use super::{Adoption, Dataset, DatasetError, Recounted, SourceNote, UNS, hash_of_file};
use crate::plan::KnownValues;
use crate::table::TableName;

impl Adoption {
    /// Reads a whole dataset, in bounded memory plus 24 bytes per cell.
    ///
    /// # Errors
    /// [`DatasetError::Unacceptable`] if cells or genes are missing, or rows refer to missing ones.
    /// [`DatasetError::Changed`] if recorded values have changed although they must not.
    pub async fn recount(
        now: &Dataset,
        known: KnownValues,
    ) -> Result<(Self, Recounted), DatasetError> {
        let mut unordered = BTreeSet::new();
        let mut shape = now.config().array_shape;
        for (name, length) in [TableName::Cells, TableName::Genes]
            .into_iter()
            .zip(&mut shape)
        {
            let table = now.table(name).await?;
            let path = now.path().join(name.folder());
            let rows = now.rows(&table, name).await?;
            let order = FrameOrder::of(&table, &path, name, rows).await?;
            if let Some(why) = order.problem {
                return Err(DatasetError::Unacceptable { path, why });
            }
            if !order.ascending {
                unordered.insert(name);
            }
            *length = order.rows;
        }
        let mut config = now.config().clone();
        config.array_shape = shape;
        config.sources.retain(|source| source.first_cell < shape[0]);
        if let Some(last) = config.sources.last_mut() {
            last.cells = last.cells.min(shape[0] - last.first_cell);
        }
        if known == KnownValues::Accept {
            config.cell_hashes.clear();
            config.uns_xxh3 = hash_of_file(&now.path().join(UNS))?;
        }
        let identifiers = Identifiers::of(now, &unordered).await?;
        let told = config.sources.iter().map(|s| s.first_cell + s.cells).max();
        let ascending = !unordered.contains(&TableName::Cells);
        let cells = CellList::read(now, told.unwrap_or(0), ascending).await?;
        let of_sources = config.sources.iter().map(|source| source.first_cell);
        let of_ranges = cells.ranges.iter().map(|range| range.first_cell);
        let first_cells: Vec<u64> = of_sources.chain(of_ranges).collect();
        let mut recounted = Recounted {
            ranges: cells.ranges.clone(),
            wrong_starts: 0,
            names_sources: cells.names_sources,
            ..Recounted::default()
        };
        let mut different = Vec::new();
        for name in now.tables() {
            if matches!(name, TableName::Cells | TableName::Genes) {
                continue;
            }
            let table = now.table(name).await?;
            let columns = value_columns(name, &Schema::from(table.schema()));
            let of_expression = name == TableName::Expression;
            let counting = Counting {
                dataset: now,
                table: name,
                columns: columns.clone(),
                hashes: identifiers.of_table(name),
                sources: &first_cells,
                starts: if of_expression { &cells.starts } else { &[] },
            };
            let tally = match counting.read().await {
                Err(DatasetError::CannotContinue { path, why }) if known == KnownValues::Accept => {
                    return Err(DatasetError::Unacceptable { path, why });
                }
                other => other?,
            };
            if !tally.ascending {
                unordered.insert(name);
            }
            if of_expression {
                recounted.stats = tally.stats;
                recounted.wrong_starts = match cells.starts.is_empty() {
                    true => shape[0],
                    false => tally.wrong_starts,
                };
                let new = tally.sources.iter().skip(config.sources.len());
                for (range, found) in recounted.ranges.iter_mut().zip(new) {
                    range.rows = found.rows;
                    range.digest = found.digests[0];
                }
            }
            for (source, found) in config.sources.iter_mut().zip(&tally.sources) {
                if of_expression && known == KnownValues::Accept {
                    source.rows = found.rows;
                }
                for (column, &digest) in columns.iter().zip(&found.digests) {
                    let key = now.config().digest_key(name, column);
                    if known == KnownValues::Accept {
                        source.digests.insert(key, digest);
                    } else if is_different(source, &key, digest) {
                        let file = &source.source_file;
                        different.push(format!("{column} of {file} in {}", name.folder()));
                    }
                }
            }
        }
        if !different.is_empty() {
            return Err(DatasetError::Changed {
                path: now.path().to_path_buf(),
                what: different.join(", "),
            });
        }
        let adoption = Adoption {
            config,
            unordered,
            changes: Vec::new(),
        };
        Ok((adoption, recounted))
    }
}

/// Whether the current rows differ from those that were digested.
fn is_different(source: &SourceNote, key: &str, found: crate::chunk::Digest) -> bool {
    let expected = source.digests.get(key);
    expected.is_some_and(|&expected| expected != found)
}
