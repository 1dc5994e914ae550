//! Several inputs on the command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::arguments::{JoinArgument, JoinArguments};
use crate::error::Error;
use crate::plan::{Duplicates, GeneKey, Join, PlanOptions};
use crate::source::OpenOptions;

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
        return Ok(vec![path.to_path_buf()]);
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
    Ok(found)
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
