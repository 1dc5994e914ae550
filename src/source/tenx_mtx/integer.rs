//! Integers in any notation: R writes 100000 as `1e+05`, others as `100000.0`.

/// Why text is not an acceptable integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntegerFault {
    /// It is not a number in digits.
    NoNumber,
    /// It has a fractional part.
    Fraction,
    /// Its magnitude does not fit in 64 bits.
    TooLarge,
}

/// Returns the exact value of a decimal number, which must be an integer: an optional sign, digits,
/// possibly with a decimal point, and an optional exponent.
pub(super) fn whole(word: &str) -> Result<i128, IntegerFault> {
    let (negative, unsigned) = match word.as_bytes() {
        [b'-', ..] => (true, &word[1..]),
        [b'+', ..] => (false, &word[1..]),
        _ => (false, word),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, power(exponent)?),
        None => (unsigned, 0),
    };
    let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || before.bytes().chain(behind.bytes());
    if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
        return Err(IntegerFault::NoNumber);
    }
    let last = before.len() + behind.len();
    let zeros = digits().rev().take_while(|&byte| byte == b'0').count();
    if zeros == last {
        return Ok(0);
    }
    // Trailing zeros, which count towards the remaining power of ten.
    let behind = i64::try_from(behind.len()).map_err(|_| IntegerFault::TooLarge)?;
    let zeros_kept = i64::try_from(zeros).map_err(|_| IntegerFault::TooLarge)?;
    let tens = exponent.saturating_sub(behind).saturating_add(zeros_kept);
    if tens < 0 {
        return Err(IntegerFault::Fraction);
    }
    let mut value: u64 = 0;
    let significant = digits().take(last - zeros).map(|byte| byte - b'0');
    let tens = usize::try_from(tens).map_err(|_| IntegerFault::TooLarge)?;
    // Append a zero per remaining power of ten; after a non-zero digit, twenty overflow 64 bits.
    for digit in significant.chain(std::iter::repeat_n(0, tens.min(20))) {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit)))
            .ok_or(IntegerFault::TooLarge)?;
    }
    Ok(if negative {
        -i128::from(value)
    } else {
        i128::from(value)
    })
}

/// Parses an exponent; one with absurdly many digits is treated as the largest.
fn power(text: &str) -> Result<i64, IntegerFault> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IntegerFault::NoNumber);
    }
    let size = digits.parse::<i64>().unwrap_or(i64::MAX);
    Ok(if text.starts_with('-') { -size } else { size })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_in_every_form() {
        for (text, value) in [
            ("7", 7),
            ("+7", 7),
            ("-0007", -7),
            ("1e+05", 100_000),
            ("1E5", 100_000),
            ("100000.0", 100_000),
            ("100000.", 100_000),
            ("1.25e2", 125),
            ("1200e-2", 12),
            ("0.0012e4", 12),
            ("-0e-99999999999999999999", 0),
            ("0.000", 0),
            ("18446744073709551615", i128::from(u64::MAX)),
            ("-9.223372036854775808e18", i128::from(i64::MIN)),
        ] {
            assert_eq!(whole(text), Ok(value), "{text}");
        }
        for text in [
            "0.5",
            "1e-1",
            "1.25e1",
            "12e-9999999999999999999",
            "100000.01",
        ] {
            assert_eq!(whole(text), Err(IntegerFault::Fraction), "{text}");
        }
        for text in [
            "1e20",
            "18446744073709551616",
            "1e9999999999999999999",
            "-3e19",
        ] {
            assert_eq!(whole(text), Err(IntegerFault::TooLarge), "{text}");
        }
        for text in [
            "", "-", ".", "+.", "e5", ".e5", "1e", "1e+", "1.2.3", "1e5.0", "0x1", "inf", "nan",
            "--1", "1,5", "1_0", "٣",
        ] {
            assert_eq!(whole(text), Err(IntegerFault::NoNumber), "{text}");
        }
    }

    proptest! {
        #[test]
        fn moving_the_point_changes_nothing(value in any::<i64>(), shift in 0usize..40) {
            let digits = value.unsigned_abs().to_string();
            let sign = if value < 0 { "-" } else { "" };
            let padded = format!("{}{digits}", "0".repeat(shift));
            let (before, behind) = padded.split_at(padded.len() - shift.min(padded.len()));
            prop_assert_eq!(whole(&format!("{sign}{before}.{behind}e{shift}")), Ok(i128::from(value)));
            let zeros = "0".repeat(shift);
            prop_assert_eq!(whole(&format!("{sign}{digits}{zeros}E-{shift}")), Ok(i128::from(value)));
            prop_assert_eq!(whole(&format!("{sign}{digits}.{zeros}")), Ok(i128::from(value)));
        }

        #[test]
        fn it_agrees_with_floats(mantissa in 0u64..1 << 30, exponent in -12i32..8) {
            let text = format!("{mantissa}e{exponent}");
            let value: f64 = text.parse().unwrap();
            match whole(&text) {
                Ok(found) => prop_assert_eq!(found as f64, value),
                Err(error) => {
                    prop_assert_eq!(error, IntegerFault::Fraction);
                    prop_assert!(value.fract() != 0.0);
                }
            }
        }
    }
}
