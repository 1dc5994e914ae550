//! Several inputs on the command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::arguments::{
    DuplicateCountsArgument, GeneIdVersionArgument, JoinArgument, JoinArguments,
};
use super::found::Found;
use super::reading::Reading;
use crate::error::Error;
use crate::plan::{Duplicates, GeneKey, Join, MixedScales, PlanOptions, SameCounts, VersionWish};
use crate::source::{
    Discovered, NameMap, NamedInput, OpenOptions, PassedOver, discover, prefixes, tell_apart,
};
use crate::store::read_text;

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
    /// What is said of the versions of identifiers.
    pub fn version_wish(&self) -> VersionWish {
        match self.gene_id_version {
            GeneIdVersionArgument::Auto => VersionWish::Auto,
            GeneIdVersionArgument::Strip => VersionWish::Strip,
            GeneIdVersionArgument::Keep => VersionWish::Keep,
        }
    }

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
            mixed_scales: if self.allow_mixed_scales {
                MixedScales::Allow
            } else {
                MixedScales::Refuse
            },
            same_counts: match self.duplicate_counts {
                DuplicateCountsArgument::Warn => SameCounts::Warn,
                DuplicateCountsArgument::Refuse => SameCounts::Refuse,
                DuplicateCountsArgument::Drop => SameCounts::Drop,
            },
            ..options
        }
    }

    /// All inputs: those that were given, then those of a list, each with its options.
    pub fn inputs(
        &self,
        paths: Vec<PathBuf>,
        list: Option<&Path>,
        open: &OpenOptions,
        output: Option<&Path>,
    ) -> Result<Reading, Error> {
        let mut found = Found::default();
        let mut named: Vec<NamedInput> = Vec::new();
        for path in paths {
            named.extend(expanded(&path, open, output, &mut found)?);
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
            for (input, given) in named.iter_mut().zip(&self.source_name) {
                (input.name, input.by_user) = (Some(given.clone()), true);
            }
        }
        tell_apart(&mut named);
        let prefixes = match &self.cell_id_prefix {
            Some(template) => prefixes(&named, template).into_iter().map(Some).collect(),
            None => vec![None; named.len()],
        };
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
        let gene_map = self.gene_map.as_deref();
        let gene_map = gene_map.map(|file| NameMap::read(file, open.memory / 4));
        let gene_map = gene_map.transpose()?;
        let inputs = named.into_iter().zip(prefixes);
        let inputs = inputs.map(|(input, cell_id_prefix)| {
            let open = OpenOptions {
                source_name: input.name,
                cell_id_prefix,
                add_columns: add_columns.clone(),
                gene_map: gene_map.clone(),
                ..open.clone()
            };
            (input.path, open)
        });
        Ok(Reading {
            inputs: inputs.collect(),
            found,
        })
    }
}

/// The inputs that a path or a pattern stands for, sorted; a path that exists stands for itself.
fn expanded(
    path: &Path,
    open: &OpenOptions,
    output: Option<&Path>,
    found: &mut Found,
) -> Result<Vec<NamedInput>, Error> {
    let text = path.to_string_lossy();
    let mut paths = vec![path.to_path_buf()];
    if !path.exists() && text.contains(['*', '?', '[']) {
        let wrong = |problem: String| Error::Usage(format!("{text}: {problem}"));
        let matching = glob::glob(&text).map_err(|error| wrong(error.to_string()))?;
        paths = matching
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(error.to_string()))?;
        paths.sort();
        if paths.is_empty() {
            return Err(wrong("nothing has such a name".into()));
        }
    }
    let mut named = Vec::new();
    for path in paths {
        let mut discovered = discover(&path, open)?;
        leave_out(output, &path, &mut discovered)?;
        named.extend(discovered.inputs.iter().cloned().map(NamedInput::found));
        found.add(&path, discovered);
    }
    Ok(named)
}

/// Passes over the dataset that is written where it was found rather than named.
fn leave_out(
    output: Option<&Path>,
    searched: &Path,
    discovered: &mut Discovered,
) -> Result<(), Error> {
    let Some(output) = output.and_then(|output| output.canonicalize().ok()) else {
        return Ok(());
    };
    if discovered.inputs == [searched] {
        return Ok(());
    }
    let is_output = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path == output);
    let found = discovered.inputs.iter().position(is_output);
    if let Some(found) = found {
        let path = discovered.inputs.remove(found);
        let reason = "it is what is written".to_string();
        discovered.passed_over.push(PassedOver { path, reason });
        discovered.passed_over.sort_by(|a, b| a.path.cmp(&b.path));
    }
    if discovered.inputs.is_empty() {
        return Err(Error::Usage(format!(
            "{} holds no input but the output, {}",
            searched.display(),
            output.display()
        )));
    }
    Ok(())
}

/// Bytes of a list of inputs, at most.
const LONGEST_LIST: u64 = 64 << 20;

/// The inputs that a file names, relative to where the program runs.
fn listed(list: &Path) -> Result<Vec<NamedInput>, Error> {
    let text = read_text(list, LONGEST_LIST).map_err(|error| {
        Error::Usage(format!("--inputs: cannot read {}: {error}", list.display()))
    })?;
    let lines = text.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines
        .map(|line| match line.split_once('\t') {
            Some((path, name)) => NamedInput {
                path: path.into(),
                name: Some(name.to_string()),
                by_user: true,
            },
            None => NamedInput::found(line.into()),
        })
        .collect())
}
