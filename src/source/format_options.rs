//! Options that only some formats have: declared by the format, and from there on the command line, in
//! settings and in refusals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// An option of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name, in lower case with hyphens: `gene-id` is the flag `--gene-id`, the variable
    /// `SLAF_GENE_ID` and the setting `gene-id`. Formats that share an option share its declaration.
    pub name: &'static str,
    /// Under what key plans and datasets keep its value.
    pub key: &'static str,
    /// What values it has.
    pub kind: OptionKind,
    /// Where it can be given.
    pub scope: OptionScope,
    /// What has the option, for refusals: "an input that is no 10x matrix".
    pub of: &'static str,
    /// The heading under which the help lists it.
    pub heading: &'static str,
    /// What stands for its value in the help.
    pub value_name: &'static str,
    /// Its description in the help.
    pub help: &'static str,
    /// Why it can be given for one input only, and what to do otherwise, if so.
    pub one_input: Option<[&'static str; 2]>,
}

/// What values an option has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionKind {
    /// Any text.
    Text,
    /// Several texts; on the command line with commas between, or one at a time.
    Texts,
    /// One of these.
    Choice {
        /// The allowed texts.
        values: &'static [&'static str],
        /// The one that is meant where none is given.
        default: Option<&'static str>,
    },
    /// The path of a file, in UTF-8.
    File,
}

/// Where an option can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionScope {
    /// On the command line only: it belongs to one input or job.
    Command,
    /// On the command line, in a variable and in a file of settings.
    Settings,
}

impl OptionSpec {
    fn default(&self) -> Option<&'static str> {
        match self.kind {
            OptionKind::Choice { default, .. } => default,
            OptionKind::Text | OptionKind::Texts | OptionKind::File => None,
        }
    }
}

/// A value of an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OptionValue {
    /// One text, choice or path.
    One(String),
    /// Several texts.
    Several(Vec<String>),
}

impl From<&str> for OptionValue {
    fn from(text: &str) -> Self {
        OptionValue::One(text.to_string())
    }
}

impl From<String> for OptionValue {
    fn from(text: String) -> Self {
        OptionValue::One(text)
    }
}

impl From<Vec<String>> for OptionValue {
    fn from(texts: Vec<String>) -> Self {
        OptionValue::Several(texts)
    }
}

/// What was given for options of formats. A default that was given is as good as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormatOptions(BTreeMap<String, OptionValue>);

impl FormatOptions {
    /// Sets an option.
    ///
    /// # Errors
    /// What is wrong with the value, in words that follow the name of the option.
    pub fn set(&mut self, spec: &OptionSpec, value: impl Into<OptionValue>) -> Result<(), String> {
        let value = match (spec.kind, value.into()) {
            (OptionKind::Texts, OptionValue::One(text)) => OptionValue::Several(vec![text]),
            (OptionKind::Texts, several) => several,
            (_, OptionValue::Several(_)) => return Err("one value is expected".into()),
            (OptionKind::Choice { values, .. }, OptionValue::One(text)) => {
                if !values.contains(&text.as_str()) {
                    return Err(format!("{text:?} is none of {}", values.join(", ")));
                }
                OptionValue::One(text)
            }
            (OptionKind::Text | OptionKind::File, one) => one,
        };
        let nothing = match &value {
            OptionValue::One(text) => spec.default() == Some(text),
            OptionValue::Several(texts) => texts.is_empty(),
        };
        if nothing {
            self.0.remove(spec.key)
        } else {
            self.0.insert(spec.key.to_string(), value)
        };
        Ok(())
    }

    /// Whether an option was given.
    pub fn has(&self, spec: &OptionSpec) -> bool {
        self.0.contains_key(spec.key)
    }

    /// The text of an option, or its default.
    pub fn text(&self, spec: &OptionSpec) -> Option<&str> {
        match self.0.get(spec.key) {
            Some(OptionValue::One(text)) => Some(text),
            Some(OptionValue::Several(_)) | None => spec.default(),
        }
    }

