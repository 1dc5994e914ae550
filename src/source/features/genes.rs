//! Selects, names and describes the features that become genes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::filter;
use arrow::datatypes::{Field, Schema};

use super::FeatureList;
use super::feature_filter::{describe_types, wanted};
use super::options::GeneId;
use crate::remedy::{Remedy, Setting};
use crate::source::error::ErrorContext;
use crate::source::view::{renamed, with_names};
use crate::source::{
    Column, ColumnKind, Note, OpenOptions, Part, Reindex, RepeatedName, Selection, SourceError,
};

/// The genes of an input and their columns.
#[derive(Debug)]
pub(crate) struct Genes {
    ids: StringArray,
    columns: Vec<(Column, ArrayRef)>,
    kept: Arc<Reindex>,
    repeated: Vec<RepeatedName>,
    /// Notes on what is converted.
    pub converted: Vec<Note>,
    /// Notes on what is left out.
    pub left_out: Vec<Note>,
    /// What a user should know.
    pub warnings: Vec<String>,
}

/// A column before the genes are selected.
type Whole = (String, ColumnKind, ArrayRef);

impl Genes {
    /// Selects and names genes. `place` is where the features are listed.
    pub fn choose(
        list: FeatureList,
        place: &ErrorContext,
        options: &OpenOptions,
    ) -> Result<Self, SourceError> {
        let mask = wanted(&list, place, options)?;
        let split = list.split.as_ref();
        let split = split.map(|how| Note::new(place.object(), how.clone()));
        let mut converted = Vec::from_iter(split);
        let mut left_out = Vec::new();
        let mut warnings = Vec::new();
        describe_types(&list, &mask, place, options, &mut left_out, &mut warnings);
        let (names, columns) = match GeneId::of(options) {
            GeneId::Symbol => by_symbol(&list, place, &mut converted)?,
            GeneId::Ensembl => by_ensembl(&list, place)?,
        };
        let kept = Reindex::of_mask(&mask);
        let repeated = match GeneId::of(options) {
            GeneId::Symbol => repeated(&list, &names, &mask),
            GeneId::Ensembl => Vec::new(),
        };
        let mask = BooleanArray::from(mask);
        let columns = selected(
            columns,
            &list,
            &mask,
            place,
            &options.selection,
            &mut left_out,
        )?;
        let ids = filtered(&(Arc::new(names) as ArrayRef), &mask, place)?;
        let ids = ids.as_any().downcast_ref::<StringArray>().cloned();
        Ok(Genes {
            ids: ids.ok_or_else(|| place.damaged("its names are no texts"))?,
            columns,
            kept: Arc::new(kept),
            repeated,
            converted,
            left_out,
            warnings,
        })
    }

    /// Moves the features that are genes to their positions, and drops the others.
    pub fn kept(&self) -> &Arc<Reindex> {
        &self.kept
    }

    /// Number of genes.
    pub fn count(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Returns the identifiers of a range of genes.
    pub fn ids(&self, range: Range<u64>) -> StringArray {
        slice(&self.ids, range)
    }

    /// Returns the genes that share their symbol with another, or whose name has a suffix for that
    /// reason.
    pub fn repeated_names(&self) -> Vec<RepeatedName> {
        self.repeated.clone()
    }

    /// The columns, without the identifiers.
    pub fn columns(&self) -> Vec<Column> {
        self.columns
            .iter()
            .map(|(column, _)| column.clone())
            .collect()
    }

    /// Returns the columns of a range of genes.
    pub fn read(
        &self,
        range: Range<u64>,
        place: &ErrorContext,
    ) -> Result<RecordBatch, SourceError> {
        let (start, rows) = (range.start as usize, (range.end - range.start) as usize);
        let columns = self
            .columns
            .iter()
            .map(|(column, array)| (column.name.as_str(), array.slice(start, rows)));
        batch(columns, rows, place)
    }
}

/// Builds a record batch with this many rows from named arrays.
pub(crate) fn batch<'a>(
    columns: impl Iterator<Item = (&'a str, ArrayRef)>,
    rows: usize,
    place: &ErrorContext,
) -> Result<RecordBatch, SourceError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (name, array) in columns {
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|e| place.damaged(e.to_string()))
}

