//! Makes the names of cells and genes unique the way anndata does.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use arrow::array::StringArray;

use super::View;
use crate::source::blocks::RowBlocks;
use crate::source::{CellSource, Description, Note, RepeatedName, SourceError};

/// An input in which every cell (and gene) has a unique name.
pub(in crate::source) struct UniqueNames {
    source: Box<dyn CellSource>,
    description: Description,
    cells: HashMap<u64, String>,
    genes: HashMap<u64, String>,
    repeated: Vec<RepeatedName>,
}

impl UniqueNames {
    /// Reads all names and assigns new ones to duplicates.
    pub fn over(source: Box<dyn CellSource>) -> Result<Self, SourceError> {
        let mut description = source.description().clone();
        let cells = renamed(description.n_obs, &|rows| source.obs_names(rows))?;
        let genes = renamed(description.n_vars, &|rows| source.var_names(rows))?;
        for (object, what, renamed) in [("obs", "cells", &cells), ("var", "genes", &genes)] {
            if let Some((row, name)) = renamed.iter().min_by_key(|(row, _)| **row) {
                description.converted.push(Note::new(
                    object,
                    format!(
                        "{} {what} got names of their own, such as {name:?} for row {row}",
                        renamed.len()
                    ),
                ));
            }
        }
        let mut repeated = source.repeated_names()?;
        repeated.extend(before(&*source, &genes)?);
        Ok(UniqueNames {
            source,
            description,
            cells,
            genes,
            repeated,
        })
    }
}

/// Returns the genes that share a name with one that was renamed.
fn before(
    source: &dyn CellSource,
    renamed: &HashMap<u64, String>,
) -> Result<Vec<RepeatedName>, SourceError> {
    let mut found = Vec::new();
    if renamed.is_empty() {
        return Ok(found);
    }
    let look = |visit: &mut dyn FnMut(u64, &str)| -> Result<(), SourceError> {
        let mut blocks = RowBlocks::new(0..source.description().n_vars, 1);
        while let Some(block) = blocks.next() {
            let names = source.var_names(block.clone())?;
            blocks.held(names.values().len() as u64);
            for (gene, name) in block.zip(names.iter()) {
                visit(gene, name.unwrap_or_default());
            }
        }
        Ok(())
    };
    let mut names = HashSet::new();
    look(&mut |gene, name| {
        if renamed.contains_key(&gene) {
            names.insert(name.to_string());
        }
    })?;
    look(&mut |gene, name| {
        if names.contains(name) {
            let name = name.to_string();
            found.push(RepeatedName { gene, name });
        }
    })?;
    Ok(found)
}

type Ids<'a> = dyn Fn(Range<u64>) -> Result<StringArray, SourceError> + 'a;

/// Returns new names for the rows whose name occurs in an earlier row. The memory used depends on
/// the number of names, which are hashed, and on the number of duplicates.
pub(in crate::source) fn renamed(
    rows: u64,
    ids: &Ids<'_>,
) -> Result<HashMap<u64, String>, SourceError> {
    let hash = |id: &str| {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish()
    };
    let mut hashes = Vec::new();
    let mut blocks = RowBlocks::new(0..rows, 1);
    while let Some((_, names)) = blocks.read(ids)? {
        blocks.held(names.values().len() as u64);
        hashes.extend(names.iter().map(|id| hash(id.unwrap_or_default())));
    }
    hashes.sort_unstable();
    let repeated: HashSet<u64> = hashes
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    let mut renamed = HashMap::new();
    if repeated.is_empty() {
        return Ok(renamed);
    }
    // The last number tried for each duplicate name.
    let mut tried: HashMap<String, u64> = HashMap::new();
    let mut given = HashSet::new();
    let mut blocks = RowBlocks::new(0..rows, 1);
    while let Some((block, names)) = blocks.read(ids)? {
        blocks.held(names.values().len() as u64);
        for (row, id) in block.zip(names.iter()) {
            let id = id.unwrap_or_default();
            if !repeated.contains(&hash(id)) {
                continue;
            }
            let Some(number) = tried.get_mut(id) else {
                tried.insert(id.to_string(), 0);
                continue;
            };
            let name = loop {
                *number += 1;
                let name = format!("{id}-{number}");
                // Avoid names that other rows might have according to their hashes.
                let new = hashes.binary_search(&hash(&name)).is_err();
                if new && given.insert(name.clone()) {
                    break name;
                }
            };
            renamed.insert(row, name);
        }
    }
    Ok(renamed)
}

/// Replaces the names of renamed rows in the identifiers of a range.
pub(in crate::source) fn with_names(
    ids: StringArray,
    rows: Range<u64>,
    renamed: &HashMap<u64, String>,
) -> StringArray {
    if renamed.is_empty() {
        return ids;
    }
    let names = rows.zip(ids.iter());
    StringArray::from_iter_values(names.map(|(row, id)| match renamed.get(&row) {
        Some(name) => name.as_str(),
        None => id.unwrap_or_default(),
    }))
}

impl View for UniqueNames {
    fn inner(&self) -> &dyn CellSource {
        &*self.source
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn cell_ids(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        let ids = self.source.obs_names(cells.clone())?;
        Ok(with_names(ids, cells, &self.cells))
    }

    fn gene_ids(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        let ids = self.source.var_names(genes.clone())?;
        Ok(with_names(ids, genes, &self.genes))
    }

    fn repeated_names(&self) -> Result<Vec<RepeatedName>, SourceError> {
        Ok(self.repeated.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_keeps_its_name_and_no_name_is_given_twice() {
        let names = ["a", "b", "a", "a-1", "a", "b"];
        let read = |rows: Range<u64>| {
            Ok(StringArray::from_iter_values(
                &names[rows.start as usize..rows.end as usize],
            ))
        };
        let renamed = renamed(6, &read).unwrap();
        let ids = with_names(read(0..6).unwrap(), 0..6, &renamed);
        let ids: Vec<&str> = ids.iter().flatten().collect();
        assert_eq!(ids, ["a", "b", "a-2", "a-1", "a-3", "b-1"]);
        assert_eq!(
            with_names(read(4..6).unwrap(), 4..6, &renamed).value(0),
            "a-3"
        );
    }
}
