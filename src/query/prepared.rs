//! What a scan reads, found out when its first row is wanted: then the other side of each join is
//! known.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};

use super::columns::{Kind, Seen, Starts, Stored};
use super::domain::{Domain, only_column};
use super::error::through;
use super::mask::Mask;
use super::report::ScanReport;
use crate::remedy::Remedy;
use crate::table::{RowReader, RowsAndColumns, TableError};

/// Rows between two ranges that are read rather than skipped.
const NEAR: u64 = 1 << 13;

/// Most ranges of rows; more are joined.
const MOST_SPANS: usize = 1 << 20;

/// Number of cells whose first rows are read at once.
const WINDOW: u64 = 1 << 16;

/// What a join tells of the rows that it can use.
#[derive(Debug, Clone)]
pub(super) struct IdFilter {
    /// The filter, on columns of the join.
    pub filter: Arc<DynamicFilterPhysicalExpr>,
    /// For columns of the join, the expression on columns of the scan.
    pub columns: BTreeMap<usize, Arc<dyn PhysicalExpr>>,
}

/// What is read of a table.
pub(super) struct Prepared {
    /// Sets of cells and genes, by the stored columns with their numbers.
    pub masks: Vec<(String, Mask)>,
    /// Other conditions, on the columns of the table.
    pub conditions: Vec<Arc<dyn PhysicalExpr>>,
    /// Ranges of rows.
    pub spans: Vec<Range<u64>>,
    _held: MemoryReservation,
}

/// Conditions of a scan.
pub(super) struct Conditions<'a> {
    /// Conditions of the query, on the columns of the table. They are always evaluated.
    pub of_query: &'a [Arc<dyn PhysicalExpr>],
    /// What joins tell, on the columns of the scan. They only narrow.
    pub of_joins: &'a [IdFilter],
    /// The columns of the scan among those of the table.
    pub projection: &'a [usize],
}

impl Prepared {
    /// Finds out what is to be read.
    ///
    /// # Errors
    /// If identifiers or the first rows of cells cannot be read, or memory does not suffice.
    pub async fn of(
        stored: &Stored,
        conditions: Conditions<'_>,
        pool: &Arc<dyn MemoryPool>,
        report: &ScanReport,
    ) -> Result<Self> {
        let held =
            MemoryConsumer::new(format!("cells and genes of {}", stored.name)).register(pool);
        let mut masks: BTreeMap<String, Mask> = BTreeMap::new();
        let mut others = Vec::new();
        for condition in conditions.of_query {
            for part in split_conjunction(condition) {
                match mask_of(stored, part, pool, &held).await? {
                    Some((column, mask)) => {
                        report.pushed(part.to_string());
                        narrow(&mut masks, column, mask);
                    }
                    None => {
                        report.evaluated(part.to_string());
                        others.push(part.clone());
                    }
                }
            }
        }
        for told in conditions.of_joins {
            let now = told.filter.current()?;
            for part in split_conjunction(&now) {
                let Some(part) = on_table(part, told, conditions.projection)? else {
                    continue;
                };
                // Where it does not narrow, the join itself decides.
                if let Ok(Some((column, mask))) = mask_of(stored, &part, pool, &held).await {
                    report.joined(&column);
                    narrow(&mut masks, column, mask);
                }
            }
        }
        for (column, mask) in &masks {
            report.selected(column, mask.counts());
        }
        let spans = spans(stored, &mut masks).await?;
        let mut masks: Vec<(String, Mask)> = masks.into_iter().collect();
        masks.retain(|(_, mask)| mask.counts().0 < mask.counts().1);
        Ok(Prepared {
            masks,
            conditions: others,
            spans,
            _held: held,
        })
    }
}

fn narrow(masks: &mut BTreeMap<String, Mask>, column: String, mask: Mask) {
    let narrowed = match masks.get(&column) {
        Some(known) => known.and(&mask),
        None => mask,
    };
    masks.insert(column, narrowed);
}

