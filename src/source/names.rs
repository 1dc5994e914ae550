//! Names of inputs, and prefixes for their cells' identifiers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// An input and its name.
#[derive(Debug)]
pub(crate) struct NamedInput {
    /// Path of the input.
    pub path: PathBuf,
    /// Name of the input, if it differs from its file name.
    pub name: Option<String>,
    /// Whether the user chose the name.
    pub by_user: bool,
}

impl NamedInput {
    /// Creates an input that is named after its file.
    pub fn found(path: PathBuf) -> Self {
        NamedInput {
            path,
            name: None,
            by_user: false,
        }
    }

    fn label(&self) -> String {
        let file = || self.path.file_name().unwrap_or_default().to_string_lossy();
        let name = self.name.clone();
        name.unwrap_or_else(|| file().into_owned())
    }
}

/// Gives inputs with the same file name distinct names: as many trailing parts of their paths as
/// needed.
pub(crate) fn tell_apart(named: &mut [NamedInput]) {
    let ending = |path: &Path, parts: usize| -> PathBuf {
        let all: Vec<_> = path.components().collect();
        all[all.len().saturating_sub(parts)..].iter().collect()
    };
    let mut alike: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
    for (number, input) in named.iter().enumerate() {
        if input.name.is_none() {
            alike
                .entry(ending(&input.path, 1))
                .or_default()
                .push(number);
        }
    }
    for mut same in alike.into_values() {
        let paths = |of: &[usize], named: &[NamedInput]| -> BTreeSet<PathBuf> {
            of.iter().map(|&one| named[one].path.clone()).collect()
        };
        // If the same file is given twice, no name can tell the two apart.
        if paths(&same, named).len() < 2 {
            continue;
        }
        for parts in 2.. {
            let mut ends: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
            for path in paths(&same, named) {
                ends.entry(ending(&path, parts)).or_default().insert(path);
            }
            same.retain(|&one| {
                let path = &named[one].path;
                let end = ending(path, parts);
                let tells = ends.get(&end).is_none_or(|paths| paths.len() < 2);
                if tells || parts >= path.components().count() {
                    named[one].name = Some(end.display().to_string());
                    return false;
                }
                true
            });
            if same.is_empty() {
                break;
            }
        }
    }
}

/// Returns the prefix for the cell identifiers of each input. In the template, `{source}` stands
/// for the name of the input without its file extension.
pub(crate) fn prefixes(named: &[NamedInput], template: &str) -> Vec<String> {
    let short = |input: &NamedInput| {
        if input.by_user {
            input.label()
        } else {
            without_ending(&input.label()).to_string()
        }
    };
    let mut sharing: BTreeMap<String, BTreeSet<&Path>> = BTreeMap::new();
    for input in named {
        sharing.entry(short(input)).or_default().insert(&input.path);
    }
    let prefix = |input: &NamedInput| {
        let name = match short(input) {
            // Files that differ only in their extension keep it.
            name if sharing[&name].len() > 1 => input.label(),
            name => name,
        };
        template.replace("{source}", &name)
    };
    named.iter().map(prefix).collect()
}

/// Strips file extensions from a name.
fn without_ending(name: &str) -> &str {
    const ENDINGS: [&str; 9] = [
        ".h5ad", ".h5", ".hdf5", ".mtx", ".tar", ".tgz", ".loom", ".slaf", ".soma",
    ];
    let unpacked = name.strip_suffix(".gz").unwrap_or(name);
    let short = ENDINGS.iter().find_map(|end| unpacked.strip_suffix(end));
    match short {
        Some(short) if !short.is_empty() && !short.ends_with('/') => short,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(paths: &[&str]) -> Vec<NamedInput> {
        paths
            .iter()
            .map(|path| NamedInput::found(path.into()))
            .collect()
    }

    fn names(paths: &[&str]) -> Vec<Option<String>> {
        let mut named = named(paths);
        tell_apart(&mut named);
        named.into_iter().map(|input| input.name).collect()
    }

    #[test]
    fn names_tell_inputs_apart() {
        assert_eq!(names(&["a/x.h5ad", "b/y.h5ad"]), [None, None]);
        let found = names(&["s/a/outs/m", "s/b/outs/m", "other"]);
        assert_eq!(found[0].as_deref(), Some("a/outs/m"));
        assert_eq!(found[1].as_deref(), Some("b/outs/m"));
        assert_eq!(found[2], None);
        assert_eq!(names(&["x", "x"]), [None, None]);
        let found = names(&["m", "a/m"]);
        assert_eq!(found[0].as_deref(), Some("m"));
        assert_eq!(found[1].as_deref(), Some("a/m"));
    }

    #[test]
    fn prefixes_have_no_endings() {
        let mut inputs = named(&[
            "GSM1_matrix.mtx.gz",
            "d/b.h5ad",
            "c.tar.gz",
            "d.tgz",
            "filtered_feature_bc_matrix",
            "e.v2.h5",
            "f.h5",
            "f.h5ad",
            ".h5",
            "notes.gz",
        ]);
        inputs.push(NamedInput {
            path: "x".into(),
            name: Some("mine.h5".into()),
            by_user: true,
        });
        let wanted = [
            "GSM1_matrix_",
            "b_",
            "c_",
            "d_",
            "filtered_feature_bc_matrix_",
            "e.v2_",
            "f.h5_",
            "f.h5ad_",
            ".h5_",
            "notes.gz_",
            "mine.h5_",
        ];
        assert_eq!(prefixes(&inputs, "{source}_"), wanted);
    }
}
