//! Checks the cells and genes tables: consecutive numbers, and digests.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

use super::cell_hashes::HashCheck;
use super::files::Tables;
use super::{Problem, Problems, VerifyError};
use crate::chunk::{Digest, IdHash};
use crate::dataset::{CONFIG, Dataset};
use crate::table::{RowReader, TableName, row_digest};

/// What tables of non-zeros are checked against, at 16 bytes per cell and 8 per gene.
pub(super) struct Frames {
    /// Identifier hash of each cell.
    pub cells: Vec<IdHash>,
    /// Identifier hash of each gene.
    pub genes: Vec<IdHash>,
    /// Row of the expression table at which each cell begins.
    pub starts: Vec<i64>,
}

/// Names of a table's own columns.
struct Own {
    table: TableName,
    id: &'static str,
    number: &'static str,
}

const CELLS: Own = Own {
    table: TableName::Cells,
    id: "cell_id",
    number: "cell_integer_id",
};

const GENES: Own = Own {
    table: TableName::Genes,
    id: "gene_id",
    number: "gene_integer_id",
};

/// Reads both tables; `None` if that is not possible, which is reported as a problem.
pub(super) async fn check(
    dataset: &Dataset,
    tables: &Tables,
    problems: &mut Problems,
) -> Result<Option<Frames>, VerifyError> {
    let config = dataset.config();
    let mut starts = Vec::new();
    let mut sources: Vec<Range<u64>> = Vec::new();
    for source in &config.sources {
        sources.push(source.first_cell..source.first_cell + source.cells);
    }
    let mut hashes = HashCheck::of(dataset);
    let cells = scan(
        dataset,
        tables,
        &CELLS,
        problems,
        |batch, first, problems| {
            match integers(batch, "cell_start_index") {
                Some(column) => {
                    starts.extend_from_slice(column.as_primitive::<Int64Type>().values());
                }
                None => problems.add(Problem::new(
                    "cells",
                    "the column cell_start_index is missing",
                )),
            }
            check_source_files(dataset, batch, first, problems);
            hashes.add(batch);
        },
    )
    .await?;
    hashes.finish(problems)?;
    let genes = scan(dataset, tables, &GENES, problems, |_, _, _| ()).await?;
    let (Some(cells), Some(genes)) = (cells, genes) else {
        return Ok(None);
    };
    let [n_cells, n_genes] = config.array_shape;
    problems.expect("cells", "rows", n_cells, cells.len() as u64);
    problems.expect("genes", "rows", n_genes, genes.len() as u64);
    if config.writer.is_some() {
        problems.expect(CONFIG, "n_cells", n_cells, config.n_cells);
    }
    let covered: u64 = sources.iter().map(|cells| cells.end - cells.start).sum();
    if !sources.is_empty() {
        problems.expect(CONFIG, "cells of all sources", n_cells, covered);
    }
    Ok(Some(Frames {
        cells,
        genes,
        starts,
    }))
}

fn integers(batch: &RecordBatch, name: &str) -> Option<ArrayRef> {
    let column = cast(batch.column_by_name(name)?, &DataType::Int64).ok()?;
    (column.null_count() == 0).then_some(column)
}

/// Reads a whole table, checks its numbers and digest, and returns the identifier hashes.
async fn scan(
    dataset: &Dataset,
    tables: &Tables,
    own: &Own,
    problems: &mut Problems,
    mut look: impl FnMut(&RecordBatch, u64, &mut Problems),
) -> Result<Option<Vec<IdHash>>, VerifyError> {
    let Some(table) = tables.get(&own.table) else {
        return Ok(None);
    };
    let place = own.table.key();
    let path = dataset.path().join(own.table.folder());
    let mut hashes = Vec::new();
    let mut digest = Digest::default();
    let rows = RowReader::over(table, &path, None).await;
    let Some(mut rows) = problems.unread(place, rows.map_err(VerifyError::from))? else {
        return Ok(None);
    };
    loop {
        let batch = match rows.next().await {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(error) => {
                problems.add(Problem::new(place, crate::failure::in_one_line(&error)));
                return Ok(None);
            }
        };
        let first = hashes.len() as u64;
        let (Some(numbers), Some(ids)) = (
            integers(&batch, own.number),
            batch
                .column_by_name(own.id)
                .and_then(|c| c.as_string_opt::<i32>()),
        ) else {
            let what = format!("the column {} or {} is missing", own.id, own.number);
            problems.add(Problem::new(place, what));
            return Ok(None);
        };
        for (expected, &found) in (first..).zip(numbers.as_primitive::<Int64Type>().values()) {
            if u64::try_from(found) != Ok(expected) {
                problems.note_at(place, own.number, |problem| {
                    let what = format!("{} of row {expected}", own.number);
                    Problem { what, ..problem }.differing(expected, found)
                });
            }
        }
        hashes.extend(IdHash::of_all(ids));
        match row_digest(&batch) {
            Ok(part) => digest.add(part),
            Err(error) => problems.add(Problem::new(place, error.to_string())),
        }
        look(&batch, first, problems);
    }
    if let Some(&expected) = dataset.config().digests.get(place)
        && expected != digest
    {
        let what = "a name, or another value, is not what was written: the digest";
        problems.add(Problem::new(place, what).differing(expected, digest));
    }
    Ok(Some(hashes))
}

/// Checks that each cell names the source to which config.json assigns it.
fn check_source_files(dataset: &Dataset, batch: &RecordBatch, first: u64, problems: &mut Problems) {
    if dataset.config().renamed_sources {
        return;
    }
    let Some(files) = batch
        .column_by_name("source_file")
        .and_then(|column| column.as_string_opt::<i32>())
    else {
        return;
    };
    for source in &dataset.config().sources {
        let cells = source.first_cell.max(first)
            ..(source.first_cell + source.cells).min(first + files.len() as u64);
        for cell in cells {
            let row = (cell - first) as usize;
            let found = if files.is_null(row) {
                ""
            } else {
                files.value(row)
            };
            if found != source.source_file {
                problems.note_at("cells", "source_file", |problem| {
                    let problem = problem.at_cell(cell.to_string());
                    problem.differing(&source.source_file, found)
                });
            }
        }
    }
}
