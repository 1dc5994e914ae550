//! Scale of the values of a matrix: counts, logarithms of normalised counts, and so on.
//!
//! Files do not state it. It is inferred from arithmetic patterns that only one kind of processing
//! leaves behind: whole numbers, cells whose values add up to the same sum once a logarithm is
//! undone, values that are whole multiples of one unit in each cell. If none of these is found, the
//! scale is unknown.

mod centred;
mod judge;
mod multiples;
mod rows;
mod transform;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use judge::of_rows;
pub(crate) use rows::RowSample;
pub use transform::LogBase;

/// The scale of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// What the values are.
    pub kind: ScaleKind,
    /// Base of the logarithm, which is always taken of 1 + x.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<LogBase>,
    /// Sum of the values of each cell, before the logarithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_sum: Option<f64>,
}

/// Kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScaleKind {
    /// All values are zero.
    Empty,
    /// Non-negative whole numbers.
    Counts,
    /// Counts that are not whole: estimated, shared between genes, or corrected.
    Fractions,
    /// Counts divided by a factor per cell, such as CPM and TPM.
    Normalized,
    /// Logarithm of counts.
    LogCounts,
    /// Logarithm of normalised counts.
    LogNormalized,
    /// z-scores: each gene centred and divided by its standard deviation.
    Scaled,
    /// None of the above could be shown.
    Unknown,
}

/// Whether values on two scales may be combined in one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// The scales are the same, or may be combined.
    Same,
    /// The scales may or may not differ.
    Doubtful,
    /// The scales differ.
    Different,
}

/// Statistics of all values of a matrix, known once they are written.
#[derive(Debug, Clone, Copy)]
pub struct WrittenValues {
    /// Number of non-zero values.
    pub rows: u64,
    /// Number of values that are not whole numbers.
    pub fractions: u64,
    /// Number of values that are NaN or infinite.
    pub non_finite: u64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

/// Relative difference below which two sums count as the same.
const SAME_SUM: f64 = 0.01;

const MILLION: f64 = 1e6;

impl Scale {
    /// Creates a scale that is fully described by its kind.
    pub const fn of(kind: ScaleKind) -> Self {
        Scale {
            kind,
            base: None,
            target_sum: None,
        }
    }

    /// Counts.
    pub const COUNTS: Scale = Scale::of(ScaleKind::Counts);
    /// Unknown scale.
    pub const UNKNOWN: Scale = Scale::of(ScaleKind::Unknown);

    /// Whether anything is known about the scale.
    pub fn is_known(&self) -> bool {
        !matches!(self.kind, ScaleKind::Unknown | ScaleKind::Empty)
    }

    /// Whether the values are counts, or all zero.
    pub fn is_of_counts(&self) -> bool {
        matches!(self.kind, ScaleKind::Counts | ScaleKind::Empty)
    }

    /// Whether values on this scale can be combined with values on another.
    pub fn agreement(&self, other: &Scale) -> Agreement {
        use ScaleKind::{Counts, Empty, Fractions, Unknown};
        match (self.kind, other.kind) {
            (Empty, _) | (_, Empty) | (Unknown, Unknown) => Agreement::Same,
            (Unknown, _) | (_, Unknown) => Agreement::Doubtful,
            (Counts, Fractions) | (Fractions, Counts) => Agreement::Doubtful,
            (one, another) if one != another => Agreement::Different,
            _ if self.base != other.base => Agreement::Different,
            _ => match (self.target_sum, other.target_sum) {
                (Some(one), Some(other)) if (one - other).abs() > SAME_SUM * one.max(other) => {
                    Agreement::Different
                }
                (Some(_), None) | (None, Some(_)) => Agreement::Doubtful,
                _ => Agreement::Same,
            },
        }
    }

    /// Corrects a scale determined from a sample, now that all values are known.
    #[must_use]
    pub fn rechecked(self, all: &WrittenValues) -> Self {
        if all.rows == 0 {
            return Scale::of(ScaleKind::Empty);
        }
        let negative = all.min < 0.0;
        if all.fractions == 0 && all.non_finite == 0 && !negative {
            return Scale::COUNTS;
        }
        // If a cell exceeds the common sum, it was processed differently.
        let exceeds = self.target_sum.is_some_and(|sum| {
            let most = self.base.map_or(all.max, |base| base.undo(all.max));
            most > sum * (1.0 + SAME_SUM)
        });
        match self.kind {
            ScaleKind::Counts | ScaleKind::Empty => Scale::UNKNOWN,
            ScaleKind::Fractions
            | ScaleKind::Normalized
            | ScaleKind::LogCounts
            | ScaleKind::LogNormalized
                if negative || all.non_finite > 0 || exceeds =>
            {
                Scale::UNKNOWN
            }
            _ => self,
        }
    }

