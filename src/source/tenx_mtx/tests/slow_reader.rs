//! A slow reader of the text of a matrix, line by line, with which the fast one must agree.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::super::entries::Cell;
use super::super::{BLOCK, Blocks};
use super::{CELLS, FEATURES, open, orders};
use crate::source::{ChunkBudget, Matrix, SourceError, TypedVec};

/// A word of an entry, right or wrong: indices and values as they occur, and others that do not.
fn word() -> impl Strategy<Value = String> {
    let plain = (1u64..10).prop_map(|number| number.to_string());
    let signed = any::<i64>().prop_map(|number| number.to_string());
    let decimal = (-2000i64..2000, 0usize..4).prop_map(|(number, places)| {
        let digits = format!("{:0width$}", number.abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let sign = if number < 0 { "-" } else { "" };
        format!("{sign}{whole}.{fraction}")
    });
    let scaled = (
        1u64..2000,
        prop_oneof![Just("e"), Just("E")],
        -4i32..4,
        any::<bool>(),
    )
        .prop_map(|(number, e, power, plus)| {
            if plus && power >= 0 {
                format!("{number}{e}+0{power}")
            } else {
                format!("{number}{e}{power}")
            }
        });
    let odd = prop::sample::select(vec![
        "0",
        "+3",
        "-0",
        "007",
        "1e",
        "1e+",
        ".",
        ".5",
        "5.",
        "nan",
        "-inf",
        "1e400",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616",
        "123456789012345678901234567890e-20",
        "0e99999999999999999999",
        "1e-99999999999999999999",
        "0.1e1",
        "1,5",
        "x",
        "1_0",
        "%",
    ]);
    prop_oneof![
        6 => plain,
        1 => signed,
        2 => decimal,
        2 => scaled,
        1 => odd.prop_map(String::from),
    ]
}

/// Converts a decimal number to an integer, digit by digit, using only powers of ten.
fn slow_whole(word: &str) -> Option<i128> {
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let lower = unsigned.to_lowercase();
    let (mantissa, power) = match lower.split_once('e') {
        None => (&lower[..], 0i128),
        Some((mantissa, power)) => {
            let digits = power.strip_prefix(['-', '+']).unwrap_or(power);
            let all = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
            let size: i128 = all.then(|| digits.parse().unwrap_or(1 << 100))?;
            (mantissa, if power.starts_with('-') { -size } else { size })
        }
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let mut digits: Vec<char> = all.chars().collect();
    let mut power = power - fraction.len() as i128;
    while digits.last() == Some(&'0') && digits.len() > 1 {
        digits.pop();
        power += 1;
    }
    if digits.iter().all(|&digit| digit == '0') {
        return Some(0);
    }
    if power < 0 || digits.len() as i128 + power > 60 {
        return None;
    }
    digits.extend(std::iter::repeat_n('0', power as usize));
    let text: String = digits.into_iter().collect();
    let value: i128 = text.parse().ok()?;
    Some(if word.starts_with('-') { -value } else { value })
}

/// The fields to try, by name.
const FIELDS: [&str; 5] = ["integer", "real", "float", "double", "pattern"];

/// Returns what a slow line-by-line reader finds in the text of a matrix: entries with cell,
/// feature and the bits of the value, or `None` if the text is wrong.
fn slow(text: &str, field: &str, order: Cell, promised: usize) -> Option<Vec<(u64, u32, u64)>> {
    let mut found = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line
            .split([' ', '\t', '\r'])
            .filter(|w| !w.is_empty())
            .collect();
        if words.first().is_none_or(|word| word.starts_with('%')) {
            continue;
        }
        let wanted = if field == "pattern" { 2 } else { 3 };
        if words.len() != wanted {
            return None;
        }
        let (rows, columns) = match order {
            Cell::First => (CELLS, FEATURES),
            Cell::Second => (FEATURES, CELLS),
        };
        let index = |word: &str, most: u64| {
            let index = slow_whole(word)?;
            (1..=i128::from(most))
                .contains(&index)
                .then(|| index as u64 - 1)
        };
        let (row, column) = (index(words[0], rows)?, index(words[1], columns)?);
        let value = match field {
            "pattern" => 1,
            "integer" => i64::try_from(slow_whole(words[2])?).ok()? as u64,
            _ => {
                let value: f64 = words[2].parse().ok()?;
                let digits = words[2].chars().any(|c| c.is_ascii_digit());
                (!(value.is_infinite() && digits)).then(|| value.to_bits())?
            }
        };
        let (cell, feature) = match order {
            Cell::First => (row, column),
            Cell::Second => (column, row),
        };
        found.push((cell, feature as u32, value));
    }
    found.sort_by_key(|entry| entry.0);
    (found.len() == promised).then_some(found)
}

/// Returns what this reader finds, whichever path it takes.
fn fast(
    path: &Path,
    order: Cell,
    block: usize,
    cut: u64,
) -> Result<Vec<(u64, u32, u64)>, SourceError> {
    let matrix = open(path, order, block, &[true; FEATURES as usize])?;
    let (_, first, _) = Blocks::open(&matrix.file, BLOCK)?;
    matrix.look(&first)?;
    let read = || -> Result<Vec<(u64, u32, u64)>, SourceError> {
        let mut found = Vec::new();
        for rows in [0..cut, cut..CELLS] {
            for chunk in matrix.chunks(
                rows,
                ChunkBudget {
                    bytes: 300,
                    cells: 5,
                },
            )? {
                let chunk = chunk?.read()?;
                let TypedVec::UInt32(genes) = &chunk.indices else {
                    panic!("genes are 32 bits wide")
                };
                let bits = |at: usize| match &chunk.data {
                    TypedVec::Int64(values) => values[at] as u64,
                    TypedVec::Float64(values) => values[at].to_bits(),
                    TypedVec::UInt8(values) => u64::from(values[at]),
                    other => panic!("{:?}", other.number_type()),
                };
                for (cell, ends) in chunk.rows.clone().zip(chunk.indptr.windows(2)) {
                    found.extend((ends[0]..ends[1]).map(|at| (cell, genes[at], bits(at))));
                }
            }
        }
        Ok(found)
    };
    matrix.prepare(&|_| ())?;
    match read() {
        Err(SourceError::OrderLost { .. }) => {
            matrix.prepare(&|_| ())?;
            read()
        }
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Signs, exponents, comments, blank lines, CRLF, wrong words and wrong counts.
    #[test]
    fn what_is_read_is_what_a_slow_reader_finds(
        field in prop::sample::select(FIELDS.to_vec()),
        order in orders(),
        lines in prop::collection::vec(
            (0..CELLS, 0..FEATURES, prop::option::weighted(0.03, word()), word(), 0usize..9),
            0..24,
        ),
        sort in any::<bool>(),
        tame in any::<bool>(),
        miscounted in prop::option::weighted(0.05, 0usize..20),
        block in prop_oneof![1usize..200, Just(BLOCK)],
        cut in 0..=CELLS,
    ) {
        let mut lines = lines;
        if sort {
            lines.sort_by_key(|line| line.0);
        }
        let (rows, columns) = match order {
            Cell::First => (CELLS, FEATURES),
            Cell::Second => (FEATURES, CELLS),
        };
        let promised = miscounted.unwrap_or(lines.len());
        let mut body = String::new();
        for (cell, feature, odd, value, style) in &lines {
            let (cell, feature) = (cell + 1, feature + 1);
            let (first, second) = match order {
                Cell::First => (cell, feature),
                Cell::Second => (feature, cell),
            };
            let first = odd.clone().unwrap_or_else(|| match style {
                3 => format!("{first}.0"),
                4 => format!("0.{first}e{}", first.to_string().len()),
                _ => first.to_string(),
            });
            let value = match (field, tame) {
                ("pattern", true) => String::new(),
                ("integer", true) => format!("{}e+00", slow_whole(value).unwrap_or(7) as i64),
                (_, true) if value.parse::<f64>().is_err() => "0.25".into(),
                _ => value.clone(),
            };
            let (before, between, end) = [
                ("", " ", "\n"),
                ("", "\t", "\r\n"),
                ("  ", "   ", " \n"),
                ("", " ", "\n"),
                ("\t", " ", "\t\r\n"),
                ("", " ", "\n\r\n \t\n"),
                ("", " ", "\n% 1 1 1\n"),
                ("%%\n", " ", "\n"),
                ("", " ", "\n"),
            ][*style];
            write!(body, "{before}{first}{between}{second}{between}{value}{end}").unwrap();
        }
        if lines.len() % 3 == 0 {
            body += "\n\r\n";
        }
        let head = format!("%%MatrixMarket matrix coordinate {field} general\n{rows} {columns} {promised}\n");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{head}{body}")).unwrap();
        let found = fast(file.path(), order, block, cut);
        match (slow(&body, field, order, promised), found) {
            (Some(wanted), Ok(found)) => prop_assert_eq!(found, wanted, "{}", body),
            (None, Err(_)) => {}
            (wanted, found) => prop_assert!(false, "{}{}\n{:?}\n{:?}", head, body, wanted, found),
        }
    }
}
