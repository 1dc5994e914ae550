//! Parses the lines with entries.
//!
//! Every entry passes through here: digits are read once, straight into numbers. Anything unusual
//! in a line (a sign, a second blank, a comment) takes a slower path, which also finds out what is
//! wrong.

use super::digits::{digits, is_blank};
use super::header::excerpt;
use super::integer::{IntegerFault, whole};
use super::value::Value;

/// Receives entries.
pub(super) trait Sink<V> {
    /// Takes an entry with this cell and feature, both counted from 0. Returns `false` if the cell
    /// is not allowed at this point.
    fn add(&mut self, cell: u64, feature: u32, value: V) -> bool;
}

/// Which of a line's two indices is the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    First,
    Second,
}

/// The dimensions that indices must not exceed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Number of cells.
    pub cells: u64,
    /// Number of features.
    pub features: u64,
}

/// Why text cannot be parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The line at this offset is wrong, and why.
    Line(usize, String),
    /// An entry's cell is out of order.
    Order,
}

/// Returns the end of the line if nothing but the line ending follows at this offset.
#[inline(always)]
fn line_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at) {
        Some(b'\n') => Some(at + 1),
        Some(b'\r') if text.get(at + 1) == Some(&b'\n') => Some(at + 2),
        _ => None,
    }
}

/// Parses a line in the usual form: returns both indices, the value, and the offset of the next
/// line.
#[inline(always)]
fn usual<V: Value>(text: &[u8], start: usize) -> Option<(u64, u64, V, usize)> {
    let (first, end) = digits(text, start);
    if end == start || end - start > 19 || !is_blank(*text.get(end)?) {
        return None;
    }
    let second_start = end + 1;
    let (second, end) = digits(text, second_start);
    if end == second_start || end - second_start > 19 {
        return None;
    }
    let (value, end) = V::fast(text, end)?;
    Some((first, second, value, line_end(text, end)?))
}

/// Passes every entry of the text to a sink and counts them. The text consists of whole lines.
pub(super) fn parse<V: Value, S: Sink<V>>(
    text: &[u8],
    order: Cell,
    bounds: Bounds,
    sink: &mut S,
) -> Result<u64, Fault> {
    // Feature positions are 32-bit; the reader has checked their number.
    let features = bounds.features.min(1 << 32);
    let (mut at, mut count) = (0, 0);
    while at < text.len() {
        let (first, second, value, next) = match usual::<V>(text, at) {
            Some(line) => line,
            None => {
                let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end + 1);
                match unusual::<V>(&text[at..end]) {
                    Ok(Some((first, second, value))) => (first, second, value, end),
                    Ok(None) => {
                        at = end;
                        continue;
                    }
                    Err(problem) => return Err(Fault::Line(at, problem)),
                }
            }
        };
        let (cell, feature) = match order {
            Cell::First => (first, second),
            Cell::Second => (second, first),
        };
        // Zero becomes the largest number, which is out of bounds.
        let (cell, feature) = (cell.wrapping_sub(1), feature.wrapping_sub(1));
        if cell >= bounds.cells || feature >= features {
            return Err(Fault::Line(at, outside(first, second, order, bounds)));
        }
        if !sink.add(cell, feature as u32, value) {
            return Err(Fault::Order);
        }
        count += 1;
        at = next;
    }
    Ok(count)
}

/// Returns the cell of the line at this offset, counted from 0; `None` for a line without an entry.
pub(super) fn cell_at(text: &[u8], at: usize, order: Cell) -> Result<Option<u64>, Fault> {
    let (first, end) = digits(text, at);
    if end > at && end - at <= 19 && text.get(end).copied().is_some_and(is_blank) {
        if order == Cell::First && first > 0 {
            return Ok(Some(first - 1));
        }
        let (second, second_end) = digits(text, end + 1);
        let ends = text
            .get(second_end)
            .is_none_or(|&byte| is_blank(byte) || byte == b'\n' || byte == b'\r');
        let plain = ends && second_end > end + 1 && second_end - end <= 20;
        if order == Cell::Second && plain && second > 0 {
            return Ok(Some(second - 1));
        }
    }
    let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end + 1);
    let fault = |problem| Fault::Line(at, problem);
    let Some(words) = words(&text[at..end]).map_err(fault)? else {
        return Ok(None);
    };
    let word = match order {
        Cell::First => words.first(),
        Cell::Second => words.get(1),
    };
    let index = word.ok_or_else(|| fault(incomplete(&words)))?;
    let index = index_of(index).map_err(fault)?;
    match index.checked_sub(1) {
        Some(cell) => Ok(Some(cell)),
        None => Err(fault(
            "its indices begin with 0; they must begin with 1".into(),
        )),
    }
}

