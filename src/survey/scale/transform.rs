//! Transformations that may have been applied to counts last, and their inverses.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The base of a logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogBase {
    /// Natural logarithm.
    #[serde(rename = "e")]
    E,
    /// Base 2.
    #[serde(rename = "2")]
    Two,
    /// Base 10.
    #[serde(rename = "10")]
    Ten,
}

impl LogBase {
    /// All bases.
    pub const ALL: [LogBase; 3] = [LogBase::E, LogBase::Two, LogBase::Ten];

    /// Name of the logarithm of 1 + x.
    pub fn name(self) -> &'static str {
        match self {
            LogBase::E => "log1p",
            LogBase::Two => "log2(x+1)",
            LogBase::Ten => "log10(x+1)",
        }
    }

    /// Returns the base of the logarithm that, according to the input, was taken of its main
    /// matrix. scanpy notes it in `uns/log1p`, with a base if that is not e.
    pub(crate) fn noted(note: &Value) -> Option<Self> {
        let base = note.as_object()?.get("base").unwrap_or(&Value::Null);
        if base.is_null() {
            return Some(LogBase::E);
        }
        let base = base.as_f64()?;
        let known = [
            (std::f64::consts::E, LogBase::E),
            (2.0, LogBase::Two),
            (10.0, LogBase::Ten),
        ];
        let mut known = known.into_iter();
        let found = known.find(|(number, _)| (base - number).abs() < 1e-6);
        found.map(|(_, base)| base)
    }

    /// Inverse of the logarithm of 1 + x.
    pub fn undo(self, value: f64) -> f64 {
        let natural = match self {
            LogBase::E => value,
            LogBase::Two => value * std::f64::consts::LN_2,
            LogBase::Ten => value * std::f64::consts::LN_10,
        };
        natural.exp_m1()
    }
}

/// Undoes the logarithm, if there is one.
pub(super) fn undone(base: Option<LogBase>, value: f64) -> f64 {
    base.map_or(value, |base| base.undo(value))
}
