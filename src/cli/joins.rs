//! Several inputs on the command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::arguments::{JoinArgument, JoinArguments};
use crate::error::Error;
use crate::plan::{Duplicates, GeneKey, Join, PlanOptions};
use crate::source::{OpenOptions, inputs_of};

impl From<JoinArgument> for Join {
    fn from(argument: JoinArgument) -> Self {
        match argument {
            JoinArgument::Exact => Join::Exact,
            JoinArgument::Outer => Join::Outer,
            JoinArgument::Inner => Join::Inner,
        }
    }
}

fn duplicates(allowed: bool) -> Duplicates {
    if allowed {
        Duplicates::Allow
    } else {
        Duplicates::Refuse
    }
}

impl JoinArguments {
    /// The options of a plan with what these say of joins.
    pub fn apply(&self, options: PlanOptions) -> PlanOptions {
        PlanOptions {
            join: self.join.into(),
            gene_key: self.gene_key.as_deref().map(|key| match key {
                "gene_id" => GeneKey::Id,
                column => GeneKey::Column(column.to_string()),
            }),
            obs_join: self.obs_join.into(),
            var_join: self.var_join.into(),
            duplicate_cells: duplicates(self.allow_duplicate_cells),
            duplicate_sources: duplicates(self.allow_duplicate_source),
            ..options
        }
    }

    /// All inputs: those that were given, then those of a list, each with its options.
    pub fn inputs(
        &self,
        paths: Vec<PathBuf>,
        list: Option<&Path>,
        open: &OpenOptions,
    ) -> Result<Vec<(PathBuf, OpenOptions)>, Error> {
        let mut named: Vec<(PathBuf, Option<String>)> = Vec::new();
        for path in paths {
            for found in expanded(&path)? {
                named.push((found, None));
            }
        }
        if let Some(list) = list {
            named.extend(listed(list)?);
        }
        if !self.source_name.is_empty() {
            if self.source_name.len() != named.len() {
                return Err(Error::Usage(format!(
                    "--source-name was given {} times for {} inputs",
                    self.source_name.len(),
                    named.len()
                )));
            }
            for ((_, name), given) in named.iter_mut().zip(&self.source_name) {
                *name = Some(given.clone());
            }
        }
        telling_names(&mut named);
        let mut add_columns = Vec::new();
        let mut keys = BTreeSet::new();
        for text in &self.add_column {
            let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                return Err(Error::Usage(format!(
                    "--add-column {text:?}: KEY=VALUE is expected"
                )));
            };
            if !keys.insert(key) {
                return Err(Error::Usage(format!("--add-column names {key:?} twice")));
            }
            add_columns.push((key.to_string(), value.to_string()));
        }
        let inputs = named.into_iter().map(|(path, source_name)| {
            let open = OpenOptions {
                source_name,
                cell_id_prefix: self.cell_id_prefix.clone(),
                add_columns: add_columns.clone(),
                ..open.clone()
            };
            (path, open)
        });
        Ok(inputs.collect())
    }
}

/// The paths that a pattern stands for, sorted; a path that exists stands for itself.
fn expanded(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let text = path.to_string_lossy();
    if path.exists() || !text.contains(['*', '?', '[']) {
        return Ok(inputs_of(path)?);
    }
    let wrong = |problem: String| Error::Usage(format!("{text}: {problem}"));
    let found = glob::glob(&text).map_err(|error| wrong(error.to_string()))?;
    let mut found: Vec<PathBuf> = found
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    found.sort();
    if found.is_empty() {
        return Err(wrong("nothing has such a name".into()));
    }
    let mut inputs = Vec::new();
    for path in found {
        inputs.extend(inputs_of(&path)?);
    }
    Ok(inputs)
}

/// Names for inputs whose file names do not tell them apart: as much of their paths as does.
fn telling_names(named: &mut [(PathBuf, Option<String>)]) {
    let ending = |path: &Path, parts: usize| -> PathBuf {
        let all: Vec<_> = path.components().collect();
        all[all.len().saturating_sub(parts)..].iter().collect()
    };
    let same: Vec<usize> = (0..named.len())
        .filter(|&one| {
            let name = named[one].0.file_name();
            let mut others = (0..named.len()).filter(|&other| other != one);
            named[one].1.is_none() && others.any(|other| named[other].0.file_name() == name)
        })
        .collect();
    for &one in &same {
        let path = named[one].0.clone();
        let mut others = same
            .iter()
            .filter(|&&other| named[other].0 != path)
            .peekable();
        // The same file twice has no name that tells.
        if others.peek().is_none() {
            continue;
        }
        let others: Vec<PathBuf> = others.map(|&other| named[other].0.clone()).collect();
        let most = path.components().count();
        let tells = |parts: &usize| {
            let name = ending(&path, *parts);
            others.iter().all(|other| ending(other, *parts) != name)
        };
        let parts = (2..=most).find(tells).unwrap_or(most);
        named[one].1 = Some(ending(&path, parts).display().to_string());
    }
}

/// The inputs that a file names, relative to where the program runs.
fn listed(list: &Path) -> Result<Vec<(PathBuf, Option<String>)>, Error> {
    let text = std::fs::read_to_string(list)
        .map_err(|error| Error::Usage(format!("cannot read {}: {error}", list.display())))?;
    let lines = text.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines
        .map(|line| match line.split_once('\t') {
            Some((path, name)) => (path.into(), Some(name.to_string())),
            None => (line.into(), None),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_inputs_apart() {
        let names = |paths: &[&str]| -> Vec<Option<String>> {
            let mut named: Vec<(PathBuf, Option<String>)> =
                paths.iter().map(|path| (path.into(), None)).collect();
            telling_names(&mut named);
            named.into_iter().map(|(_, name)| name).collect()
        };
        assert_eq!(names(&["a/x.h5ad", "b/y.h5ad"]), [None, None]);
        let found = names(&["s/a/outs/m", "s/b/outs/m", "other"]);
        assert_eq!(found[0].as_deref(), Some("a/outs/m"));
        assert_eq!(found[1].as_deref(), Some("b/outs/m"));
        assert_eq!(found[2], None);
        assert_eq!(names(&["x", "x"]), [None, None]);
    }
}
