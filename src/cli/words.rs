//! What the command line calls the options that errors speak of: flags.

use crate::remedy::{Remedy, Setting, Words};

/// The words of the command line.
pub struct Flags;

impl Words for Flags {
    fn setting(&self, setting: &Setting) -> String {
        match &setting.value {
            Some(value) => format!("--{} {}", setting.option, quoted(value)),
            None => format!("--{}", setting.option),
        }
    }

    fn remedy(&self, remedy: &Remedy) -> Option<String> {
        match remedy {
            Remedy::Skip { part, name } => {
                let pattern = match name {
                    Some(name) => format!("{part}:{name}"),
                    None => part.to_string(),
                };
                Some(format!("leave it out with --skip {}", quoted(&pattern)))
            }
            Remedy::Memory { advised } => {
                Some(format!("grant more with --memory (at least {advised})"))
            }
            Remedy::AcceptChanges { dataset } => {
                let dataset = quoted(&dataset.display().to_string());
                Some(format!(
                    "take it as it is with `slaf adopt {dataset} --accept-changes` (`slaf verify {dataset}` checks all that is described)"
                ))
            }
            Remedy::Verify => Some("slaf verify tells all that is damaged".into()),
            _ => None,
        }
    }
}

/// Quotes a word for the shell if necessary.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-+/:.,@%=".contains(c);
    if word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_become_flags() {
        let skip = Flags.remedy(&Remedy::skip("layers", "my layer"));
        assert_eq!(skip.unwrap(), "leave it out with --skip 'layers:my layer'");
        let key = Setting::of("gene-key", "gene_id");
        assert_eq!(Flags.setting(&key), "--gene-key gene_id");
        assert_eq!(quoted("obs:CD4+/CD8-"), "obs:CD4+/CD8-");
        assert_eq!(quoted("obs:it's"), "'obs:it'\\''s'");
    }
}
