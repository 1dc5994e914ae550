//! Maps the genes of an input to those of a dataset made from several.

use super::against::Comparison;
use super::{Problem, Problems, VerifyError};
use crate::dataset::{DatasetError, SourceNote};
use crate::plan::{GeneIndex, gene_keys};
use crate::source::{CellSource, Reindex};
use crate::table::TableName;

/// Maps the genes of an input; `None` if that is not possible, which is reported as a problem.
pub(super) fn joined(
    with: &Comparison<'_>,
    source: &dyn CellSource,
    note: &SourceNote,
    problems: &mut Problems,
) -> Result<Option<Reindex>, VerifyError> {
    let config = with.dataset.config();
    let key = config.gene_key.clone().unwrap_or_default();
    let versions = config.gene_id_versions;
    if !with.tables.contains_key(&TableName::Genes) {
        return Ok(None);
    }
    let list = with.runtime.block_on(with.dataset.list_of_genes(&key));
    let list = match list {
        Ok(list) => list.under(versions),
        Err(DatasetError::CannotContinue { why, .. }) => {
            problems.add(Problem::new("genes", why));
            return Ok(None);
        }
        Err(other) => return Err(other.into()),
    };
    let index = GeneIndex::new(list, &key);
    let keys = gene_keys(source, &key)?.under(versions);
    let join = index.join(&note.path, &keys)?;
    let expected = note.gene_join.clone().unwrap_or_default();
    // With an outer join, genes that were extra when the input was planned belong to the dataset
    // now.
    if join.extra > expected.extra {
        let problem = Problem::new(
            note.path.display().to_string(),
            "genes that the dataset lacks",
        );
        problems.add(problem.differing(expected.extra, join.extra));
    }
    Ok(Some(index.map(&note.path, &keys)?))
}
