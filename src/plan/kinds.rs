//! The type of a column that several inputs have.
//!
//! | one | other | together |
//! |---|---|---|
//! | the same | the same | the same |
//! | whole numbers | whole numbers | the narrowest type that holds both; int64 and uint64: none |
//! | floats | floats | the wider |
//! | whole numbers | floats | the narrowest float type that holds both exactly: up to 32 bits |
//! | with missing values | without | with |
//! | text | categories | text; categories of several inputs are united, with an order only where all have the same |
//! | anything else | | none |

use crate::source::{ColumnKind, NumberType};

/// The kind that holds the values of both exactly.
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

/// Bits and sign of a whole-number type.
fn whole(number_type: NumberType) -> Option<(u32, bool)> {
    Some(match number_type {
        NumberType::Int8 => (8, true),
        NumberType::Int16 => (16, true),
        NumberType::Int32 => (32, true),
        NumberType::Int64 => (64, true),
        NumberType::UInt8 => (8, false),
        NumberType::UInt16 => (16, false),
        NumberType::UInt32 => (32, false),
        NumberType::UInt64 => (64, false),
        _ => return None,
    })
}

fn of_bits(bits: u32, signed: bool) -> Option<NumberType> {
    Some(match (bits, signed) {
        (8, true) => NumberType::Int8,
        (16, true) => NumberType::Int16,
        (32, true) => NumberType::Int32,
        (64, true) => NumberType::Int64,
        (8, false) => NumberType::UInt8,
        (16, false) => NumberType::UInt16,
        (32, false) => NumberType::UInt32,
        (64, false) => NumberType::UInt64,
        _ => return None,
    })
}

/// The bits of whole numbers that a float type holds exactly.
fn exact_bits(number_type: NumberType) -> Option<u32> {
    match number_type {
        NumberType::Float16 => Some(11),
        NumberType::Float32 => Some(24),
        NumberType::Float64 => Some(53),
        _ => None,
    }
}

fn numbers(one: NumberType, other: NumberType) -> Option<NumberType> {
    if one == other {
        return Some(one);
    }
    match (whole(one), whole(other)) {
        (Some((a, true)), Some((b, true))) => of_bits(a.max(b), true),
        (Some((a, false)), Some((b, false))) => of_bits(a.max(b), false),
        // One bit more than the unsigned type has.
        (Some((signed, true)), Some((unsigned, false)))
        | (Some((unsigned, false)), Some((signed, true))) => {
            of_bits(signed.max(unsigned * 2), true)
        }
        (Some((bits, _)), None) => float_for(bits, other),
        (None, Some((bits, _))) => float_for(bits, one),
        (None, None) => match (exact_bits(one), exact_bits(other)) {
            (Some(a), Some(b)) => Some(if a > b { one } else { other }),
            _ => None,
        },
    }
}

/// The narrowest type, from a float type on, that holds whole numbers of so many bits.
fn float_for(bits: u32, float: NumberType) -> Option<NumberType> {
    exact_bits(float)?;
    [float, NumberType::Float32, NumberType::Float64]
        .into_iter()
        .filter(|candidate| exact_bits(*candidate) >= exact_bits(float))
        .find(|candidate| exact_bits(*candidate).is_some_and(|exact| exact >= bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use NumberType::*;

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
