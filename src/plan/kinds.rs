//! The common type of a column that several inputs have.
//!
//! | one | other | common type |
//! |---|---|---|
//! | the same | the same | the same |
//! | whole numbers | whole numbers | the narrowest type that holds both; int64 and uint64: none |
//! | floats | floats | the wider |
//! | whole numbers | floats | the narrowest float type that holds both exactly: up to 32 bits |
//! | with missing values | without | with |
//! | text | categories | text; categories are united, and ordered only if all are equal |
//! | anything else | | none |

use polars_core::datatypes::DataType;
use polars_core::utils::{get_numeric_upcast_supertype_lossless, get_supertype};

use crate::source::{ColumnKind, ScalarType};

/// Returns the kind that holds the values of both exactly, if there is one.
pub(super) fn united(one: &ColumnKind, other: &ColumnKind) -> Option<ColumnKind> {
    use ColumnKind::{Categorical, Nullable, Number, Text, Time};
    match (one, other) {
        (Text, Text) | (Text, Categorical { .. }) | (Categorical { .. }, Text) => Some(Text),
        (Categorical { ordered: a }, Categorical { ordered: b }) => {
            Some(Categorical { ordered: *a && *b })
        }
        (Time, Time) => Some(Time),
        (Number(a), Number(b)) => numbers(*a, *b).map(Number),
        (Number(a) | Nullable(a), Number(b) | Nullable(b)) => numbers(*a, *b).map(Nullable),
        _ => None,
    }
}

fn numbers(one: ScalarType, other: ScalarType) -> Option<ScalarType> {
    if one == other {
        return Some(one);
    }
    let (a, b) = (polars_type(one)?, polars_type(other)?);
    let together = get_numeric_upcast_supertype_lossless(&a, &b).or_else(|| get_supertype(&a, &b));
    let together = NUMBERS
        .into_iter()
        .find(|number_type| polars_type(*number_type) == together)?;
    // polars combines 64-bit integers and floats by rounding, so the result is checked here.
    let exact = digits(together) >= digits(one) && digits(together) >= digits(other);
    exact.then_some(together)
}

const NUMBERS: [ScalarType; 11] = [
    ScalarType::UInt8,
    ScalarType::Int8,
    ScalarType::UInt16,
    ScalarType::Int16,
    ScalarType::Float16,
    ScalarType::UInt32,
    ScalarType::Int32,
    ScalarType::Float32,
    ScalarType::UInt64,
    ScalarType::Int64,
    ScalarType::Float64,
];

/// Returns the polars type; `None` for booleans, which only go with booleans.
fn polars_type(number_type: ScalarType) -> Option<DataType> {
    Some(match number_type {
        ScalarType::Bool => return None,
        ScalarType::Int8 => DataType::Int8,
        ScalarType::Int16 => DataType::Int16,
        ScalarType::Int32 => DataType::Int32,
        ScalarType::Int64 => DataType::Int64,
        ScalarType::UInt8 => DataType::UInt8,
        ScalarType::UInt16 => DataType::UInt16,
        ScalarType::UInt32 => DataType::UInt32,
        ScalarType::UInt64 => DataType::UInt64,
        ScalarType::Float16 => DataType::Float16,
        ScalarType::Float32 => DataType::Float32,
        ScalarType::Float64 => DataType::Float64,
    })
}

/// Number of binary digits up to which a type holds all whole numbers.
fn digits(number_type: ScalarType) -> u32 {
    match number_type {
        ScalarType::Bool => 1,
        ScalarType::Int8 => 7,
        ScalarType::Int16 => 15,
        ScalarType::Int32 => 31,
        ScalarType::Int64 => 63,
        ScalarType::UInt8 => 8,
        ScalarType::UInt16 => 16,
        ScalarType::UInt32 => 32,
        ScalarType::UInt64 => 64,
        ScalarType::Float16 => 11,
        ScalarType::Float32 => 24,
        ScalarType::Float64 => 53,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ScalarType::*;

    #[test]
    fn nothing_is_lost() {
        for (one, other, together) in [
            (Int8, Int64, Some(Int64)),
            (UInt8, Int8, Some(Int16)),
            (UInt32, Int8, Some(Int64)),
            (UInt64, Int8, None),
            (UInt8, UInt32, Some(UInt32)),
            (Float32, Float64, Some(Float64)),
            (Int16, Float32, Some(Float32)),
            (Int32, Float32, Some(Float64)),
            (UInt8, Float16, Some(Float16)),
            (UInt16, Float16, Some(Float32)),
            (Int64, Float64, None),
            (Bool, Int8, None),
            (Bool, Float32, None),
            (Bool, Bool, Some(Bool)),
        ] {
            assert_eq!(numbers(one, other), together, "{one} {other}");
            assert_eq!(numbers(other, one), together, "{other} {one}");
        }
    }

    /// Whether a type holds all values of another.
    fn holds(one: ScalarType, other: ScalarType) -> bool {
        let float = |number_type| matches!(number_type, Float16 | Float32 | Float64);
        let signed = |number_type| matches!(number_type, Int8 | Int16 | Int32 | Int64);
        match (float(one), float(other)) {
            (true, _) => digits(one) >= digits(other),
            (false, true) => false,
            (false, false) => digits(one) >= digits(other) && (signed(one) || !signed(other)),
        }
    }

    #[test]
    fn no_narrower_type_holds_both() {
        for one in NUMBERS {
            for other in NUMBERS {
                let mut all = NUMBERS.into_iter();
                let wanted = all.find(|&both| holds(both, one) && holds(both, other));
                assert_eq!(numbers(one, other), wanted, "{one} {other}");
            }
        }
    }

    #[test]
    fn kinds_keep_their_meaning() {
        use ColumnKind::*;
        let ordered = Categorical { ordered: true };
        assert_eq!(united(&ordered, &ordered), Some(ordered.clone()));
        assert_eq!(united(&ordered, &Text), Some(Text));
        assert_eq!(
            united(&Number(Int8), &Nullable(Int16)),
            Some(Nullable(Int16))
        );
        assert_eq!(united(&Number(Int8), &Text), None);
        assert_eq!(united(&Time, &Number(Int64)), None);
    }
}
