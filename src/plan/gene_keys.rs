//! The lists by which genes are joined.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::{GeneKey, PlanError};
use crate::source::{CellSource, Column, ColumnKind, Inputs, SourceError};
use crate::survey::{GeneLists, STABLE_IDS};

/// Keys are read in blocks of this many.
const BLOCK: u64 = 1 << 14;

/// The keys of the genes of an input, in their order.
pub fn gene_keys(source: &dyn CellSource, key: &GeneKey) -> Result<StringArray, PlanError> {
    let genes = source.description().genes;
    let GeneKey::Column(name) = key else {
        return Ok(source.gene_ids(0..genes)?);
    };
    let path = &source.description().path;
    let columns = &source.description().var;
    let Some(place) = columns.iter().position(|column| column.name == *name) else {
        return Err(PlanError::NoGeneKey {
            path: path.clone(),
            column: name.clone(),
        });
    };
    let mut keys = Vec::new();
    for start in (0..genes).step_by(BLOCK as usize) {
        let rows = start..(start + BLOCK).min(genes);
        let column = source.var(rows.clone())?.column(place).clone();
        keys.extend(texts(path, name, rows, &column)?);
    }
    Ok(StringArray::from(keys))
}

fn texts(
    path: &Path,
    name: &str,
    rows: Range<u64>,
    column: &ArrayRef,
) -> Result<Vec<String>, PlanError> {
    let damaged = |problem: String| {
        PlanError::Source(SourceError::Damaged {
            path: path.to_path_buf(),
            object: format!("var/{name}"),
            problem,
        })
    };
    let column = cast(column, &DataType::Utf8).map_err(|e| damaged(e.to_string()))?;
    let column = column.as_string::<i32>();
    rows.zip(0..column.len())
        .map(|(row, place)| {
            if column.is_null(place) {
                return Err(damaged(format!(
                    "gene {row} has no value, by which genes are to be joined"
                )));
            }
            Ok(column.value(place).to_string())
        })
        .collect()
}

/// Whether one of the columns of genes has this name, and texts.
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
    /// The digest of the list that these keys are, where it is known.
    pub(super) fn digest_in(&self, lists: &GeneLists) -> Option<String> {
        match self {
            GeneKey::Id => Some(lists.ids.clone()),
            GeneKey::Column(name) if name == STABLE_IDS => lists.stable_ids.clone(),
            GeneKey::Column(_) => None,
        }
    }
}

/// Reads the keys of one input after the other. The last list is kept: where the next input has
/// the same, it is neither opened nor read.
pub(crate) struct KeyReader<'a> {
    inputs: &'a Inputs,
    key: GeneKey,
    last: Mutex<Option<(String, StringArray)>>,
}

impl<'a> KeyReader<'a> {
    pub fn new(inputs: &'a Inputs, key: GeneKey) -> Self {
        KeyReader {
            inputs,
            key,
            last: Mutex::default(),
        }
    }

    /// The keys of an input, whose list has this digest.
    pub fn keys(&self, number: usize, digest: Option<&str>) -> Result<StringArray, PlanError> {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some((known, keys)), Some(digest)) = (&*last(), digest)
            && known == digest
        {
            return Ok(keys.clone());
        }
        // Not while the lock is held: another crew may read another input.
        let keys = gene_keys(&*self.inputs.get(number)?, &self.key)?;
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
        let reader = KeyReader::new(&inputs, GeneKey::Id);
        let first = reader.keys(0, Some("a")).unwrap();
        assert!(!first.is_empty());
        assert_eq!(reader.keys(1, Some("a")).unwrap(), first);
        assert!(reader.keys(1, Some("b")).is_err());
        // What has no digest may be anything.
        assert!(reader.keys(1, None).is_err());
    }
}
