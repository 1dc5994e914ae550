//! For any blocks, chunks, ranges and spellings, the entries must be the same, and equal to those
//! found by a slow reader.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::entries::Cell;
use super::matrix::MtxMatrix;
use super::{BLOCK, Blocks};
use crate::source::text::TextFile;
use crate::source::transpose::TransposeOptions;
use crate::source::{ChunkBudget, CsrChunk, Matrix, Reindex, SourceError, TypedVec};

const CELLS: u64 = 12;
const FEATURES: u64 = 7;

type Entry = (u64, u32, i64);

fn open(path: &Path, order: Cell, block: usize, kept: &[bool]) -> Result<MtxMatrix, SourceError> {
    let file = TextFile::new(path);
    let (header, _, _) = Blocks::open(&file, BLOCK)?;
    let options = TransposeOptions {
        memory: 64 << 20,
        threads: 2,
        scratch: std::env::temp_dir(),
    };
    Ok(MtxMatrix::new(
        file,
        header,
        order,
        Arc::new(Reindex::of_mask(kept)),
        options,
    )?
    .in_blocks_of(block))
}

fn entries_of(chunk: &CsrChunk) -> Vec<Entry> {
    let TypedVec::UInt32(genes) = &chunk.indices else {
        panic!("genes are 32 bits wide")
    };
    let values = chunk.data.to_i64().unwrap();
    let rows = chunk.rows.clone().zip(chunk.indptr.windows(2));
    rows.flat_map(|(cell, ends)| {
        let row = ends[0]..ends[1];
        row.map(|at| (cell, genes[at], values[at]))
            .collect::<Vec<_>>()
    })
    .collect()
}

/// Reads all entries, range by range; starts with the last chunks if `backwards` is set.
fn read(
    matrix: &MtxMatrix,
    cuts: &[u64],
    budget: ChunkBudget,
    backwards: bool,
) -> Result<Vec<Entry>, SourceError> {
    let mut found = Vec::new();
    for range in cuts.windows(2) {
        let mut pending = Vec::new();
        let mut next = range[0];
        for chunk in matrix.chunks(range[0]..range[1], budget)? {
            let chunk = chunk?;
            assert_eq!(chunk.rows.start, next);
            assert!(chunk.rows.end > next && chunk.rows.end - next <= budget.cells);
            next = chunk.rows.end;
            pending.push(chunk);
        }
        assert_eq!(next, range[1]);
        if backwards {
            pending.reverse();
        }
        for chunk in pending {
            let cells = chunk.rows.clone();
            let chunk = chunk.read()?;
            assert_eq!(
                (chunk.rows.clone(), chunk.indptr.len() as u64),
                (cells.clone(), cells.end - cells.start + 1)
            );
            found.push((cells.start, entries_of(&chunk)));
        }
    }
    found.sort_by_key(|(start, _)| *start);
    Ok(found.into_iter().flat_map(|(_, entries)| entries).collect())
}

/// Separators and line endings to try.
const SPELLINGS: [(&str, &str); 5] = [
    (" ", "\n"),
    ("\t", "\r\n"),
    ("   ", " \n"),
    (" ", "\n\n"),
    (" ", "\n% no entry\n"),
];

fn text(entries: &[Entry], order: Cell, spellings: &[usize], promised: usize) -> String {
    let (rows, columns) = match order {
        Cell::First => (CELLS, FEATURES),
        Cell::Second => (FEATURES, CELLS),
    };
    let mut text = format!(
        "%%MatrixMarket matrix coordinate integer general\n%\n{rows} {columns} {promised}\n"
    );
    for (number, (cell, feature, value)) in entries.iter().enumerate() {
        let (between, end) = SPELLINGS[spellings[number % spellings.len()]];
        let (cell, feature) = (cell + 1, u64::from(*feature) + 1);
        let (first, second) = match order {
            Cell::First => (cell, feature),
            Cell::Second => (feature, cell),
        };
        write!(text, "{first}{between}{second}{between}{value}{end}").unwrap();
    }
    text
}

