//! Values of a file: integers, reals, or none.

use super::digits::{digits, is_blank};
use super::header::excerpt;
use super::integer::{IntegerFault, whole};

/// A value of a file.
pub(super) trait Value: Copy {
    /// Parses a value at an offset of the text and returns its end; `None` to use the slow path.
    fn fast(text: &[u8], at: usize) -> Option<(Self, usize)>;
    /// Parses the words that follow the two indices.
    fn slow(words: &[&str]) -> Result<Self, String>;
}

impl Value for i64 {
    #[inline(always)]
    fn fast(text: &[u8], at: usize) -> Option<(Self, usize)> {
        if !is_blank(*text.get(at)?) {
            return None;
        }
        let (value, end) = digits(text, at + 1);
        // Eighteen digits always fit.
        let length = end - at - 1;
        (length > 0 && length <= 18).then_some((value as i64, end))
    }

    fn slow(words: &[&str]) -> Result<Self, String> {
        let [word] = words else {
            return Err(String::new());
        };
        let value =
            whole(word).and_then(|value| i64::try_from(value).map_err(|_| IntegerFault::TooLarge));
        value.map_err(|why| {
            let excerpt = excerpt(word);
            match why {
                IntegerFault::TooLarge => {
                    format!("the value {excerpt} is larger than 64 bits hold")
                }
                IntegerFault::NoNumber if word.parse::<f64>().is_err() => {
                    format!("{excerpt:?} is not a number")
                }
                // Infinities and NaN are not integers, either.
                IntegerFault::NoNumber | IntegerFault::Fraction => format!(
                    "the value {excerpt} is not a whole number, but the first line says integer"
                ),
            }
        })
    }
}

impl Value for u8 {
    #[inline(always)]
    fn fast(_: &[u8], at: usize) -> Option<(Self, usize)> {
        Some((1, at))
    }

    fn slow(words: &[&str]) -> Result<Self, String> {
        match words {
            [] => Ok(1),
            _ => Err("it has a value, but the first line says pattern".into()),
        }
    }
}

/// Powers of ten that are exact in float64.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl Value for f64 {
    #[inline(always)]
    fn fast(text: &[u8], at: usize) -> Option<(Self, usize)> {
        if !is_blank(*text.get(at)?) {
            return None;
        }
        let start = at + 1;
        let (mut mantissa, mut end) = digits(text, start);
        let whole = end - start;
        let mut decimals = 0;
        if text.get(end) == Some(&b'.') {
            let (fraction, fraction_end) = digits(text, end + 1);
            decimals = fraction_end - end - 1;
            if whole + decimals > 18 {
                return None;
            }
            mantissa = mantissa * 10u64.pow(decimals as u32) + fraction;
            end = fraction_end;
        }
        if whole == 0 || whole + decimals > 18 || mantissa > 1 << 53 {
            return None;
        }
        // Both are exact, so that the quotient is rounded only once, and correctly.
        Some((mantissa as f64 / EXACT_POWERS[decimals], end))
    }

    fn slow(words: &[&str]) -> Result<Self, String> {
        let [word] = words else {
            return Err(String::new());
        };
        match word.parse::<f64>() {
            Ok(value) if value.is_infinite() && word.bytes().any(|byte| byte.is_ascii_digit()) => {
                Err(format!(
                    "the value {} is larger than float64 holds",
                    excerpt(word)
                ))
            }
            Ok(value) => Ok(value),
            Err(_) => Err(format!("{:?} is not a number", excerpt(word))),
        }
    }
}