/// Rows of a frame without columns.
pub(crate) fn no_columns(
    rows: Range<u64>,
    place: &ErrorContext,
) -> Result<RecordBatch, SourceError> {
    let rows = rows.end.saturating_sub(rows.start);
    let rows = usize::try_from(rows).map_err(|_| place.damaged("it has absurdly many rows"))?;
    batch(std::iter::empty(), rows, place)
}

fn slice(texts: &StringArray, range: Range<u64>) -> StringArray {
    texts.slice(range.start as usize, (range.end - range.start) as usize)
}

/// Identifies genes by their symbols, made unique.
fn by_symbol(
    list: &FeatureList,
    place: &ErrorContext,
    converted: &mut Vec<Note>,
) -> Result<(StringArray, Vec<Whole>), SourceError> {
    let symbols = list.symbols.as_ref().or(list.ids.as_ref());
    let symbols =
        symbols.ok_or_else(|| place.damaged("its features have neither names nor ids"))?;
    let changed = renamed(symbols.len() as u64, &|rows| Ok(slice(symbols, rows)))?;
    let names = with_names(symbols.clone(), 0..symbols.len() as u64, &changed);
    if !changed.is_empty() {
        converted.push(Note::new(
            place.object(),
            format!(
                "{} gene names that an earlier gene has got a suffix (-1, -2, …), as scanpy gives them",
                changed.len()
            ),
        ));
    }
    let mut columns = Vec::new();
    let mut add = |name: &str, values: &Option<StringArray>| {
        if let Some(values) = values {
            columns.push(text_column(name, values));
        }
    };
    if list.symbols.is_some() {
        match &list.genes_of_probes {
            Some(_) => {
                add("gene_ids", &list.genes_of_probes);
                add("probe_ids", &list.ids);
            }
            None => add("gene_ids", &list.ids),
        }
    }
    add("feature_types", &list.types);
    Ok((names, columns))
}

/// Returns the kept features that share their symbol with another kept one, or whose name differs
/// from their symbol.
fn repeated(list: &FeatureList, names: &StringArray, mask: &[bool]) -> Vec<RepeatedName> {
    let Some(symbols) = list.symbols.as_ref().or(list.ids.as_ref()) else {
        return Vec::new();
    };
    let kept = || {
        let rows = symbols.iter().zip(names.iter()).zip(mask);
        let rows = rows.filter(|(_, kept)| **kept).map(|(texts, _)| texts);
        rows.map(|(symbol, name)| (symbol.unwrap_or_default(), name.unwrap_or_default()))
    };
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for (symbol, _) in kept() {
        *counts.entry(symbol).or_default() += 1;
    }
    let repeated = (0u64..).zip(kept());
    let repeated = repeated.filter(|(_, (symbol, name))| counts[symbol] > 1 || symbol != name);
    repeated
        .map(|(gene, (symbol, _))| RepeatedName {
            gene,
            name: symbol.to_string(),
        })
        .collect()
}

/// Identifies genes by their identifiers, unchanged.
fn by_ensembl(
    list: &FeatureList,
    place: &ErrorContext,
) -> Result<(StringArray, Vec<Whole>), SourceError> {
    let ids = list.ids.clone().ok_or_else(|| {
        place.refuses(
            Setting::of("gene-id", "ensembl"),
            "the list of features has no ids",
            Remedy::omit("gene-id"),
        )
    })?;
    let mut columns = Vec::new();
    for (name, values) in [
        ("gene_symbols", &list.symbols),
        ("gene_ids", &list.genes_of_probes),
        ("feature_types", &list.types),
    ] {
        if let Some(values) = values {
            columns.push(text_column(name, values));
        }
    }
    Ok((ids, columns))
}

fn text_column(name: &str, values: &StringArray) -> Whole {
    (name.to_string(), ColumnKind::Text, Arc::new(values.clone()))
}