/// Splits a line into words; `None` if it is blank or a comment.
fn words(line: &[u8]) -> Result<Option<Vec<&str>>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not text".to_string())?;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let none = words.first().is_none_or(|word| word.starts_with('%'));
    Ok((!none).then_some(words))
}

fn incomplete(words: &[&str]) -> String {
    let line = words.join(" ");
    format!(
        "{:?} is not an entry: row, column and value",
        excerpt(&line)
    )
}

fn unusual<V: Value>(line: &[u8]) -> Result<Option<(u64, u64, V)>, String> {
    let Some(words) = words(line)? else {
        return Ok(None);
    };
    let [first, second, ..] = words[..] else {
        return Err(incomplete(&words));
    };
    let indices = (index_of(first)?, index_of(second)?);
    let value = V::slow(&words[2..]).map_err(|problem| {
        if problem.is_empty() {
            incomplete(&words)
        } else {
            problem
        }
    })?;
    Ok(Some((indices.0, indices.1, value)))
}

fn index_of(word: &str) -> Result<u64, String> {
    let large = || format!("the index {} is absurdly large", excerpt(word));
    match whole(word) {
        Ok(index) if index >= 0 => u64::try_from(index).map_err(|_| large()),
        Err(IntegerFault::TooLarge) if !word.starts_with('-') => Err(large()),
        _ => Err(format!("{:?} is not an index", excerpt(word))),
    }
}

