//! Continues what a dataset has: its columns, embeddings and matrices keep their names and, unless
//! they may be widened, their types.

use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::not_distinct;

use super::join::{Part, Rule, described, united_column};
use super::kinds::united;
use super::{BaseMatrix, PlanError, PlannedColumn, PlannedEmbedding, Widening};
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::{
    CellSource, Column, ColumnKind, Embedding, Layout, MatrixDescription, MatrixName, ScalarType,
};
use crate::survey::{FloatType, MatrixSurvey};

/// Joins the columns of a dataset with those of inputs that are appended to it.
///
/// `fits` determines whether all values of an input's column fit a type of the dataset.
pub(super) fn columns(
    rule: Rule<'_>,
    widening: Widening,
    dataset: (&Path, &[PlannedColumn]),
    inputs: &[(&Path, &[Column])],
    fits: impl Fn(usize, &str, &ColumnKind) -> Result<bool, PlanError>,
) -> Result<Vec<Column>, PlanError> {
    let (path, own) = dataset;
    let own: Vec<(&str, &ColumnKind)> = own.iter().map(|c| (&c.column[..], &c.kind)).collect();
    let mut parts = vec![Part { path, members: own }];
    parts.extend(inputs.iter().map(|(path, columns)| Part {
        path,
        members: columns.iter().map(|c| (c.name.as_str(), &c.kind)).collect(),
    }));
    let mut joined = Vec::new();
    for (name, kinds) in rule.apply(&parts)? {
        let Some(has) = kinds[0] else {
            joined.extend(united_column(rule, name, &kinds, &parts)?);
            continue;
        };
        let mut kind = has.clone();
        for (number, found) in kinds[1..].iter().enumerate() {
            let Some(found) = found else { continue };
            let together = united(&kind, found);
            match together {
                Some(together) if together.arrow() == kind.arrow() => kind = together,
                _ if fits(number, name, &kind)? => {}
                Some(together) if widening == Widening::Allow => kind = together,
                Some(_) => {
                    return Err(PlanError::NeedsWidening {
                        path: parts[number + 1].path.to_path_buf(),
                        part: rule.part,
                        name: name.to_string(),
                        found: described(found),
                        has: described(&kind),
                    });
                }
                None => {
                    let paths = (path, parts[number + 1].path);
                    return Err(rule.clash(paths, name, described(found), described(&kind)));
                }
            }
        }
        joined.push(Column {
            name: name.to_string(),
            kind,
        });
    }
    Ok(joined)
}

/// Whether a type holds every value of a column exactly. Numbers are never converted to text.
pub(super) fn all_fit(
    source: &dyn CellSource,
    rows: u64,
    read: impl Fn(&dyn CellSource, std::ops::Range<u64>) -> Result<RecordBatch, PlanError>,
    name: &str,
    kind: &ColumnKind,
) -> Result<bool, PlanError> {
    let wanted = kind.arrow();
    let mut blocks = RowBlocks::new(0..rows, 1);
    while let Some((_, batch)) = blocks.read(|rows| read(source, rows))? {
        blocks.held(bytes_of(batch.columns()));
        let Some(column) = batch.column_by_name(name) else {
            return Ok(true);
        };
        if !column.data_type().is_numeric() || !wanted.is_numeric() {
            return Ok(false);
        }
        let there_and_back = |column: &ArrayRef| -> Result<bool, arrow::error::ArrowError> {
            let back = cast(&cast(column, &wanted)?, column.data_type())?;
            let same = not_distinct(&back, column)?;
            Ok(same.true_count() == same.len())
        };
        if !there_and_back(column).unwrap_or(false) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Converts embeddings of a dataset to the form those of an input have.
pub(super) fn embeddings(of: &[PlannedEmbedding]) -> (Vec<Embedding>, Vec<FloatType>) {
    let embedding = |planned: &PlannedEmbedding| Embedding {
        name: planned.name.clone(),
        width: planned.width,
        number_type: planned.float_type.into(),
        columns: planned.columns.clone(),
    };
    let types = of.iter().map(|planned| planned.float_type);
    (of.iter().map(embedding).collect(), types.collect())
}

/// Refuses embeddings that do not fit the dataset's columns.
pub(super) fn check_embeddings(
    path: &Path,
    part: &'static str,
    has: &[PlannedEmbedding],
    joined: &[Embedding],
    types: &[FloatType],
) -> Result<(), PlanError> {
    for (embedding, &needed) in joined.iter().zip(types) {
        let mut has = has.iter().filter(|has| has.name == embedding.name);
        if has.any(|has| has.float_type < needed) {
            return Err(PlanError::NeedsWidening {
                path: path.to_path_buf(),
                part,
                name: embedding.name.clone(),
                found: "lists of float64".into(),
                has: "lists of float32".into(),
            });
        }
    }
    Ok(())
}

/// Describes matrices of a dataset as those of an input in which they have no entries.
pub(super) fn matrices(
    of: &[BaseMatrix],
    part: &str,
    name: impl Fn(String) -> MatrixName,
) -> (Vec<MatrixDescription>, Vec<MatrixSurvey>) {
    let matrix = |base: &BaseMatrix| MatrixDescription {
        name: name(base.name.clone()),
        object: format!("{part}/{}", base.name),
        layout: Layout::Absent,
        number_type: ScalarType::Float32,
        entries: Some(0),
    };
    (
        of.iter().map(matrix).collect(),
        of.iter().map(|_| MatrixSurvey::of_nothing()).collect(),
    )
}
