//! Describes a dataset from the contents of its tables, because its config does not describe them
//! or cannot be trusted.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;

use super::column_tally::Scales;
use super::identifiers::Identifiers;
use super::order::FrameOrder;
use super::recounted::CellList;
use super::redescribed::{redescribe_categories, redescribe_sources, redescribe_uns};
use super::tally::{Counting, Tally, typed_columns};
use super::{Adoption, Dataset, DatasetConfig, DatasetError, Recounted, RowOrder, SourceNote};
use crate::chunk::Digest;
use crate::plan::KnownValues;
use crate::survey::ValueType;
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
        let mut recount = Recount::of_frames(now, known).await?;
        recount.uns()?;
        let order = recount.order(TableName::Cells);
        let identifiers = Identifiers::of(now, order).await?;
        let sources = recount.config.sources.iter();
        let told = sources.map(|s| s.first_cell + s.cells).max();
        let cells = CellList::read(now, told.unwrap_or(0), order).await?;
        recount.recounted = Recounted {
            ranges: cells.ranges.clone(),
            names_sources: cells.names_sources,
            ..Recounted::default()
        };
        for name in now.tables() {
            if !matches!(name, TableName::Cells | TableName::Genes) {
                recount.entries(name, &identifiers, &cells.starts).await?;
            }
        }
        if known == KnownValues::Accept {
            recount.forget_what_is_gone();
            redescribe_sources(&mut recount.config, now, order).await?;
            redescribe_categories(&mut recount.config, now).await?;
        }
        if !recount.different.is_empty() {
            return Err(DatasetError::Changed {
                path: now.path().to_path_buf(),
                what: recount.different.join(", "),
            });
        }
        let adoption = Adoption {
            config: recount.config,
            unordered: recount.unordered,
            changes: Vec::new(),
        };
        Ok((adoption, recount.recounted))
    }
}

/// What was found so far.
struct Recount<'a> {
    now: &'a Dataset,
    known: KnownValues,
    config: DatasetConfig,
    unordered: BTreeSet<TableName>,
    recounted: Recounted,
    /// Known values that are not what they were.
    different: Vec<String>,
    /// The keys of all matrices.
    keys: BTreeSet<String>,
}

impl<'a> Recount<'a> {
    /// Counts cells and genes.
    async fn of_frames(now: &'a Dataset, known: KnownValues) -> Result<Self, DatasetError> {
        let mut unordered = BTreeSet::new();
        let mut config = now.config().clone();
        let shape = &mut config.array_shape;
        for (name, length) in [TableName::Cells, TableName::Genes].into_iter().zip(shape) {
            let table = now.table(name).await?;
            let path = now.path().join(name.folder());
            let rows = now.rows(&table, name).await?;
            let order = FrameOrder::of(&table, &path, name, rows).await?;
            if let Some(why) = order.problem {
                return Err(DatasetError::Unacceptable { path, why });
            }
            if order.order == RowOrder::Unsorted {
                // The genes that are appended are looked up by their places.
                if name == TableName::Genes && known == KnownValues::Keep {
                    let why = "its rows are not in the order of gene_integer_id, in which an adoption that accepts the changes would put them";
                    return Err(DatasetError::CannotContinue {
                        path,
                        why: why.into(),
                    });
                }
                unordered.insert(name);
            }
            *length = order.rows;
        }
        let cells = config.array_shape[0];
        config.sources.retain(|source| source.first_cell < cells);
        if let Some(last) = config.sources.last_mut() {
            last.cells = last.cells.min(cells - last.first_cell);
        }
        if known == KnownValues::Accept {
            config.cell_hashes.clear();
        }
        Ok(Recount {
            now,
            known,
            config,
            unordered,
            recounted: Recounted::default(),
            different: Vec::new(),
            keys: BTreeSet::new(),
        })
    }

    fn order(&self, table: TableName) -> RowOrder {
        if self.unordered.contains(&table) {
            RowOrder::Unsorted
        } else {
            RowOrder::Sorted
        }
    }

    fn uns(&mut self) -> Result<(), DatasetError> {
        match self.now.uns_change()? {
            Some(change) if self.known == KnownValues::Keep => {
                self.different.push(change.to_string());
                Ok(())
            }
            _ => redescribe_uns(&mut self.config, self.now),
        }
    }