fn outside(first: u64, second: u64, order: Cell, bounds: Bounds) -> String {
    let (rows, columns) = match order {
        Cell::First => (bounds.cells, bounds.features),
        Cell::Second => (bounds.features, bounds.cells),
    };
    if first == 0 || second == 0 {
        return "its indices begin with 0; they must begin with 1".into();
    }
    if first > rows {
        return format!("row {first} lies outside the {rows} rows of the matrix");
    }
    format!("column {second} lies outside the {columns} columns of the matrix")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl<V> Sink<V> for Vec<(u64, u32, V)> {
        fn add(&mut self, cell: u64, feature: u32, value: V) -> bool {
            self.push((cell, feature, value));
            true
        }
    }

    const BOUNDS: Bounds = Bounds {
        cells: 5,
        features: 9,
    };

    fn read<V: Value>(text: &str) -> Result<Vec<(u64, u32, V)>, String> {
        let mut entries = Vec::new();
        match parse(text.as_bytes(), Cell::Second, BOUNDS, &mut entries) {
            Ok(count) => {
                assert_eq!(count, entries.len() as u64);
                Ok(entries)
            }
            Err(Fault::Line(at, problem)) => Err(format!("{at}: {problem}")),
            Err(Fault::Order) => unreachable!(),
        }
    }

    #[test]
    fn lines_in_every_form() {
        let text = "1 1 7\n9\t5\t12\r\n\n% c\n  3  2   -4  \n+4 1 +5\n 1 1 9223372036854775807";
        let entries = read::<i64>(text).unwrap();
        assert_eq!(
            entries,
            [
                (0, 0, 7),
                (4, 8, 12),
                (1, 2, -4),
                (0, 3, 5),
                (0, 0, i64::MAX)
            ]
        );
        // As R writes large round numbers, in any position.
        let text = "1e+00 5e0 1e+05\n9.0 1 100000.0\n1\t2\t-2.50E+02\r\n0.3e1 4 1e-00\n";
        assert_eq!(
            read::<i64>(text).unwrap(),
            [(4, 0, 100_000), (0, 8, 100_000), (1, 0, -250), (3, 2, 1)]
        );
        let text = "1 1 .5\n2 1 10.5\n3 1 1.5e-2\n4 1 12.\n5 1 -2.8E2\n6 1 nan\n7 1 -inf\n";
        let values: Vec<f64> = read::<f64>(text).unwrap().iter().map(|e| e.2).collect();
        assert_eq!(values[..5], [0.5, 10.5, 0.015, 12.0, -280.0]);
        assert!(values[5].is_nan() && values[6] == f64::NEG_INFINITY);
        assert_eq!(read::<u8>("1 2\n3 4 \n").unwrap(), [(1, 0, 1), (3, 2, 1)]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, mention) in [
            ("1 1 1\n10 1 1\n", "6: row 10 lies outside the 9 rows"),
            ("1 6 1\n", "column 6 lies outside the 5 columns"),
            ("0 1 1\n", "begin with 1"),
            ("-1 1 1\n", "\"-1\" is not an index"),
            ("1 99999999999999999999 1\n", "absurdly large"),
            ("1 1\n", "\"1 1\" is not an entry"),
            ("1\n", "not an entry"),
            ("1 1 1 1\n", "not an entry"),
            ("1 1 x\n", "\"x\" is not a number"),
            ("1 1 1.5\n", "whole number"),
            ("1 1 1e-05\n", "whole number"),
            ("1 1 inf\n", "whole number"),
            ("1 1 1e19\n", "64 bits"),
            ("1 1e\n", "\"1e\" is not an index"),
            ("1 1e 1\n", "\"1e\" is not an index"),
            ("1.5 1 1\n", "\"1.5\" is not an index"),
            ("1 1e+20 1\n", "absurdly large"),
            ("1 1 9223372036854775808\n", "64 bits"),
            ("1 1 \u{fffd}\n", "not a number"),
            ("1;1;1\n", "not an entry"),
        ] {
            let message = read::<i64>(text).unwrap_err();
            assert!(message.contains(mention), "{text:?}: {message}");
        }
        assert!(read::<f64>("1 1 1e999\n").unwrap_err().contains("float64"));
        assert!(read::<u8>("1 1 1\n").unwrap_err().contains("pattern"));
    }

    #[test]
    fn cells_without_values() {
        for (line, cell) in [
            ("3 4 1\n", 3),
            (" 3   4", 3),
            ("3\t4\n", 3),
            ("3 4\r\n", 3),
            ("3 4.0 7\n", 3),
            ("3.0 0.4e1 7\n", 3),
        ] {
            assert_eq!(cell_at(line.as_bytes(), 0, Cell::Second), Ok(Some(cell)));
            assert_eq!(cell_at(line.as_bytes(), 0, Cell::First), Ok(Some(2)));
        }
        assert_eq!(cell_at(b"% 1 1\n", 0, Cell::First), Ok(None));
        assert!(cell_at(b"3\n", 0, Cell::Second).is_err());
        assert!(cell_at(b"3 0 1\n", 0, Cell::Second).is_err());
        assert_eq!(cell_at(b"3 1e+05 7\n", 0, Cell::Second), Ok(Some(99_999)));
        assert_eq!(cell_at(b"1e+05 3 7\n", 0, Cell::First), Ok(Some(99_999)));
    }

    proptest! {
        #[test]
        fn reals_are_rounded_as_the_standard_library_does(value in any::<f64>(), digits in 0usize..18) {
            prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:e}"), format!("{:.*}", digits, value % 1e9)] {
                let found = read::<f64>(&format!("1 1 {text}\n")).unwrap()[0].2;
                prop_assert_eq!(found.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{}", text);
            }
        }

        #[test]
        fn integers_are_exact(value in any::<i64>()) {
            let found = read::<i64>(&format!("2 3 {value}\n")).unwrap();
            prop_assert_eq!(found, [(2, 1, value)]);
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(prop_oneof![
            Just(b'1'), Just(b' '), Just(b'\n'), Just(b'.'), Just(b'-'), Just(b'\r'), Just(b'9'), any::<u8>()
        ], 0..200)) {
            let mut ints: Vec<(u64, u32, i64)> = Vec::new();
            let mut reals: Vec<(u64, u32, f64)> = Vec::new();
            let mut ones: Vec<(u64, u32, u8)> = Vec::new();
            let _ = parse(&bytes, Cell::First, BOUNDS, &mut ints);
            let _ = parse(&bytes, Cell::Second, BOUNDS, &mut reals);
            let _ = parse(&bytes, Cell::Second, BOUNDS, &mut ones);
            for at in 0..bytes.len() {
                let _ = cell_at(&bytes, at, Cell::Second);
            }
        }
    }
}
