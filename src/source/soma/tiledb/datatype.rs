//! Data types as numbered by the format (tiledb_enum.h, `TILEDB_DATATYPE_ENUM`).

use super::fault::{Checked, Fault};
use crate::source::ScalarType;

/// A data type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::soma) enum Datatype {
    Number(ScalarType),
    /// Bytes that are guaranteed to be ASCII.
    Ascii,
    Utf8,
    /// A signed byte that stands for a character.
    Char,
    /// Time since 1970.
    Datetime(TimeUnit),
    /// Time of day.
    Time(TimeUnit),
    /// No type. In the options of a delta filter: values keep the type they have anyway.
    Any,
    /// Bytes.
    Blob,
    /// A type that no column of an experiment has: its code, and the size of a value in bytes.
    Other(u8, usize),
}

/// Unit of times: `10^exponent` seconds, or something longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::soma) enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    /// Longer than a second or shorter than a nanosecond.
    Other,
}

impl Datatype {
    /// Returns the type with this code.
    pub fn from_code(code: u8) -> Checked<Self> {
        let unit = |position| match position {
            0 => TimeUnit::Seconds,
            1 => TimeUnit::Milliseconds,
            2 => TimeUnit::Microseconds,
            3 => TimeUnit::Nanoseconds,
            _ => TimeUnit::Other,
        };
        Ok(match code {
            0 => Datatype::Number(ScalarType::Int32),
            1 => Datatype::Number(ScalarType::Int64),
            2 => Datatype::Number(ScalarType::Float32),
            3 => Datatype::Number(ScalarType::Float64),
            4 => Datatype::Char,
            5 => Datatype::Number(ScalarType::Int8),
            6 => Datatype::Number(ScalarType::UInt8),
            7 => Datatype::Number(ScalarType::Int16),
            8 => Datatype::Number(ScalarType::UInt16),
            9 => Datatype::Number(ScalarType::UInt32),
            10 => Datatype::Number(ScalarType::UInt64),
            11 => Datatype::Ascii,
            12 => Datatype::Utf8,
            13 | 15 => Datatype::Other(code, 2),
            14 | 16 => Datatype::Other(code, 4),
            17 => Datatype::Any,
            18..=23 => Datatype::Datetime(TimeUnit::Other),
            24..=30 => Datatype::Datetime(unit(code - 24)),
            31 | 32 => Datatype::Time(TimeUnit::Other),
            33..=39 => Datatype::Time(unit(code - 33)),
            40 => Datatype::Blob,
            41 => Datatype::Number(ScalarType::Bool),
            42 | 43 => Datatype::Other(code, 1),
            _ => return Err(Fault::unsupported(format!("the datatype {code}"))),
        })
    }

    /// Size of one value in bytes.
    pub fn size(self) -> usize {
        match self {
            Datatype::Number(number_type) => number_type.size(),
            Datatype::Datetime(_) | Datatype::Time(_) => 8,
            Datatype::Ascii | Datatype::Utf8 | Datatype::Char | Datatype::Any | Datatype::Blob => 1,
            Datatype::Other(_, size) => size,
        }
    }

    /// Whether values are ASCII or UTF-8 text.
    pub fn is_text(self) -> bool {
        matches!(self, Datatype::Ascii | Datatype::Utf8)
    }

    /// Whether filters treat its values as signed integers.
    pub fn is_signed(self) -> bool {
        match self {
            Datatype::Number(number_type) => matches!(
                number_type,
                ScalarType::Int8 | ScalarType::Int16 | ScalarType::Int32 | ScalarType::Int64
            ),
            Datatype::Char | Datatype::Datetime(_) | Datatype::Time(_) => true,
            _ => false,
        }
    }

    /// Whether integer filters can be applied to it.
    pub fn is_integral(self) -> bool {
        match self {
            Datatype::Number(number_type) => number_type.is_integer(),
            Datatype::Datetime(_) | Datatype::Time(_) => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for Datatype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Datatype::Number(number_type) => number_type.fmt(f),
            Datatype::Ascii => f.write_str("ASCII text"),
            Datatype::Utf8 => f.write_str("UTF-8 text"),
            Datatype::Char => f.write_str("char"),
            Datatype::Datetime(_) => f.write_str("datetime"),
            Datatype::Time(_) => f.write_str("time of day"),
            Datatype::Any => f.write_str("any"),
            Datatype::Blob => f.write_str("bytes"),
            Datatype::Other(code, _) => write!(f, "datatype {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_a_type_or_refused() {
        for code in 0..=255 {
            match Datatype::from_code(code) {
                Ok(datatype) => assert!(matches!(datatype.size(), 1 | 2 | 4 | 8)),
                Err(fault) => assert!(code > 43, "{fault:?}"),
            }
        }
        assert_eq!(
            Datatype::from_code(27),
            Ok(Datatype::Datetime(TimeUnit::Nanoseconds))
        );
    }
}