    /// A table of non-zeros, in which each cell should begin at one of these rows.
    async fn entries(
        &mut self,
        name: TableName,
        identifiers: &Identifiers,
        starts: &[i64],
    ) -> Result<(), DatasetError> {
        let table = self.now.table(name).await?;
        let columns = typed_columns(name, &Schema::from(table.schema()));
        let of_sources = self.config.sources.iter().map(|source| source.first_cell);
        let of_ranges = self.recounted.ranges.iter().map(|range| range.first_cell);
        let first_cells: Vec<u64> = of_sources.chain(of_ranges).collect();
        let of_expression = name == TableName::Expression;
        let counting = Counting {
            dataset: self.now,
            table: name,
            columns: &columns,
            hashes: identifiers.of_table(name),
            sources: &first_cells,
            starts: if of_expression { starts } else { &[] },
            scales: match self.known {
                KnownValues::Accept => Scales::Judge,
                KnownValues::Keep => Scales::Leave,
            },
        };
        let tally = match counting.read().await {
            Err(DatasetError::CannotContinue { path, why })
                if self.known == KnownValues::Accept =>
            {
                return Err(DatasetError::Unacceptable { path, why });
            }
            other => other?,
        };
        if tally.order == RowOrder::Unsorted {
            self.unordered.insert(name);
        }
        if of_expression {
            self.expression(&tally, starts);
        }
        match self.known {
            KnownValues::Accept => self.accept(name, &columns, &tally),
            KnownValues::Keep => self.compare(name, &columns, &tally),
        }
        Ok(())
    }

    fn expression(&mut self, tally: &Tally, starts: &[i64]) {
        self.recounted.stats = tally.stats;
        self.recounted.wrong_starts = if starts.is_empty() {
            self.config.array_shape[0]
        } else {
            tally.wrong_starts
        };
        let sources = self.config.sources.len();
        let new = tally.rows_of.iter().zip(&tally.columns_of).skip(sources);
        for (range, (&rows, columns)) in self.recounted.ranges.iter_mut().zip(new) {
            range.rows = rows;
            range.digest = columns[0].digest;
        }
    }

    /// Describes the values of each source as they are.
    fn accept(&mut self, name: TableName, columns: &[(String, ValueType)], tally: &Tally) {
        let found = tally.rows_of.iter().zip(&tally.columns_of);
        for (source, (&rows, found)) in self.config.sources.iter_mut().zip(found) {
            if name == TableName::Expression {
                source.rows = rows;
            }
            for ((column, value_type), found) in columns.iter().zip(found) {
                let key = self.now.config().digest_key(name, column);
                self.keys.insert(key.clone());
                let known = source.digests.insert(key.clone(), found.digest);
                let mut layers = source.layers.iter_mut();
                let mut layer = layers.find(|layer| layer.is_of(&key));
                if let Some(layer) = &mut layer {
                    layer.rows = found.stats.rows;
                }
                if known == Some(found.digest) {
                    continue;
                }
                if name == TableName::Expression {
                    source.scale = source.scale.map(|_| found.scale());
                }
                if let Some(layer) = layer {
                    layer.r#type = value_type.to_string();
                    layer.scale = layer.scale.map(|_| found.scale());
                }
            }
        }
    }

    fn compare(&mut self, name: TableName, columns: &[(String, ValueType)], tally: &Tally) {
        for (source, found) in self.config.sources.iter().zip(&tally.columns_of) {
            for ((column, _), found) in columns.iter().zip(found) {
                let key = self.now.config().digest_key(name, column);
                if is_different(source, &key, found.digest) {
                    let file = &source.source_file;
                    let what = format!("{column} of {file} in {}", name.folder());
                    self.different.push(what);
                }
            }
        }
    }

    /// Forgets matrices that are no longer there.
    fn forget_what_is_gone(&mut self) {
        let keys = &self.keys;
        for source in &mut self.config.sources {
            source.digests.retain(|key, _| keys.contains(key));
            // Earlier versions did not write the key.
            source
                .layers
                .retain(|layer| layer.key.is_empty() || keys.contains(&layer.key));
        }
    }
}

/// Whether what was digested is not what is there.
fn is_different(source: &SourceNote, key: &str, found: Digest) -> bool {
    let expected = source.digests.get(key);
    expected.is_some_and(|&expected| expected != found)
}
