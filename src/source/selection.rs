//! Selects the parts of an input that are converted.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::remedy::Setting;
use serde::{Deserialize, Serialize};

/// A part of an input whose members can be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Columns of obs.
    Obs,
    /// Columns of var.
    Var,
    /// Layers.
    Layers,
    /// Embeddings of cells.
    Obsm,
    /// Embeddings of genes.
    Varm,
    /// Matrices of cells × cells.
    Obsp,
    /// Matrices of genes × genes.
    Varp,
    /// Unstructured data.
    Uns,
}

impl Part {
    /// All parts.
    pub const ALL: [Part; 8] = [
        Part::Obs,
        Part::Var,
        Part::Layers,
        Part::Obsm,
        Part::Varm,
        Part::Obsp,
        Part::Varp,
        Part::Uns,
    ];

    /// Name of the part, as users know it.
    pub fn name(self) -> &'static str {
        match self {
            Part::Obs => "obs",
            Part::Var => "var",
            Part::Layers => "layers",
            Part::Obsm => "obsm",
            Part::Varm => "varm",
            Part::Obsp => "obsp",
            Part::Varp => "varp",
            Part::Uns => "uns",
        }
    }
}

/// `PART:NAME`, where `*` in the name matches any text; `PART` alone selects the whole part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    part: Part,
    name: String,
}

/// A pattern that does not begin with the name of a part.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} chooses nothing: PART or PART:NAME is expected, with PART one of {parts}")]
#[non_exhaustive]
pub struct PatternError {
    text: String,
    parts: String,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (part, name) = text.split_once(':').unwrap_or((text, "*"));
        match Part::ALL.into_iter().find(|known| known.name() == part) {
            Some(part) if !name.is_empty() => Ok(Pattern {
                part,
                name: name.to_string(),
            }),
            _ => Err(PatternError {
                text: text.to_string(),
                parts: Part::ALL.map(Part::name).join(", "),
            }),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.to_string()
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.part.name(), self.name)
    }
}

impl Pattern {
    fn matches(&self, part: Part, name: &str) -> bool {
        self.part == part && wildcard(self.name.as_bytes(), name.as_bytes())
    }
}

/// Whether a text matches a pattern in which `*` stands for any text.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to resume if the text after the last star does not match.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// Which members to convert: if `only` names a part, only the members it names; in any case without
/// those that `skip` names. Parts that neither names are converted completely.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Members to leave out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<Pattern>,
    /// For the parts named here, the only members to convert.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Pattern>,
    /// Members that were looked up, in all inputs that this selection was passed to.
    #[serde(skip)]
    pub seen: Seen,
}

/// Members of inputs. They do not affect whether selections are equal.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<BTreeSet<(Part, String)>>>);

impl PartialEq for Seen {
    fn eq(&self, _: &Seen) -> bool {
        true
    }
}

impl Eq for Seen {}

/// A pattern that matched nothing, and what it could have matched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmatched {
    /// The option, `skip` or `only`, with the pattern.
    pub pattern: Setting,
    /// The part it names.
    pub part: Part,
    /// Members the inputs have in this part.
    pub members: Vec<String>,
}

impl Selection {
    /// Returns the pattern that leaves out a whole part, if there is one.
    pub(crate) fn skips_all(&self, part: Part) -> Option<String> {
        let all = |pattern: &&Pattern| pattern.part == part && pattern.name == "*";
        let pattern = self.skip.iter().find(all)?;
        Some(format!("--skip {}", pattern.part.name()))
    }

    /// Returns why a member of a part is not converted, or `None` if it is.
    ///
    /// ```
    /// use slaf::source::{Part, Selection};
    ///
    /// let selection = Selection {
    ///     skip: vec!["obsm:X_*".parse()?],
    ///     only: vec!["layers:counts".parse()?],
    ///     ..Selection::default()
    /// };
    /// assert!(selection.excludes(Part::Obsm, "X_pca").is_some());
    /// assert!(selection.excludes(Part::Layers, "counts").is_none());
    /// assert!(selection.excludes(Part::Layers, "scaled").is_some());
    /// assert!(selection.excludes(Part::Obs, "age").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn excludes(&self, part: Part, name: &str) -> Option<String> {
        if !self.skip.is_empty() || !self.only.is_empty() {
            let mut seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert((part, name.to_string()));
        }
        if let Some(pattern) = self.skip.iter().find(|p| p.matches(part, name)) {
            return Some(format!("--skip {pattern}"));
        }
        let mut restricting = self.only.iter().filter(|p| p.part == part).peekable();
        let restricted = restricting.peek().is_some();
        if restricted && !restricting.any(|p| p.matches(part, name)) {
            return Some(format!("not among --only {}:…", part.name()));
        }
        None
    }

    /// Returns the patterns that matched nothing in the inputs that were read.
    pub fn unmatched(&self) -> Vec<Unmatched> {
        let seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let options = [("skip", &self.skip), ("only", &self.only)];
        let patterns = options
            .into_iter()
            .flat_map(|(option, patterns)| patterns.iter().map(move |pattern| (option, pattern)));
        let unmatched = patterns
            .filter(|(_, pattern)| !seen.iter().any(|(part, name)| pattern.matches(*part, name)));
        unmatched
            .map(|(option, pattern)| Unmatched {
                pattern: Setting::of(option, pattern),
                part: pattern.part,
                members: seen
                    .iter()
                    .filter(|(part, _)| *part == pattern.part)
                    .map(|(_, name)| name.clone())
                    .collect(),
            })
            .collect()
    }
}

impl std::fmt::Display for Unmatched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 10;
        let Unmatched {
            pattern,
            part,
            members,
        } = self;
        let part = part.name();
        if members.is_empty() {
            return write!(f, "{pattern} chooses nothing: there is no {part}");
        }
        let shown = members.iter().take(SHOWN).map(String::as_str);
        let shown = shown.collect::<Vec<_>>().join(", ");
        write!(f, "{pattern} chooses nothing: {part} has {shown}")?;
        match members.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        let fits = |pattern: &str, text: &str| wildcard(pattern.as_bytes(), text.as_bytes());
        assert!(fits("*", "") && fits("*", "abc") && fits("a*c", "abbc") && fits("*b*", "abc"));
        assert!(fits("a*b*c", "aXbYbZc") && fits("abc", "abc") && fits("a*", "a"));
        assert!(!fits("a*c", "ab") && !fits("", "a") && !fits("ab", "abc") && !fits("b*", "abc"));
    }

    #[test]
    fn a_part_must_be_named() {
        assert!("obsm".parse::<Pattern>().unwrap().matches(Part::Obsm, "x"));
        for wrong in ["", "obsn:x", "obsm:", ":x"] {
            let message = wrong.parse::<Pattern>().unwrap_err().to_string();
            assert!(message.contains("layers, obsm"), "{message}");
        }
    }

    #[test]
    fn patterns_that_choose_nothing_are_known() {
        let selection = Selection {
            skip: vec!["obs:age".parse().unwrap(), "obs:ag".parse().unwrap()],
            only: vec!["layers:counts".parse().unwrap()],
            ..Selection::default()
        };
        // Each input gets a clone.
        let input = selection.clone();
        assert!(input.excludes(Part::Obs, "age").is_some());
        assert!(input.excludes(Part::Obs, "sex").is_none());
        let unmatched = selection.unmatched();
        let messages: Vec<String> = unmatched.iter().map(Unmatched::to_string).collect();
        assert_eq!(
            messages,
            [
                "the option skip=obs:ag chooses nothing: obs has age, sex",
                "the option only=layers:counts chooses nothing: there is no layers"
            ]
        );
    }
}
