//! Joins the parts of several inputs: columns, layers, embeddings and pairwise matrices.

use std::path::Path;

use super::PlanError;
use super::kinds::united;
use crate::source::{Column, ColumnKind, Embedding, Layout, MatrixDescription, ScalarType};
use crate::survey::{FloatType, MatrixSurvey};

/// A part of an input whose members are joined by name.
pub(super) struct Part<'a, T> {
    /// Path of the input.
    pub path: &'a Path,
    /// Members of the part, by name.
    pub members: Vec<(&'a str, T)>,
}

/// Which names are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartSelection {
    /// All inputs must have the same names.
    Same,
    /// Names that any input has.
    All,
    /// Names that all inputs have.
    Common,
    /// Names of the first input, which others may lack. Used if the first is a dataset, from which
    /// nothing is removed.
    OfFirst,
}

/// What is joined, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule<'a> {
    /// Which names are taken.
    pub take: PartSelection,
    /// Names that inputs need not have, as PART/NAME: other programs added them to the dataset.
    pub optional: &'a [String],
    /// Name of the part in messages.
    pub part: &'static str,
    /// Option that selects another join.
    pub flag: &'static str,
    /// What that option takes with `inner`, for messages.
    pub inner: &'static str,
    /// Names that are taken if any input has them.
    pub always: &'static [&'static str],
}

impl Rule<'_> {
    /// Returns, for each name of the joined part, its member in each input.
    pub fn apply<'a, T: Copy>(
        &self,
        inputs: &[Part<'a, T>],
    ) -> Result<Vec<(&'a str, Vec<Option<T>>)>, PlanError> {
        let mut names: Vec<&str> = inputs[0].members.iter().map(|(name, _)| *name).collect();
        for input in &inputs[1..] {
            let has = |name: &str| input.members.iter().any(|(other, _)| *other == name);
            let always = |name: &&str| self.always.contains(name);
            let optional = |name: &&str| {
                let name = format!("{}/{name}", self.part);
                self.take == PartSelection::Same && self.optional.contains(&name)
            };
            let own = input.members.iter().map(|(name, _)| *name);
            let own: Vec<&str> = own.filter(|name| !names.contains(name)).collect();
            let (taken, extra): (Vec<&str>, Vec<&str>) = own.into_iter().partition(always);
            let missing = names.iter().copied().filter(|name| !has(name));
            let missing = missing.filter(|name| !always(name) && !optional(name));
            let missing: Vec<&str> = missing.collect();
            names.extend(taken);
            match self.take {
                PartSelection::Same if missing.is_empty() && extra.is_empty() => {}
                PartSelection::Same => {
                    return Err(PlanError::PartsDiffer {
                        path: input.path.to_path_buf(),
                        first: inputs[0].path.to_path_buf(),
                        part: self.part,
                        difference: difference(&missing, &extra),
                        flag: self.flag,
                        inner: self.inner,
                    });
                }
                PartSelection::All => names.extend(extra),
                PartSelection::Common => names.retain(|name| has(name) || always(name)),
                PartSelection::OfFirst => {}
            }
        }
        let member = |input: &Part<'a, T>, name: &str| {
            let mut members = input.members.iter();
            members.find(|(other, _)| *other == name).map(|(_, t)| *t)
        };
        let joined = names.into_iter().map(|name| {
            let members = inputs.iter().map(|input| member(input, name));
            (name, members.collect())
        });
        Ok(joined.collect())
    }

    /// Returns the error about a member whose types are incompatible.
    pub fn clash(
        &self,
        inputs: (&Path, &Path),
        name: &str,
        found: String,
        expected: String,
    ) -> PlanError {
        PlanError::TypeClash {
            path: inputs.1.to_path_buf(),
            first: inputs.0.to_path_buf(),
            part: self.part,
            name: name.to_string(),
            found,
            expected,
        }
    }
}