fn orders() -> impl Strategy<Value = Cell> {
    prop_oneof![Just(Cell::First), Just(Cell::Second)]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec((0..CELLS, 0..FEATURES as u32, -5i64..100_000), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sorted_entries_are_the_same_for_any_block(
        mut entries in entries(),
        order in orders(),
        spellings in prop::collection::vec(0usize..5, 1..4),
        block in 1usize..400,
        bytes in 1u64..4000,
        most in 1u64..20,
        cut in 0..=CELLS,
        kept in prop::collection::vec(any::<bool>(), FEATURES as usize),
        backwards in any::<bool>(),
    ) {
        entries.sort_by_key(|entry| entry.0);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text(&entries, order, &spellings, entries.len())).unwrap();
        let matrix = open(file.path(), order, block, &kept).unwrap();
        let (_, first, _) = Blocks::open(&matrix.file, BLOCK).unwrap();
        matrix.look(&first).unwrap();
        prop_assert!(!matrix.is_unsorted());
        let budget = ChunkBudget { bytes, cells: most };
        let map = Reindex::of_mask(&kept);
        let wanted: Vec<Entry> = entries
            .iter()
            .filter_map(|&(cell, feature, value)| Some((cell, map.get(feature)?, value)))
            .collect();
        // One after the other, which continues a stream, and again from the beginning.
        for cuts in [vec![0, cut, CELLS], vec![0, CELLS], vec![cut, CELLS]] {
            let from = cuts[0];
            let found = read(&matrix, &cuts, budget, backwards).unwrap();
            let wanted: Vec<Entry> = wanted.iter().filter(|entry| entry.0 >= from).copied().collect();
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn unsorted_entries_are_noticed_and_turned(
        entries in entries(),
        order in orders(),
        block in 1usize..400,
        bytes in 1u64..4000,
        cut in 0..=CELLS,
        second_first in any::<bool>(),
    ) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text(&entries, order, &[0], entries.len())).unwrap();
        let matrix = open(file.path(), order, block, &[true; FEATURES as usize]).unwrap();
        let budget = ChunkBudget { bytes, cells: 5 };
        let mut wanted = entries.clone();
        wanted.sort_by_key(|entry| entry.0);
        let sorted = wanted == entries;
        // Ranges may be read in any order: whatever one of them misses, the other one must notice.
        let first = if second_first {
            read(&matrix, &[cut, CELLS], budget, false).and_then(|mut later| {
                let mut all = read(&matrix, &[0, cut], budget, false)?;
                all.append(&mut later);
                Ok(all)
            })
        } else {
            read(&matrix, &[0, cut, CELLS], budget, false)
        };
        match first {
            Ok(found) => prop_assert!(sorted && found == wanted),
            Err(SourceError::OrderLost { .. }) => {
                prop_assert!(!sorted);
                matrix.prepare(&|_| ()).unwrap();
                prop_assert_eq!(read(&matrix, &[0, cut, CELLS], budget, true).unwrap(), wanted);
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn a_wrong_number_of_entries_is_noticed(
        mut entries in entries(),
        promised in 0usize..120,
        cut in 0..CELLS,
        block in 1usize..400,
        sort in any::<bool>(),
        backwards in any::<bool>(),
    ) {
        prop_assume!(promised != entries.len());
        if sort {
            entries.sort_by_key(|entry| entry.0);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text(&entries, Cell::Second, &[0, 3, 4], promised)).unwrap();
        let matrix = open(file.path(), Cell::Second, block, &[true; FEATURES as usize]).unwrap();
        let budget = ChunkBudget { bytes: 100, cells: 5 };
        let mut error = read(&matrix, &[cut, CELLS], budget, backwards).unwrap_err();
        if matches!(error, SourceError::OrderLost { .. }) {
            error = matrix.prepare(&|_| ()).unwrap_err();
        }
        let message = error.to_string();
        prop_assert!(message.contains(&format!("promises {promised}")), "{}", message);
        prop_assert!(message.contains(&format!("there are {}", entries.len())), "{}", message);
    }

    #[test]
    fn damaged_text_ends_in_an_answer(
        mut entries in entries(),
        block in 1usize..400,
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![
            Just(b'\n'), Just(b' '), Just(b'9'), Just(b'0'), Just(b'-'), Just(b'%'), any::<u8>()
        ]), 1..5),
    ) {
        entries.sort_by_key(|entry| entry.0);
        let mut bytes = text(&entries, Cell::Second, &[0, 1, 2, 3, 4], entries.len()).into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let read = || -> Result<(), SourceError> {
            let matrix = open(file.path(), Cell::Second, block, &[true; FEATURES as usize])?;
            if matrix.cells() > 1000 {
                return Ok(());
            }
            let budget = ChunkBudget { bytes: 500, cells: 5 };
            matrix.sample(&mut |_| ())?;
            let result = read(&matrix, &[0, matrix.cells()], budget, false);
            if let Err(SourceError::OrderLost { .. }) = result {
                read(&matrix, &[0, matrix.cells()], budget, false)?;
            }
            result.map(|_| ())
        };
        let _ = read();
    }
}

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

/// When only some of the rows are read, an entry that comes too late is missed, unless the order
/// was checked or is known.
#[test]
fn a_part_of_the_rows_shows_no_disorder() {
    let entries = [(0, 1, 5), (1, 1, 6), (2, 2, 7), (0, 3, 8)];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        text(&entries, Cell::Second, &[0], entries.len()),
    )
    .unwrap();
    let first = |prepare: &dyn Fn(&MtxMatrix)| {
        let matrix = open(file.path(), Cell::Second, 10, &[true; FEATURES as usize]).unwrap();
        prepare(&matrix);
        let budget = ChunkBudget { bytes: 1, cells: 1 };
        read(&matrix, &[0, 1], budget, false).unwrap()
    };
    assert_eq!(first(&|_| ()), [(0, 1, 5)]);
    let wanted = [(0, 1, 5), (0, 3, 8)];
    assert_eq!(first(&|matrix| matrix.check_order().unwrap()), wanted);
    assert_eq!(first(&MtxMatrix::assume_unsorted), wanted);
}

