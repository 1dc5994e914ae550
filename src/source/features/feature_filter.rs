//! Selects features by genome and type.

use std::collections::BTreeMap;

use arrow::array::StringArray;

use super::options::{FEATURE_TYPE, GENOME};
use super::{FeatureList, GENE_EXPRESSION};
use crate::remedy::{Remedy, Setting};
use crate::source::error::ErrorContext;
use crate::source::{Note, OpenOptions, SourceError};

/// Returns a mask of the features that have one of the requested genomes and types.
pub(super) fn wanted(
    list: &FeatureList,
    place: &ErrorContext,
    options: &OpenOptions,
) -> Result<Vec<bool>, SourceError> {
    let mut mask = vec![true; list.count];
    let genomes = options.own.texts(&GENOME);
    if !genomes.is_empty()
        && let Some(all) = &list.genomes
    {
        keep(&mut mask, all, genomes, place, GENOME.name)?;
    }
    let feature_types = options.own.texts(&FEATURE_TYPE);
    if !feature_types.is_empty() {
        let untyped;
        let types = match &list.types {
            Some(types) => types,
            None => {
                untyped = StringArray::from(vec![GENE_EXPRESSION; list.count]);
                &untyped
            }
        };
        keep(&mut mask, types, feature_types, place, FEATURE_TYPE.name)?;
    }
    Ok(mask)
}

/// Keeps the rows whose text is one of those requested, each of which must occur.
fn keep(
    mask: &mut [bool],
    texts: &StringArray,
    wanted: &[String],
    place: &ErrorContext,
    option: &'static str,
) -> Result<(), SourceError> {
    let there = counted(texts, None);
    for want in wanted {
        if !there.keys().any(|text| text.eq_ignore_ascii_case(want)) {
            let from = there.into_keys().collect();
            return Err(place.refuses(
                Setting::of(option, want),
                "the list has no such feature",
                Remedy::Choose { option, from },
            ));
        }
    }
    for (keep, text) in mask.iter_mut().zip(texts.iter()) {
        let text = text.unwrap_or_default();
        *keep &= wanted.iter().any(|want| text.eq_ignore_ascii_case(want));
    }
    Ok(())
}

/// Counts how often each text occurs in the rows where the mask has the value given in `kept`.
fn counted(texts: &StringArray, kept: Option<(&[bool], bool)>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (row, text) in texts.iter().enumerate() {
        if kept.is_none_or(|(mask, value)| mask[row] == value) {
            *counts
                .entry(text.unwrap_or_default().to_string())
                .or_insert(0) += 1;
        }
    }
    counts
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    let texts: Vec<String> = counts
        .iter()
        .map(|(text, count)| {
            let text = if text.is_empty() { "none" } else { text };
            format!("{text} ({count})")
        })
        .collect();
    texts.join(", ")
}

/// Adds notes and warnings on which types are kept and which are not.
pub(super) fn describe_types(
    list: &FeatureList,
    mask: &[bool],
    place: &ErrorContext,
    options: &OpenOptions,
    left_out: &mut Vec<Note>,
    warnings: &mut Vec<String>,
) {
    if mask.iter().any(|keep| !keep) {
        let mut flags = Vec::new();
        for (flag, values) in [
            ("--genome", options.own.texts(&GENOME)),
            ("--feature-type", options.own.texts(&FEATURE_TYPE)),
        ] {
            flags.extend(values.iter().map(|value| format!("{flag} {value:?}")));
        }
        let dropped = match &list.types {
            Some(types) => listed(&counted(types, Some((mask, false)))),
            None => mask.iter().filter(|keep| !**keep).count().to_string(),
        };
        left_out.push(Note::new(
            place.object(),
            format!("other features than {}: {dropped}", flags.join(" ")),
        ));
    } else if let Some(types) = &list.types {
        let counts = counted(types, None);
        if counts.len() > 1 && options.own.texts(&FEATURE_TYPE).is_empty() {
            warnings.push(format!(
                "features of {} types are kept: {}; choose with {}",
                counts.len(),
                listed(&counts),
                Setting::any(FEATURE_TYPE.name)
            ));
        }
    }
}