/// A condition of a join as one on columns of the table; `None` if it is about more than is known here.
fn on_table(
    part: &Arc<dyn PhysicalExpr>,
    told: &IdFilter,
    projection: &[usize],
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let known = |index: usize| told.columns.contains_key(&index);
    if !only_column(part).is_some_and(known) {
        return Ok(None);
    }
    let on_scan = part.clone().transform_up(|part| {
        let column = part.downcast_ref::<Column>();
        let on_scan = column.and_then(|column| told.columns.get(&column.index()));
        Ok(match on_scan {
            Some(expression) => Transformed::yes(expression.clone()),
            None => Transformed::no(part),
        })
    })?;
    let on_table = on_scan.data.transform_up(|part| {
        let column = part.downcast_ref::<Column>();
        let place = column.and_then(|column| Some((column, *projection.get(column.index())?)));
        Ok(match place {
            Some((column, place)) => {
                Transformed::yes(Arc::new(Column::new(column.name(), place)) as _)
            }
            None => Transformed::no(part),
        })
    })?;
    Ok(Some(on_table.data))
}

/// The cells or genes that a condition means, and the stored column with their numbers; `None` if it
/// is about anything else.
async fn mask_of(
    stored: &Stored,
    condition: &Arc<dyn PhysicalExpr>,
    pool: &Arc<dyn MemoryPool>,
    held: &MemoryReservation,
) -> Result<Option<(String, Mask)>> {
    let column = only_column(condition).and_then(|place| stored.columns.get(place));
    let Some(column) = column else {
        return Ok(None);
    };
    let Some(count) = stored.count_of(&column.stored) else {
        return Ok(None);
    };
    let domain = match &column.seen {
        Seen::Named(names) => Domain::Names(names.texts(pool).await?),
        Seen::AsStored | Seen::Widened => Domain::TypedVec(count, column.field.data_type().clone()),
    };
    held.try_grow((count / 8) as usize)?;
    // It may fail for cells and genes that no row is of; then rows decide.
    Ok(domain
        .mask(condition)
        .ok()
        .map(|mask| (column.stored.clone(), mask)))
}

/// The rows that may be wanted. Sets that these rows agree with exactly need not be looked at again,
/// and are removed.
async fn spans(stored: &Stored, masks: &mut BTreeMap<String, Mask>) -> Result<Vec<Range<u64>>> {
    if masks.values().any(|mask| mask.counts().0 == 0) {
        return Ok(Vec::new());
    }
    let all = std::iter::once(0..stored.rows)
        .filter(|rows| !rows.is_empty())
        .collect();
    match &stored.kind {
        Kind::Frame {
            in_order: Some(column),
        } => match masks.get(column) {
            // A row that is not where its number says is not looked for, but never taken for another.
            Some(mask) => Ok(joined(mask.runs().collect(), NEAR).0),
            None => Ok(all),
        },
        Kind::Entries {
            starts: Some(starts),
            ..
        } => {
            let Some(mask) = masks.get(&starts.column) else {
                return Ok(all);
            };
            if mask.counts().0 == mask.counts().1 {
                return Ok(all);
            }
            let (spans, exact) = rows_of_cells(stored, starts, mask).await?;
            if exact {
                masks.remove(&starts.column);
            }
            Ok(spans)
        }
        Kind::Frame { in_order: None } | Kind::Entries { starts: None, .. } => Ok(all),
    }
}

/// The rows of some cells, and whether there are rows of no others among them.
async fn rows_of_cells(
    stored: &Stored,
    starts: &Starts,
    cells: &Mask,
) -> Result<(Vec<Range<u64>>, bool)> {
    let mut spans: Vec<Range<u64>> = Vec::new();
    let mut near = NEAR;
    let mut exact = true;
    let mut window: Vec<Range<u64>> = Vec::new();
    let mut runs = cells.runs().peekable();
    while let Some(run) = runs.next() {
        let begin = window
            .first()
            .map_or(run.start, |first: &Range<u64>| first.start);
        let next = runs.peek().map(|next| next.end);
        window.push(run);
        if next.is_some_and(|end| end - begin < WINDOW) {
            continue;
        }
        for rows in starts.rows_of(stored, &std::mem::take(&mut window)).await? {
            if rows.is_empty() {
                continue;
            }
            match spans.last_mut() {
                Some(last) if rows.start < last.end + near => {
                    exact &= rows.start == last.end;
                    last.end = rows.end;
                }
                _ => spans.push(rows),
            }
        }
        while spans.len() > MOST_SPANS {
            near *= 2;
            let (fewer, same) = joined(std::mem::take(&mut spans), near);
            spans = fewer;
            exact &= same;
        }
    }
    Ok((spans, exact))
}

