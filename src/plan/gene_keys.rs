//! Keys by which genes are joined.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::{GeneKey, GeneList, IdVersions, PlanError};
use crate::source::blocks::RowBlocks;
use crate::source::{CellSource, Column, ColumnKind, Inputs, SourceError};
use crate::survey::{GeneLists, STABLE_IDS};

/// Reads the keys of an input's genes, in order.
///
/// # Errors
/// If the key column is missing or incomplete, or the input cannot be read.
pub fn gene_keys(source: &dyn CellSource, key: &GeneKey) -> Result<GeneList, PlanError> {
    let description = source.description();
    let (path, genes) = (&description.path, description.n_vars);
    if let GeneKey::Column(name) = key {
        let Some(place) = place_of(&description.var, name) else {
            return Err(PlanError::NoGeneKey {
                path: path.clone(),
                column: name.clone(),
            });
        };
        return Ok(GeneList::of_column(complete(
            path,
            name,
            column(source, place, name)?,
        )?));
    }
    let mut names = Vec::new();
    let mut blocks = RowBlocks::new(0..genes, 1);
    while let Some(rows) = blocks.next() {
        let block = source.var_names(rows)?;
        blocks.held(block.values().len() as u64);
        names.extend(
            block
                .iter()
                .map(|name| name.unwrap_or_default().to_string()),
        );
    }
    let ids = if !has_key_column(&description.var, STABLE_IDS) {
        None
    } else {
        place_of(&description.var, STABLE_IDS)
            .map(|place| column(source, place, STABLE_IDS))
            .transpose()?
    };
    Ok(GeneList::of_names(StringArray::from(names), ids.as_ref()))
}

fn place_of(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name == name)
}

/// Reads a column of var as strings.
fn column(
    source: &dyn CellSource,
    place: usize,
    name: &str,
) -> Result<Vec<Option<String>>, PlanError> {
    let description = source.description();
    let mut all = Vec::new();
    let mut blocks = RowBlocks::new(0..description.n_vars, description.var.len());
    while let Some(rows) = blocks.next() {
        let var = source.var(rows.clone())?;
        let texts = texts(&description.path, name, rows, var.column(place))?;
        blocks.held(texts.values().len() as u64);
        all.extend(texts.iter().map(|text| text.map(str::to_string)));
    }
    Ok(all)
}

fn damaged(path: &Path, name: &str, problem: String) -> PlanError {
    PlanError::Source(SourceError::Damaged {
        path: path.to_path_buf(),
        object: format!("var/{name}"),
        problem,
    })
}

fn texts(
    path: &Path,
    name: &str,
    rows: Range<u64>,
    column: &ArrayRef,
) -> Result<StringArray, PlanError> {
    let texts = cast(column, &DataType::Utf8).map_err(|e| damaged(path, name, e.to_string()))?;
    if texts.len() as u64 != rows.end - rows.start {
        return Err(damaged(path, name, "it is too short".into()));
    }
    Ok(texts.as_string::<i32>().clone())
}

/// Refuses a column that has missing values.
fn complete(
    path: &Path,
    name: &str,
    column: Vec<Option<String>>,
) -> Result<StringArray, PlanError> {
    if let Some(gene) = column.iter().position(Option::is_none) {
        let problem = format!("gene {gene} has no value, by which genes are to be joined");
        return Err(damaged(path, name, problem));
    }
    Ok(StringArray::from(column))
}

/// Whether var has a column of this name that contains strings.
pub(super) fn has_key_column(columns: &[Column], name: &str) -> bool {
    columns.iter().any(|column| {
        column.name == name
            && matches!(
                column.kind,
                ColumnKind::Text | ColumnKind::Categorical { .. }
            )
    })
}

impl GeneKey {
    /// Digest of the list of these keys, if known.
    pub(super) fn digest_in(&self, lists: &GeneLists) -> Option<String> {
        match self {
            GeneKey::Id | GeneKey::IdsOrNames => Some(match &lists.known_ids {
                None => lists.ids.clone(),
                Some(known) => format!("{}-{known}", lists.ids),
            }),
            GeneKey::Column(name) if name == STABLE_IDS => lists.stable_ids.clone(),
            GeneKey::Column(_) => None,
        }
    }
}

/// Reads the keys of one input after the other. The last list is cached: if the next input has the
/// same digest, it is neither opened nor read.
pub(crate) struct KeyReader<'a> {
    inputs: &'a Inputs,
    key: GeneKey,
    versions: IdVersions,
    last: Mutex<Option<(String, GeneList)>>,
}

impl<'a> KeyReader<'a> {
    /// Creates a reader that has not read anything yet.
    pub fn new(inputs: &'a Inputs, key: GeneKey, versions: IdVersions) -> Self {
        KeyReader {
            inputs,
            key,
            versions,
            last: Mutex::default(),
        }
    }

    /// Returns the keys of an input whose list has this digest.
    pub fn keys(&self, number: usize, digest: Option<&str>) -> Result<GeneList, PlanError> {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some((known, keys)), Some(digest)) = (&*last(), digest)
            && known == digest
        {
            return Ok(keys.clone());
        }
        // Without holding the lock, so that another worker can read another input.
        let keys = gene_keys(&*self.inputs.get(number)?, &self.key)?.under(self.versions);
        *last() = digest.map(|digest| (digest.to_string(), keys.clone()));
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::OpenOptions;

    #[test]
    fn a_list_that_is_known_is_not_read_again() {
        let demo = ("fixtures/h5ad/demo.h5ad".into(), OpenOptions::default());
        let missing = ("missing.h5ad".into(), OpenOptions::default());
        let inputs = Inputs::of_paths([demo, missing]);
        let reader = KeyReader::new(&inputs, GeneKey::Id, IdVersions::Keep);
        let first = reader.keys(0, Some("a")).unwrap();
        assert!(!first.is_empty());
        assert_eq!(reader.keys(1, Some("a")).unwrap(), first);
        assert!(reader.keys(1, Some("b")).is_err());
        // Lists without a digest are never assumed to be equal.
        assert!(reader.keys(1, None).is_err());
    }
}
