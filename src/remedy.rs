//! What can be done about an error, as data. Errors hold remedies, and their messages name options as a
//! library does. A program says once, with [`speak`], how they are called on its own surface: the
//! command line turns them into flags.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

use bytesize::ByteSize;

/// An option of a job, with or without a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Setting {
    /// Name of the option, in lower case with hyphens, as in a file of settings: `gene-key`.
    pub option: Cow<'static, str>,
    /// Its value, if one in particular is meant.
    pub value: Option<String>,
}

impl Setting {
    /// An option, whatever its value.
    pub fn any(option: impl Into<Cow<'static, str>>) -> Self {
        Setting {
            option: option.into(),
            value: None,
        }
    }

    /// An option with a value.
    pub fn of(option: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        Setting {
            option: option.into(),
            value: Some(value.to_string()),
        }
    }
}

/// What a user can do about an error.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remedy {
    /// Use an option.
    Use {
        /// The option.
        setting: Setting,
        /// To which end, as in "use it to {to}".
        to: Cow<'static, str>,
    },
    /// Choose a value of an option.
    Choose {
        /// The option.
        option: &'static str,
        /// The values to choose from; empty if the message lists them elsewhere.
        from: Vec<String>,
    },
    /// Do without an option that was given.
    Omit {
        /// The option.
        setting: Setting,
        /// To which end, as in "leave it out to {to}"; empty if that is plain.
        to: Cow<'static, str>,
    },
    /// Leave out a part of the input, such as `layers`, or one of its members.
    Skip {
        /// Name of the part.
        part: Cow<'static, str>,
        /// Name of the member; `None` for the whole part.
        name: Option<String>,
    },
    /// Grant more memory.
    Memory {
        /// How much is likely to suffice.
        advised: ByteSize,
    },
    /// Accept what another program has changed in a dataset.
    AcceptChanges {
        /// Folder of the dataset.
        dataset: PathBuf,
    },
    /// Verify the dataset, to know all that is wrong with it.
    Verify,
    /// Something outside of this program, in the imperative: "rewrite the file with gzip".
    Other(Cow<'static, str>),
}

impl Remedy {
    /// The advice to use an option to some end.
    pub fn using(setting: Setting, to: impl Into<Cow<'static, str>>) -> Self {
        let to = to.into();
        Remedy::Use { setting, to }
    }

    /// The advice to do without an option.
    pub fn omit(option: impl Into<Cow<'static, str>>) -> Self {
        Remedy::Omit {
            setting: Setting::any(option),
            to: "".into(),
        }
    }

    /// The advice to leave out a member of a part.
    pub fn skip(part: impl Into<Cow<'static, str>>, name: impl Into<String>) -> Self {
        let (part, name) = (part.into(), Some(name.into()));
        Remedy::Skip { part, name }
    }
}

/// How a program calls options, and what it says about them.
pub trait Words: Sync {
    /// An option, with its value if there is one.
    fn setting(&self, setting: &Setting) -> String;

    /// A remedy, in the imperative; `None` for the usual sentence, in which options are called by
    /// [`Words::setting`].
    fn remedy(&self, _remedy: &Remedy) -> Option<String> {
        None
    }
}

/// The words of the library itself.
struct OwnWords;

impl Words for OwnWords {
    fn setting(&self, setting: &Setting) -> String {
        match &setting.value {
            Some(value) => format!("the option {}={value}", setting.option),
            None => format!("the option {}", setting.option),
        }
    }
}

static WORDS: OnceLock<&'static dyn Words> = OnceLock::new();

/// Sets the words in which this process speaks of options. Only the first call has an effect.
pub fn speak(words: &'static dyn Words) {
    let _ = WORDS.set(words);
}

fn words() -> &'static dyn Words {
    WORDS.get().copied().unwrap_or(&OwnWords)
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words().setting(self))
    }
}