impl Starts {
    /// The rows of consecutive cells, for ascending ranges of cells that do not overlap.
    async fn rows_of(&self, stored: &Stored, cells: &[Range<u64>]) -> Result<Vec<Range<u64>>> {
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else {
            return Ok(Vec::new());
        };
        let whole = first.start..last.end;
        let mut rows = Vec::with_capacity(cells.len());
        if whole.end - whole.start > WINDOW {
            // One long range.
            for range in cells {
                let start = self.read(stored, range.start..range.start).await?;
                let end = self.read(stored, range.end..range.end).await?;
                rows.push(start[0]..end[0]);
            }
        } else {
            let starts = self.read(stored, whole.clone()).await?;
            let at = |cell: u64| starts[(cell - whole.start) as usize];
            rows.extend(cells.iter().map(|range| at(range.start)..at(range.end)));
        }
        if rows.iter().all(|rows| rows.start <= rows.end) {
            Ok(rows)
        } else {
            Err(self.damaged())
        }
    }

    /// The first row of each cell of a range, and of the one after it.
    async fn read(&self, stored: &Stored, cells: Range<u64>) -> Result<Vec<u64>> {
        let until = (cells.end + 1).min(self.count);
        let columns = ["cell_start_index"];
        let wanted = RowsAndColumns {
            columns: Some(&columns),
            rows: Some(cells.start.min(until)..until),
        };
        let reader = RowReader::of(&self.cells, &self.path, wanted).await;
        let mut reader = reader.map_err(through)?;
        let mut starts = Vec::new();
        while let Some(batch) = reader.next().await.map_err(through)? {
            let column = cast(batch.column(0), &DataType::Int64)?;
            for start in column.as_primitive::<Int64Type>() {
                let start = start.and_then(|start| u64::try_from(start).ok());
                starts.push(start.ok_or_else(|| self.damaged())?);
            }
        }
        if cells.end >= self.count {
            starts.push(stored.rows);
        }
        let whole = starts.len() as u64 == cells.end - cells.start + 1;
        let ascend = starts.is_sorted() && starts.last().is_some_and(|&last| last <= stored.rows);
        if whole && ascend {
            Ok(starts)
        } else {
            Err(self.damaged())
        }
    }

    fn damaged(&self) -> datafusion::error::DataFusionError {
        through(TableError::Damaged {
            path: self.path.clone(),
            problem: format!(
                "its column cell_start_index is not what the rows of the expression table are; {}",
                Remedy::Verify
            ),
        })
    }
}

/// Joins ranges that lie close to each other. Returns whether nothing lies between those joined.
fn joined(spans: Vec<Range<u64>>, near: u64) -> (Vec<Range<u64>>, bool) {
    let mut fewer: Vec<Range<u64>> = Vec::new();
    let mut exact = true;
    for span in spans {
        match fewer.last_mut() {
            Some(last) if span.start < last.end + near => {
                exact &= span.start == last.end;
                last.end = span.end;
            }
            _ => fewer.push(span),
        }
    }
    (fewer, exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_close_to_each_other_become_one() {
        let (spans, exact) = joined(vec![0..5, 5..9, 20..30], 8);
        assert_eq!((spans, exact), (vec![0..9, 20..30], true));
        let (spans, exact) = joined(vec![0..5, 9..12], 8);
        assert_eq!(spans, [Range { start: 0, end: 12 }]);
        assert!(!exact);
    }
}
