//! Barcodes files.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use arrow::array::{StringArray, StringBuilder};
use tempfile::SpooledTempFile;

use super::table::{Numbering, Separator, Table, unclosed};
use crate::source::error::ErrorContext;
use crate::source::text::TextFile;
use crate::source::{OpenOptions, SourceError};

/// Longer lists are kept in a temporary file.
const IN_MEMORY: usize = 16 << 20;

/// The offset of every `STEP`-th cell is remembered.
const STEP: u64 = 1024;

/// Names of the first column in barcodes files that have a header line; pandas and R may leave it
/// empty.
const HEADINGS: &[&str] = &[
    "",
    "barcode",
    "barcodes",
    "bc_wells",
    "cell",
    "cell_barcode",
    "cell_id",
    "cell_ids",
    "cellid",
    "cells",
    "index",
];

/// The identifiers of cells, parsed once and then read by range. Raw matrices have millions of
/// them, so long lists do not stay in memory.
pub(crate) struct CellList {
    place: ErrorContext,
    names: Mutex<SpooledTempFile>,
    /// Offsets of the names of the cells 0, STEP, 2 × STEP, …, and the end of the last one.
    starts: Vec<u64>,
    count: u64,
    /// Number of columns in the list.
    columns: usize,
    /// How it was split into columns, if not at tabs.
    split: Option<String>,
    heading: bool,
}

impl CellList {
    /// Reads the first column of a list, which must not have more than `most` lines.
    pub fn read(file: &TextFile, most: u64, options: &OpenOptions) -> Result<Self, SourceError> {
        let place = file.place();
        let scratch = |source| SourceError::Scratch {
            path: options.scratch.clone(),
            source,
        };
        let mut names = tempfile::spooled_tempfile_in(IN_MEMORY, &options.scratch);
        let mut table = Table::open(file, HEADINGS)?;
        let (mut starts, mut count, mut at, mut columns) = (Vec::new(), 0u64, 0u64, 1usize);
        let mut numbering = Numbering::default();
        let mut buffer = Vec::with_capacity(1 << 16);
        let separator = table.separator();
        while let Some((number, line)) = table.next()? {
            if count == most {
                return Err(place.damaged(format!(
                    "it lists more than {most} cells, which is more than the matrix has of anything"
                )));
            }
            let (name, fields) = separator
                .first(line)
                .ok_or_else(|| unclosed(&place, number))?;
            columns = columns.max(fields);
            if separator != Separator::Tab {
                numbering.see(&name);
            }
            if count.is_multiple_of(STEP) {
                starts.push(at);
            }
            buffer.extend_from_slice(name.as_bytes());
            buffer.push(b'\n');
            at += name.len() as u64 + 1;
            count += 1;
            if buffer.len() >= 1 << 16 {
                names.write_all(&buffer).map_err(scratch)?;
                buffer.clear();
            }
        }
        names.write_all(&buffer).map_err(scratch)?;
        starts.push(at);
        table.finish()?;
        numbering.check(columns, &place)?;
        Ok(CellList {
            split: table.split_note("names are those of the first column"),
            heading: table.heading().is_some(),
            place,
            names: Mutex::new(names),
            starts,
            count,
            columns,
        })
    }

    /// Number of cells.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Number of columns in the widest line.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How it was split into columns, if not at tabs.
    pub fn split(&self) -> Option<&str> {
        self.split.as_deref()
    }

    /// Whether its first line is a header.
    pub fn has_heading(&self) -> bool {
        self.heading
    }

    /// Context for errors about the file as a whole.
    pub fn place(&self) -> &ErrorContext {
        &self.place
    }

    /// Returns the identifiers of a range of cells.
    pub fn ids(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        if cells.start > cells.end || cells.end > self.count {
            return Err(self.place.damaged(format!(
                "cells {} to {} were requested, but it lists {}",
                cells.start,
                cells.end.saturating_sub(1),
                self.count()
            )));
        }
        if cells.is_empty() {
            return Ok(StringArray::from(Vec::<String>::new()));
        }
        self.read_names(cells).map_err(|e| self.place.io("read", e))
    }

    fn read_names(&self, cells: Range<u64>) -> std::io::Result<StringArray> {
        let first = (cells.start / STEP) as usize;
        let last = cells.end.div_ceil(STEP) as usize;
        let bytes = self.starts[first]..self.starts[last.min(self.starts.len() - 1)];
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.seek(SeekFrom::Start(bytes.start))?;
        let mut lines = BufReader::new(Read::take(&mut *names, bytes.end - bytes.start));
        let mut builder = StringBuilder::new();
        let mut line = String::new();
        for cell in first as u64 * STEP..cells.end {
            line.clear();
            lines.read_line(&mut line)?;
            if cell >= cells.start {
                builder.append_value(line.trim_end_matches('\n'));
            }
        }
        Ok(builder.finish())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str, most: u64) -> Result<CellList, SourceError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        CellList::read(&TextFile::new(file.path()), most, &OpenOptions::default())
    }

    fn ids(list: &CellList, cells: Range<u64>) -> Vec<String> {
        let ids = list.ids(cells).unwrap();
        ids.iter().flatten().map(str::to_string).collect()
    }

    #[test]
    fn any_range_of_a_long_list() {
        let text: String = (0..5000).map(|i| format!("cell {i}\tmore\r\n")).collect();
        let list = list(&text, 5000).unwrap();
        assert_eq!((list.count(), list.columns()), (5000, 2));
        for range in [0..1, 1023..1025, 4999..5000, 17..4099, 5..5] {
            let wanted: Vec<String> = range.clone().map(|i| format!("cell {i}")).collect();
            assert_eq!(ids(&list, range), wanted);
        }
        assert!(list.ids(4999..5001).is_err());
    }

    proptest! {
        #[test]
        fn any_text_ends_in_an_answer(bytes in prop::collection::vec(prop_oneof![
            Just(b'\t'), Just(b'\n'), Just(b'\r'), Just(b'"'), Just(b'a'), any::<u8>()
        ], 0..100)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let file = TextFile::new(file.path());
            if let Ok(list) = CellList::read(&file, 20, &OpenOptions::default()) {
                prop_assert_eq!(list.ids(0..list.count()).unwrap().len() as u64, list.count());
            }
        }
    }

    #[test]
    fn blank_lines_end_a_list() {
        let found = list("a\nb\n\n\r\n", 9).unwrap();
        assert_eq!(ids(&found, 0..2), ["a", "b"]);
        let message = list("a\n\nb\n", 9).err().unwrap().to_string();
        assert!(message.contains("line 2"), "{message}");
        assert!(list("a\nb\n", 1).is_err());
        assert_eq!(list("\u{feff}a\n\"b\"", 9).unwrap().count(), 2);
    }
}