/// "to some end", behind what serves it.
fn end(to: &str) -> String {
    match to {
        "" => String::new(),
        to => format!(" to {to}"),
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = words().remedy(self) {
            return f.write_str(&text);
        }
        match self {
            Remedy::Use { setting, to } => write!(f, "use {setting}{}", end(to)),
            Remedy::Choose { option, from } if from.is_empty() => {
                write!(f, "choose one with {}", Setting::any(*option))
            }
            Remedy::Choose { option, from } => {
                let option = Setting::any(*option);
                write!(f, "choose with {option} one of: {}", from.join(", "))
            }
            Remedy::Omit { setting, to } => write!(f, "leave out {setting}{}", end(to)),
            Remedy::Skip { part, name: None } => write!(f, "leave out {part}"),
            Remedy::Skip {
                part,
                name: Some(name),
            } => write!(f, "leave out {part}/{name}"),
            Remedy::Memory { advised } => write!(f, "grant more memory (at least {advised})"),
            Remedy::AcceptChanges { dataset } => {
                write!(f, "adopt {} with these changes", dataset.display())
            }
            Remedy::Verify => f.write_str("verify the dataset to know all that is damaged"),
            Remedy::Other(text) => f.write_str(text),
        }
    }
}

/// Remedies to choose from, the best one first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Advice(Vec<Remedy>);

impl Advice {
    /// The remedies.
    pub fn remedies(&self) -> &[Remedy] {
        &self.0
    }

    /// This advice and one more remedy.
    #[must_use]
    pub fn or(mut self, remedy: Remedy) -> Self {
        self.0.push(remedy);
        self
    }

    /// Whether one of the remedies is to leave out something of the input.
    pub(crate) fn skips(&self) -> bool {
        let mut remedies = self.0.iter();
        remedies.any(|remedy| matches!(remedy, Remedy::Skip { .. }))
    }
}

impl From<Remedy> for Advice {
    fn from(remedy: Remedy) -> Self {
        Advice(vec![remedy])
    }
}

impl<const N: usize> From<[Remedy; N]> for Advice {
    fn from(remedies: [Remedy; N]) -> Self {
        Advice(remedies.into())
    }
}

impl From<&str> for Advice {
    fn from(text: &str) -> Self {
        text.to_string().into()
    }
}

impl From<String> for Advice {
    fn from(text: String) -> Self {
        Remedy::Other(text.into()).into()
    }
}

impl fmt::Display for Advice {
    /// As a sentence: "use a to x, b to y, or leave out z".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before: Option<&Remedy> = None;
        for (number, remedy) in self.0.iter().enumerate() {
            match (number, self.0.len()) {
                (0, _) => {}
                (_, 2) => f.write_str(", or ")?,
                (number, count) if number + 1 == count => f.write_str(", or ")?,
                _ => f.write_str(", ")?,
            }
            let text = remedy.to_string();
            let uses = |remedy: &Remedy| matches!(remedy, Remedy::Use { .. });
            let repeated = before.is_some_and(uses) && uses(remedy);
            let text = text.strip_prefix("use ").filter(|_| repeated);
            match text {
                Some(text) => f.write_str(text)?,
                None => write!(f, "{remedy}")?,
            }
            before = Some(remedy);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_a_sentence() {
        let outer = Remedy::using(Setting::of("join", "outer"), "take all");
        let inner = Remedy::using(Setting::of("join", "inner"), "take what all have");
        let skip = Remedy::skip("layers", "raw");
        let text = |remedies: &[&Remedy]| {
            let remedies = remedies.iter().map(|remedy| (*remedy).clone()).collect();
            Advice(remedies).to_string()
        };
        assert_eq!(text(&[&skip]), "leave out layers/raw");
        assert_eq!(
            text(&[&outer, &inner]),
            "use the option join=outer to take all, or the option join=inner to take what all have"
        );
        assert_eq!(
            text(&[&outer, &skip, &inner]),
            "use the option join=outer to take all, leave out layers/raw, or use the option join=inner to take what all have"
        );
        assert!(Advice::from(skip).skips() && !Advice::from("rewrite it").skips());
    }
}