/// Returns the selected columns of the kept genes.
fn selected(
    mut columns: Vec<Whole>,
    list: &FeatureList,
    mask: &BooleanArray,
    place: &ErrorContext,
    selection: &Selection,
    left_out: &mut Vec<Note>,
) -> Result<Vec<(Column, ArrayRef)>, SourceError> {
    for other in &list.others {
        columns.push((other.name.clone(), other.kind.clone(), other.values.clone()));
    }
    let mut chosen = Vec::with_capacity(columns.len());
    for (name, kind, array) in columns {
        if let Some(reason) = selection.excludes(Part::Var, &name) {
            left_out.push(Note::new(format!("var/{name}"), reason));
            continue;
        }
        chosen.push((Column { name, kind }, filtered(&array, mask, place)?));
    }
    Ok(chosen)
}

fn filtered(
    array: &ArrayRef,
    mask: &BooleanArray,
    place: &ErrorContext,
) -> Result<ArrayRef, SourceError> {
    if mask.true_count() == mask.len() {
        return Ok(array.clone());
    }
    filter(array, mask).map_err(|e| place.damaged(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::{GENE_EXPRESSION, OtherColumn};
    use super::*;

    fn list() -> FeatureList {
        let genomes = StringArray::from(vec!["hg", "mm", "hg", ""]);
        FeatureList {
            count: 4,
            ids: Some(vec!["E1", "E2", "E3", "CD3"].into()),
            symbols: Some(vec!["A", "B", "A", "CD3"].into()),
            types: Some(
                vec![
                    GENE_EXPRESSION,
                    GENE_EXPRESSION,
                    GENE_EXPRESSION,
                    "Antibody Capture",
                ]
                .into(),
            ),
            genomes: Some(genomes.clone()),
            others: vec![OtherColumn {
                name: "genome".into(),
                kind: ColumnKind::Text,
                values: Arc::new(genomes),
            }],
            ..FeatureList::default()
        }
    }

    fn choose(change: impl Fn(OpenOptions) -> OpenOptions) -> Result<Genes, SourceError> {
        let options = change(OpenOptions::default());
        Genes::choose(
            list(),
            &ErrorContext::new("x.h5".as_ref(), "features"),
            &options,
        )
    }

    fn ids(genes: &Genes) -> Vec<String> {
        let all = genes.ids(0..genes.count());
        all.iter().flatten().map(str::to_string).collect()
    }

    #[test]
    fn all_are_kept_under_unique_symbols() {
        let genes = choose(|options| options).unwrap();
        assert_eq!(ids(&genes), ["A", "B", "A-1", "CD3"]);
        let names: Vec<String> = genes.columns().into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["gene_ids", "feature_types", "genome"]);
        assert!(genes.warnings[0].contains("Antibody Capture (1), Gene Expression (3)"));
        assert!(genes.converted[0].reason.contains("suffix"));
        let repeated: Vec<u64> = genes.repeated_names().iter().map(|r| r.gene).collect();
        assert_eq!(repeated, [0, 2]);
    }

    #[test]
    fn names_do_not_depend_on_what_is_kept() {
        let genes = choose(|options| options.with("genome", "hg").unwrap()).unwrap();
        assert_eq!(ids(&genes), ["A", "A-1"]);
        assert!(genes.left_out[0].reason.contains("Antibody Capture (1)"));
        let genes =
            choose(|options| options.with("feature-type", "gene expression").unwrap()).unwrap();
        assert_eq!(ids(&genes), ["A", "B", "A-1"]);
        assert!(genes.warnings.is_empty());
    }

    #[test]
    fn ensembl_swaps() {
        let genes = choose(|options| options.with("gene-id", "ensembl").unwrap()).unwrap();
        assert_eq!(ids(&genes), ["E1", "E2", "E3", "CD3"]);
        assert_eq!(genes.columns()[0].name, "gene_symbols");
    }

    #[test]
    fn what_nobody_has_is_refused() {
        let message = choose(|options| options.with("genome", "zz").unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("genome=zz") && message.contains("hg, mm"),
            "{message}"
        );
    }
}
