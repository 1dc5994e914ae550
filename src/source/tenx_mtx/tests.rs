//! For any blocks, chunks, ranges and spellings, the entries must be the same, and equal to those
//! found by a slow reader.

mod slow_reader;

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