    /// The texts of an option; none where it was not given.
    pub fn texts(&self, spec: &OptionSpec) -> &[String] {
        match self.0.get(spec.key) {
            Some(OptionValue::Several(texts)) => texts,
            Some(OptionValue::One(_)) | None => &[],
        }
    }

    /// The file of an option.
    pub fn file(&self, spec: &OptionSpec) -> Option<&Path> {
        self.text(spec).map(Path::new)
    }

    /// Likewise, for those who keep it.
    pub fn file_buf(&self, spec: &OptionSpec) -> Option<PathBuf> {
        self.file(spec).map(Path::to_path_buf)
    }

    /// The keys of what was given.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// As plans and datasets keep them: in the order of these declarations, others last; what has a
    /// default is always kept.
    pub(super) fn written(
        &self,
        specs: &[&OptionSpec],
    ) -> serde_json::Map<String, serde_json::Value> {
        let mut written = serde_json::Map::new();
        let json = |value: &OptionValue| match value {
            OptionValue::One(text) => text.as_str().into(),
            OptionValue::Several(texts) => texts.as_slice().into(),
        };
        for spec in specs {
            match (self.0.get(spec.key), spec.default()) {
                (Some(value), _) => written.insert(spec.key.to_string(), json(value)),
                (None, Some(default)) => written.insert(spec.key.to_string(), default.into()),
                (None, None) => None,
            };
        }
        for (key, value) in &self.0 {
            if !written.contains_key(key) {
                written.insert(key.clone(), json(value));
            }
        }
        written
    }

    /// Of what is written, that which is an option.
    pub(super) fn read(
        written: serde_json::Map<String, serde_json::Value>,
        specs: &[&OptionSpec],
    ) -> Self {
        let mut options = FormatOptions::default();
        for (key, value) in written {
            let Ok(value) = serde_json::from_value::<OptionValue>(value) else {
                continue;
            };
            let spec = specs.iter().find(|spec| spec.key == key);
            let is_default = |spec: &&&OptionSpec| match (spec.default(), &value) {
                (Some(default), OptionValue::One(text)) => default == text,
                _ => false,
            };
            if spec.filter(is_default).is_none() {
                options.0.insert(key, value);
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOUR: OptionSpec = OptionSpec {
        name: "colour",
        key: "colour",
        kind: OptionKind::Choice {
            values: &["red", "blue"],
            default: Some("red"),
        },
        scope: OptionScope::Settings,
        of: "painting",
        heading: "Paintings",
        value_name: "COLOUR",
        help: "",
        one_input: None,
    };

    const PAINTERS: OptionSpec = OptionSpec {
        name: "painter",
        key: "painters",
        kind: OptionKind::Texts,
        ..COLOUR
    };

    #[test]
    fn values_are_checked_and_written_in_order() {
        let specs = [&PAINTERS, &COLOUR];
        let mut options = FormatOptions::default();
        let text =
            |options: &FormatOptions| serde_json::to_string(&options.written(&specs)).unwrap();
        assert_eq!(text(&options), r#"{"colour":"red"}"#);
        options.set(&PAINTERS, "Klee").unwrap();
        options.set(&COLOUR, "blue").unwrap();
        assert_eq!(text(&options), r#"{"painters":["Klee"],"colour":"blue"}"#);
        assert_eq!(
            FormatOptions::read(options.written(&specs), &specs),
            options
        );
        assert_eq!(options.texts(&PAINTERS), ["Klee"]);
        assert!(
            options
                .set(&COLOUR, "green")
                .unwrap_err()
                .contains("red, blue")
        );
        assert!(options.set(&COLOUR, vec!["red".to_string()]).is_err());
        options.set(&COLOUR, "red").unwrap();
        assert!(!options.has(&COLOUR) && options.text(&COLOUR) == Some("red"));
        let written = FormatOptions::default().written(&specs);
        assert!(!FormatOptions::read(written, &specs).has(&COLOUR));
    }
}
