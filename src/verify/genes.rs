//! The genes of an input among those of a dataset of several.

use arrow::array::{AsArray, StringArray};

use super::against::Comparison;
use super::{Problem, Problems, VerifyError};
use crate::dataset::SourceNote;
use crate::plan::{GeneIndex, GeneKey, GeneMap, gene_keys};
use crate::source::{CellSource, Part};
use crate::table::{RowReader, TableName};

/// Where the genes of an input are; `None` where that cannot be told, which is noted.
pub(super) fn joined(
    with: &Comparison<'_>,
    source: &dyn CellSource,
    note: &SourceNote,
    problems: &mut Problems,
) -> Result<Option<GeneMap>, VerifyError> {
    let config = with.dataset.config();
    let key = config.gene_key.clone().unwrap_or_default();
    let column = match &key {
        GeneKey::Id => "gene_id".to_string(),
        GeneKey::Column(name) => {
            let mut notes = config.column_notes.iter();
            let renamed = notes.find(|note| note.part == Part::Var && note.column == *name);
            renamed.map_or_else(|| name.clone(), |note| note.written_as.clone())
        }
    };
    let Some(table) = with.tables.get(&TableName::Genes) else {
        return Ok(None);
    };
    let path = with.dataset.path().join(TableName::Genes.folder());
    let mut rows = with.runtime.block_on(RowReader::over(table, &path, None))?;
    let mut all: Vec<Option<String>> = Vec::new();
    while let Some(batch) = with.runtime.block_on(rows.next())? {
        let texts = batch.column_by_name(&column);
        let Some(texts) = texts.and_then(|texts| texts.as_string_opt::<i32>()) else {
            problems.add(Problem::new(
                "genes",
                format!("the column {column} is missing"),
            ));
            return Ok(None);
        };
        all.extend(texts.iter().map(|text| text.map(str::to_string)));
    }
    let index = GeneIndex::new(StringArray::from(all));
    let keys = gene_keys(source, &key)?;
    let join = index.join(&note.path, &keys)?;
    let expected = note.gene_join.clone().unwrap_or_default();
    // With an outer join, what was extra when the input was planned has become the dataset's.
    if join.extra > expected.extra {
        let problem = Problem::new(
            note.path.display().to_string(),
            "genes that the dataset lacks",
        );
        problems.add(problem.differing(expected.extra, join.extra));
    }
    Ok(Some(index.map(&note.path, &keys)?))
}