#[test]
fn symmetric_matrices_are_whole() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (symmetry, opposite) in [("symmetric", 1), ("hermitian", 1), ("skew-symmetric", -1)] {
        let text = format!(
            "%%MatrixMarket matrix coordinate integer {symmetry}\n3 3 3\n1 1 5\n3 1 7\n3 2 8\n"
        );
        std::fs::write(file.path(), text).unwrap();
        let matrix = open(file.path(), Cell::Second, 10, &[true; 3]).unwrap();
        let budget = ChunkBudget { bytes: 1, cells: 2 };
        let mut found = read(&matrix, &[0, 3], budget, false).unwrap();
        found.sort();
        let wanted = [
            (0, 0, 5),
            (0, 2, 7),
            (1, 2, 8),
            (2, 0, opposite * 7),
            (2, 1, opposite * 8),
        ];
        assert_eq!(found, wanted, "{symmetry}");
    }
}

#[test]
fn many_small_lines_take_no_quadratic_time() {
    let entries = 300_000;
    let mut text =
        format!("%%MatrixMarket matrix coordinate pattern general\n1 {entries} {entries}\n");
    for cell in 1..=entries {
        writeln!(text, "1 {cell}").unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let matrix = open(file.path(), Cell::Second, BLOCK, &[true]).unwrap();
    for budget in [
        ChunkBudget { bytes: 1, cells: 1 },
        ChunkBudget {
            bytes: u64::MAX,
            cells: u64::MAX,
        },
    ] {
        let found = read(&matrix, &[0, entries], budget, false).unwrap();
        assert_eq!(found.len() as u64, entries);
    }
}