    /// Returns the scale of the union of values on this scale and on another.
    #[must_use]
    pub fn with(self, other: Scale) -> Self {
        match (self.kind, other.kind) {
            (ScaleKind::Empty, _) => other,
            (_, ScaleKind::Empty) => self,
            _ if self.agreement(&other) == Agreement::Same => self,
            (one, another) if one == another && self.base == other.base => Scale {
                target_sum: None,
                ..self
            },
            _ => Scale::UNKNOWN,
        }
    }
}

/// Formats a sum with thousands separators: 10,000 or 2,431.5.
fn grouped(number: f64) -> String {
    let text = if number.fract() == 0.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.2}")
    };
    let (whole, rest) = match text.find('.') {
        Some(point) => text.split_at(point),
        None => (text.as_str(), ""),
    };
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest.trim_end_matches('0').trim_end_matches('.')
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.base.map_or("", |base| base.name());
        match (self.kind, self.target_sum) {
            (ScaleKind::Empty, _) => f.write_str("no values"),
            (ScaleKind::Counts, _) => f.write_str("counts"),
            (ScaleKind::Fractions, _) => f.write_str("fractions of counts"),
            (ScaleKind::Normalized, Some(MILLION)) => f.write_str("CPM or TPM"),
            (ScaleKind::Normalized, Some(1.0)) => f.write_str("fractions of each cell's counts"),
            (ScaleKind::Normalized, Some(sum)) => {
                write!(f, "counts scaled to {} per cell", grouped(sum))
            }
            (ScaleKind::Normalized, None) => f.write_str("counts scaled by a factor per cell"),
            (ScaleKind::LogCounts, _) => write!(f, "{log} of counts"),
            (ScaleKind::LogNormalized, Some(MILLION)) => {
                write!(f, "{log} of CPM or TPM (1,000,000 per cell)")
            }
            (ScaleKind::LogNormalized, Some(sum)) => {
                write!(f, "{log} of counts scaled to {} per cell", grouped(sum))
            }
            (ScaleKind::LogNormalized, None) => {
                write!(f, "{log} of counts scaled to an unknown sum per cell")
            }
            (ScaleKind::Scaled, _) => f.write_str("scaled (each gene about zero)"),
            (ScaleKind::Unknown, _) => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(base: LogBase, target_sum: Option<f64>) -> Scale {
        Scale {
            kind: ScaleKind::LogNormalized,
            base: Some(base),
            target_sum,
        }
    }

    #[test]
    fn scales_in_words() {
        let words = |scale: Scale| scale.to_string();
        assert_eq!(
            words(log(LogBase::E, Some(1e4))),
            "log1p of counts scaled to 10,000 per cell"
        );
        assert_eq!(
            words(log(LogBase::Two, Some(2431.5))),
            "log2(x+1) of counts scaled to 2,431.5 per cell"
        );
        assert_eq!(grouped(1.0), "1");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
    }

    #[test]
    fn only_what_is_known_differs() {
        let ten = log(LogBase::E, Some(1e4));
        let agreement = |a: Scale, b: Scale| {
            assert_eq!(a.agreement(&b), b.agreement(&a));
            a.agreement(&b)
        };
        assert_eq!(agreement(ten, Scale::COUNTS), Agreement::Different);
        assert_eq!(
            agreement(ten, log(LogBase::Two, Some(1e4))),
            Agreement::Different
        );
        assert_eq!(
            agreement(ten, log(LogBase::E, Some(1e6))),
            Agreement::Different
        );
        assert_eq!(
            agreement(ten, log(LogBase::E, Some(9_999.0))),
            Agreement::Same
        );
        assert_eq!(agreement(ten, log(LogBase::E, None)), Agreement::Doubtful);
        assert_eq!(agreement(ten, Scale::UNKNOWN), Agreement::Doubtful);
        let fractions = Scale::of(ScaleKind::Fractions);
        assert_eq!(agreement(Scale::COUNTS, fractions), Agreement::Doubtful);
        let empty = Scale::of(ScaleKind::Empty);
        assert_eq!(agreement(ten, empty), Agreement::Same);
    }

    #[test]
    fn a_verdict_never_contradicts_what_was_written() {
        let all = |fractions, min, max| WrittenValues {
            rows: 10,
            fractions,
            non_finite: 0,
            min,
            max,
        };
        assert_eq!(Scale::COUNTS.rechecked(&all(0, 1.0, 9.0)), Scale::COUNTS);
        assert_eq!(Scale::COUNTS.rechecked(&all(1, 1.0, 9.0)), Scale::UNKNOWN);
        assert_eq!(Scale::COUNTS.rechecked(&all(0, -1.0, 9.0)), Scale::UNKNOWN);
        assert_eq!(Scale::UNKNOWN.rechecked(&all(0, 1.0, 9.0)), Scale::COUNTS);
        let ten = log(LogBase::E, Some(1e4));
        assert_eq!(ten.rechecked(&all(9, 0.5, 8.0)), ten);
        assert_eq!(ten.rechecked(&all(9, 0.5, 12.0)), Scale::UNKNOWN);
        assert_eq!(ten.rechecked(&all(9, -0.5, 8.0)), Scale::UNKNOWN);
    }
}
