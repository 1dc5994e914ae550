//! Stable identifiers of Ensembl and GENCODE, with or without version.
//!
//! They consist of `ENS`, letters for species and type, and digits, followed by a dot and the
//! version, which changes with the annotation (`ENSMUSG00000051951.6`). GENCODE appends `_PAR_Y` to
//! genes of the Y chromosome that are copied from X, and a second number to versions lifted over to
//! an older assembly (`ENSG00000223972.5_2`). Clone names such as `RP11-34P13.7` and `AC000001.1`
//! are not stable identifiers: the number after their dot is part of the name.

use std::borrow::Cow;

/// Suffix that GENCODE adds to copies of genes.
const COPY: &str = "_PAR_Y";

/// A parsed identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StableId<'a> {
    base: &'a str,
    version: Option<&'a str>,
    /// `_PAR_Y`, or empty.
    copy: &'a str,
}

impl<'a> StableId<'a> {
    /// Parses an identifier; `None` for any other text.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (rest, copy) = match text.strip_suffix(COPY) {
            Some(rest) => (rest, &text[rest.len()..]),
            None => (text, ""),
        };
        let (base, version) = match rest.split_once('.') {
            Some((base, version)) => (base, Some(version)),
            None => (rest, None),
        };
        let number = base.strip_prefix("ENS")?;
        let number = number.trim_start_matches(|letter: char| letter.is_ascii_uppercase());
        let kind = base[..base.len() - number.len()].chars().next_back();
        // Genes, transcripts, proteins and exons, but not gene families and gene trees.
        if !matches!(kind, Some('G' | 'T' | 'P' | 'E')) || base.len() - number.len() < 4 {
            return None;
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_version = |text: &str| match text.split_once('_') {
            Some((version, lifted)) => digits(version) && digits(lifted),
            None => digits(text),
        };
        (digits(number) && version.is_none_or(is_version)).then_some(StableId {
            base,
            version,
            copy,
        })
    }

    /// Whether it is the copy on Y of a gene on X.
    pub fn is_copy(&self) -> bool {
        !self.copy.is_empty()
    }

    /// Whether it has a version.
    pub fn is_versioned(&self) -> bool {
        self.version.is_some()
    }
}

/// Returns a text without its version if it is a stable identifier that has one.
pub(crate) fn without_version(text: &str) -> Cow<'_, str> {
    match StableId::parse(text) {
        Some(id) if id.is_versioned() && id.copy.is_empty() => Cow::Borrowed(id.base),
        Some(id) if id.is_versioned() => Cow::Owned(format!("{}{}", id.base, id.copy)),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stable_identifiers_have_versions() {
        for (text, wanted) in [
            ("ENSG00000182378.15", "ENSG00000182378"),
            ("ENSG00000182378.15_PAR_Y", "ENSG00000182378_PAR_Y"),
            ("ENSG00000223972.5_2", "ENSG00000223972"),
            ("ENSMUSG00000051951.6", "ENSMUSG00000051951"),
            ("ENST00000456328.2", "ENST00000456328"),
            ("ENSG00000182378", "ENSG00000182378"),
            ("RP11-34P13.7", "RP11-34P13.7"),
            ("AC000001.1", "AC000001.1"),
            ("ENSG00000182378.", "ENSG00000182378."),
            ("ENSG00000182378.x", "ENSG00000182378.x"),
            ("ENSG.1", "ENSG.1"),
            ("ENSA.1", "ENSA.1"),
            ("ENS1.1", "ENS1.1"),
            ("ENG123.1", "ENG123.1"),
            ("ENSG1.2.3", "ENSG1.2.3"),
            ("", ""),
        ] {
            assert_eq!(without_version(text), wanted);
        }
    }
}
