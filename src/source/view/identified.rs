//! Gives genes other identifiers than in the input: looked up by name, or without versions.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};

use super::View;
use crate::remedy::Setting;
use crate::source::blocks::RowBlocks;
use crate::source::error::ErrorContext;
use crate::source::lists::{Meaning, NameMap};
use crate::source::stable_id::without_version;
use crate::source::{
    CellSource, Column, ColumnKind, Description, Note, OpenOptions, RepeatedName, SourceError,
};

/// The column with identifiers, and the word for names in [`OpenOptions::strip_versions`].
const IDS: &str = "gene_ids";
const NAMES: &str = "gene_id";

/// An input whose genes have other identifiers.
pub(in crate::source) struct Identified {
    source: Box<dyn CellSource>,
    description: Description,
    /// What loses its versions: names and columns.
    stripped: Vec<String>,
    /// Columns that keep the versions that were stripped.
    kept: Vec<String>,
    /// Identifiers that were looked up by name.
    found: Option<StringArray>,
    /// Genes whose names stand for several identifiers.
    unclear: Vec<RepeatedName>,
}

impl Identified {
    /// Applies the options for gene identifiers to an input.
    pub fn over(source: Box<dyn CellSource>, options: &OpenOptions) -> Result<Self, SourceError> {
        let mut view = Identified {
            description: source.description().clone(),
            stripped: options.strip_versions.clone(),
            kept: Vec::new(),
            found: None,
            unclear: Vec::new(),
            source,
        };
        let has_ids = view.description.var.iter().any(|column| column.name == IDS);
        if let Some(map) = &options.gene_map
            && !has_ids
        {
            view.find(map, options.memory / 4)?;
            view.add(IDS);
        }
        for name in &view.stripped.clone() {
            let mut columns = view.description.var.iter_mut();
            match columns.find(|column| column.name == *name) {
                Some(column) => column.kind = ColumnKind::Text,
                None if name == NAMES => {}
                None => continue,
            }
            let kept = format!("{name}_version");
            let reason = format!("without the versions of identifiers, which are in var/{kept}");
            let object = match name.as_str() {
                NAMES => "var".to_string(),
                name => format!("var/{name}"),
            };
            view.description.converted.push(Note::new(object, reason));
            if view
                .description
                .var
                .iter()
                .all(|column| column.name != kept)
            {
                view.add(&kept);
                view.kept.push(name.clone());
            }
        }
        Ok(view)
    }

    fn add(&mut self, column: &str) {
        self.description.var.push(Column {
            name: column.to_string(),
            kind: ColumnKind::Text,
        });
    }

    /// Looks up identifiers by name.
    fn find(&mut self, map: &NameMap, memory: u64) -> Result<(), SourceError> {
        let names = map.names(memory)?;
        let (mut ids, mut missing, mut several) = (Vec::new(), Vec::new(), Vec::new());
        // A name that the reader made unique is not in any map, so use the original one.
        let given: HashMap<u64, String> = self
            .source
            .repeated_names()?
            .into_iter()
            .map(|repeated| (repeated.gene, repeated.name))
            .collect();
        let mut blocks = RowBlocks::new(0..self.description.n_vars, 1);
        while let Some(rows) = blocks.next() {
            let block = self.source.var_names(rows.clone())?;
            blocks.held(block.values().len() as u64);
            for (gene, name) in rows.zip(block.iter()) {
                let name = name.unwrap_or_default();
                let meaning = if given.contains_key(&gene) {
                    None
                } else {
                    names.get(name)
                };
                match meaning {
                    Some(Meaning::One(id)) => ids.push(Some(id)),
                    None => {
                        missing.push(name.to_string());
                        ids.push(None);
                    }
                    Some(Meaning::Several(one, other)) => {
                        several.push(format!("{name} ({one} and {other})"));
                        let name = name.to_string();
                        self.unclear.push(RepeatedName { gene, name });
                        ids.push(None);
                    }
                }
            }
        }
        let file = map.file().display();
        if !ids.is_empty() && ids.iter().all(Option::is_none) {
            let example = missing.first().map_or("", String::as_str);
            return Err(ErrorContext::new(&self.description.path, "var").refuses(
                Setting::any("gene-map"),
                format!("it has an identifier for none of the genes of the input, such as {example:?}"),
                format!("see whether the first column of {file} holds names of genes and the second identifiers"),
            ));
        }
        for (which, what) in [
            (missing, "have no identifier in"),
            (several, "have several identifiers in"),
        ] {
            if let Some(example) = which.first() {
                self.description.warnings.push(format!(
                    "{}: {} of {} genes {what} {file}, such as {example}: they are known by name",
                    Setting::any("gene-map"),
                    which.len(),
                    ids.len()
                ));
            }
        }
        let reason = format!("identifiers by the names of genes, from {file}");
        self.description
            .converted
            .push(Note::new(format!("var/{IDS}"), reason));
        self.found = Some(StringArray::from(ids));
        Ok(())
    }

    fn strips(&self, name: &str) -> bool {
        self.stripped.iter().any(|stripped| stripped == name)
    }

    fn damaged(&self, error: impl ToString) -> SourceError {
        ErrorContext::new(&self.description.path, "var").damaged(error.to_string())
    }
}

fn stripped(texts: &StringArray) -> StringArray {
    texts.iter().map(|text| text.map(without_version)).collect()
}

impl View for Identified {
    fn inner(&self) -> &dyn CellSource {
        &*self.source
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn cell_ids(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        self.source.obs_names(cells)
    }

    fn gene_ids(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        let names = self.source.var_names(genes)?;
        Ok(if self.strips(NAMES) {
            stripped(&names)
        } else {
            names
        })
    }

    fn repeated_names(&self) -> Result<Vec<RepeatedName>, SourceError> {
        let mut repeated = self.source.repeated_names()?;
        repeated.extend(self.unclear.iter().cloned());
        Ok(repeated)
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        let frame = self.source.var(genes.clone())?;
        let rows = frame.num_rows();
        let mut named: Vec<(String, ArrayRef)> = Vec::new();
        for (field, column) in frame.schema().fields().iter().zip(frame.columns()) {
            named.push((field.name().clone(), column.clone()));
        }
        if let Some(found) = &self.found {
            let (start, count) = (genes.start as usize, (genes.end - genes.start) as usize);
            named.push((IDS.to_string(), Arc::new(found.slice(start, count))));
        }
        let mut kept = Vec::new();
        for name in &self.stripped {
            let own = named.iter_mut().find(|(column, _)| column == name);
            let original: ArrayRef = match own {
                Some((_, column)) => {
                    let texts = cast(column, &DataType::Utf8).map_err(|e| self.damaged(e))?;
                    *column = Arc::new(stripped(texts.as_string::<i32>()));
                    texts
                }
                None if name == NAMES => Arc::new(self.source.var_names(genes.clone())?),
                None => continue,
            };
            if self.kept.contains(name) {
                kept.push((format!("{name}_version"), original));
            }
        }
        named.extend(kept);
        let fields: Vec<Field> = named
            .iter()
            .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
            .collect();
        let columns = named.into_iter().map(|(_, column)| column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| self.damaged(error))
    }
}