fn difference(missing: &[&str], extra: &[&str]) -> String {
    let list = |names: &[&str]| {
        let mut names: Vec<&str> = names.to_vec();
        let more = names.len().saturating_sub(5);
        names.truncate(5);
        match more {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    };
    match (missing, extra) {
        ([], extra) => format!("it also has {}", list(extra)),
        (missing, []) => format!("it lacks {}", list(missing)),
        (missing, extra) => format!("it lacks {} and also has {}", list(missing), list(extra)),
    }
}

/// Joins the obs or var columns of all inputs, each with a type that holds all of its values.
pub(super) fn columns(
    rule: Rule<'_>,
    inputs: &[(&Path, &[Column])],
) -> Result<Vec<Column>, PlanError> {
    let parts: Vec<Part<'_, &ColumnKind>> = inputs
        .iter()
        .map(|(path, columns)| Part {
            path,
            members: columns.iter().map(|c| (c.name.as_str(), &c.kind)).collect(),
        })
        .collect();
    let mut joined = Vec::new();
    for (name, kinds) in rule.apply(&parts)? {
        joined.extend(united_column(rule, name, &kinds, &parts)?);
    }
    Ok(joined)
}

/// Returns the column with a type that holds the values of all inputs that have it.
pub(super) fn united_column(
    rule: Rule<'_>,
    name: &str,
    kinds: &[Option<&ColumnKind>],
    parts: &[Part<'_, &ColumnKind>],
) -> Result<Option<Column>, PlanError> {
    let mut kind: Option<ColumnKind> = None;
    for (found, part) in kinds.iter().zip(parts) {
        let Some(found) = found else { continue };
        kind = Some(match kind {
            None => (*found).clone(),
            Some(known) => united(&known, found).ok_or_else(|| {
                let paths = (parts[0].path, part.path);
                rule.clash(paths, name, described(found), described(&known))
            })?,
        });
    }
    Ok(kind.map(|kind| Column {
        name: name.to_string(),
        // If an input lacks the column, its rows are null.
        kind: match kind {
            ColumnKind::Number(number_type) if kinds.contains(&None) => {
                ColumnKind::Nullable(number_type)
            }
            kind => kind,
        },
    }))
}

/// Describes a kind of column in words.
pub(super) fn described(kind: &ColumnKind) -> String {
    match kind {
        ColumnKind::Text => "text".into(),
        ColumnKind::Number(number_type) => number_type.to_string(),
        ColumnKind::Nullable(number_type) => format!("{number_type} with missing values"),
        ColumnKind::Categorical { .. } => "categories".into(),
        ColumnKind::Time => "a time".into(),
    }
}

/// Joins the embeddings of all inputs, each with the type that holds all of its numbers.
pub(super) fn embeddings(
    rule: Rule<'_>,
    inputs: &[(&Path, &[Embedding], &[FloatType])],
) -> Result<(Vec<Embedding>, Vec<FloatType>), PlanError> {
    let parts: Vec<Part<'_, (&Embedding, FloatType)>> = inputs
        .iter()
        .map(|(path, embeddings, types)| Part {
            path,
            members: embeddings
                .iter()
                .zip(*types)
                .map(|(embedding, &float)| (embedding.name.as_str(), (embedding, float)))
                .collect(),
        })
        .collect();
    let (mut joined, mut types) = (Vec::new(), Vec::new());
    for (name, members) in rule.apply(&parts)? {
        let mut found = members.iter().zip(&parts);
        let first = found.find_map(|(member, part)| member.map(|member| (member, part)));
        let Some(((embedding, mut float_type), first)) = first else {
            continue;
        };
        for (member, part) in found {
            let Some((other, float)) = member else {
                continue;
            };
            if other.width != embedding.width {
                let lists = |width: u64| format!("a list of {width} numbers");
                let paths = (first.path, part.path);
                let (found, expected) = (lists(other.width), lists(embedding.width));
                return Err(rule.clash(paths, name, found, expected));
            }
            float_type = float_type.max(*float);
        }
        joined.push(embedding.clone());
        types.push(float_type);
    }
    Ok((joined, types))
}

/// Matrices of the same name in all inputs, and what their values require.
pub(super) struct JoinedMatrix {
    /// Name of the matrices.
    pub name: String,
    /// What the values of all of them require.
    pub survey: MatrixSurvey,
    /// The matrix of each input; one without entries if the input lacks it.
    pub matrices: Vec<MatrixDescription>,
}

/// Joins layers or pairwise matrices of all inputs.
pub(super) fn matrices(
    rule: Rule<'_>,
    inputs: &[(&Path, &[MatrixDescription], &[MatrixSurvey])],
) -> Result<Vec<JoinedMatrix>, PlanError> {
    let parts: Vec<Part<'_, (&MatrixDescription, &MatrixSurvey)>> = inputs
        .iter()
        .map(|(path, matrices, surveys)| Part {
            path,
            members: matrices
                .iter()
                .zip(*surveys)
                .map(|(matrix, survey)| (matrix.name.key(), (matrix, survey)))
                .collect(),
        })
        .collect();
    let joined = rule.apply(&parts)?.into_iter().map(|(name, members)| {
        let surveys: Vec<&MatrixSurvey> = members.iter().flatten().map(|(_, s)| *s).collect();
        let some = members.iter().flatten().next().map(|(matrix, _)| *matrix);
        let matrices = members.iter().map(|member| match (member, some) {
            (Some((matrix, _)), _) => (*matrix).clone(),
            (None, Some(like)) => absent(like),
            (None, None) => unreachable!("a name comes from some input"),
        });
        JoinedMatrix {
            name: name.to_string(),
            survey: together(&surveys),
            matrices: matrices.collect(),
        }
    });
    Ok(joined.collect())
}

/// Describes a matrix without entries, for an input that lacks it.
fn absent(like: &MatrixDescription) -> MatrixDescription {
    MatrixDescription {
        name: like.name.clone(),
        object: like.object.clone(),
        layout: Layout::Absent,
        number_type: ScalarType::Float32,
        entries: Some(0),
    }
}

/// Returns what the values of several matrices require together.
pub(super) fn together(surveys: &[&MatrixSurvey]) -> MatrixSurvey {
    let mut all = MatrixSurvey::of_nothing();
    for survey in surveys {
        all.exact = all.exact & survey.exact;
        all.misfits.extend(survey.misfits.clone());
        all.expected_entries = all.expected_entries.saturating_add(survey.expected_entries);
        all.scale = all.scale.with(survey.scale);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(
        take: PartSelection,
        inputs: &[&[(&str, ColumnKind)]],
    ) -> Result<Vec<(String, ColumnKind)>, String> {
        let rule = Rule {
            take,
            optional: &[],
            part: "obs",
            flag: "obs-join",
            inner: "what all have",
            always: &["always"],
        };
        let inputs: Vec<Vec<Column>> = inputs
            .iter()
            .map(|columns| {
                let columns = columns.iter();
                let column = |(name, kind): &(&str, ColumnKind)| Column {
                    name: name.to_string(),
                    kind: kind.clone(),
                };
                columns.map(column).collect()
            })
            .collect();
        let inputs: Vec<(&Path, &[Column])> = inputs
            .iter()
            .map(|columns| (Path::new("x"), &columns[..]))
            .collect();
        let columns = columns(rule, &inputs).map_err(|error| error.to_string())?;
        Ok(columns.into_iter().map(|c| (c.name, c.kind)).collect())
    }

    #[test]
    fn columns_are_joined_by_name() {
        use ColumnKind::*;
        let one = [("a", Text), ("n", Number(ScalarType::Int8))];
        let other = [("n", Number(ScalarType::Int32)), ("b", Text)];
        let message = join(PartSelection::Same, &[&one, &other]).unwrap_err();
        assert!(message.contains("it lacks a and also has b"), "{message}");
        assert!(message.contains("obs-join=outer"), "{message}");
        let n = ("n".to_string(), Number(ScalarType::Int32));
        assert_eq!(
            join(PartSelection::Common, &[&one, &other]).unwrap(),
            std::slice::from_ref(&n)
        );
        let all = [("a".to_string(), Text), n, ("b".to_string(), Text)];
        assert_eq!(join(PartSelection::All, &[&one, &other]).unwrap(), all);
        let lacking = join(PartSelection::All, &[&one, &[]]).unwrap();
        assert_eq!(lacking[1].1, Nullable(ScalarType::Int8));
        let always = [("a", Text), ("always", Text)];
        for take in [
            PartSelection::Same,
            PartSelection::Common,
            PartSelection::All,
        ] {
            let joined = join(take, &[&[("a", Text)], &always]).unwrap();
            assert_eq!(joined[1].0, "always");
            assert_eq!(join(take, &[&always, &[("a", Text)]]).unwrap(), joined);
        }
        let clash = [("a", Number(ScalarType::Int8)), ("n", Text)];
        let message = join(PartSelection::All, &[&one, &clash]).unwrap_err();
        assert!(
            message.contains("obs/a is int8") && message.contains("leave out obs/a"),
            "{message}"
        );
    }
}
