//! Validates data files before Lance trusts the lengths and offsets in them.
//!
//! The name of a file written by this program ends with the XXH3 hash of its bytes. In other files,
//! all offsets and sizes are checked against the size of the file.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use lance_file::format::pbfile::ColumnMetadata;
use lance_table::format::DataFile;
use xxhash_rust::xxh3::Xxh3;

use super::TableError;
use crate::store::{Named, StoreError};

/// Length of the footer: three offsets, two counts, two version numbers, and a magic word.
const FOOTER: u64 = 40;
const MAGIC: &[u8] = b"LANC";

/// Number of bytes read at a time.
const BLOCK: usize = 1 << 18;

/// A page of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// Rows of the page in the fragment.
    pub rows: Range<u64>,
    /// Number of bytes they take up in the file.
    pub bytes: u64,
}

/// Pages of each column of a file; empty for version 1 of the file format, which is not inspected.
pub(super) type Pages = Vec<Vec<Page>>;

/// Returns the final name of a file, once its hash is known.
pub(super) fn name_with_hash(name: &str, hash: u64) -> String {
    let stem = name.strip_suffix(".lance").unwrap_or(name);
    format!("{stem}-{hash:016x}.lance")
}

/// Returns the hash in the name of a file: JOB-UNIQUE-HASH.lance.
fn hash_in(name: &str) -> Option<u64> {
    let mut parts = name.strip_suffix(".lance")?.split('-');
    let digits = |part: Option<&str>, length: Option<usize>| {
        part.filter(|part| length.is_none_or(|length| part.len() == length))
            .filter(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .map(str::to_string)
    };
    digits(parts.next(), None)?;
    digits(parts.next(), Some(32))?;
    let hash = digits(parts.next(), Some(16))?;
    match parts.next() {
        None => u64::from_str_radix(&hash, 16).ok(),
        Some(_) => None,
    }
}

/// Checks, as far as possible, that a data file in the folder of a table is unchanged since it was
/// written.
///
/// # Errors
/// [`TableError::Damaged`] if it is not.
pub(super) fn check(table: &Path, file: &DataFile) -> Result<Pages, TableError> {
    let path = &table.join("data").join(&file.path);
    let damaged = |problem: String| TableError::Damaged {
        path: path.to_path_buf(),
        problem,
    };
    let mut open = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(damaged("it is missing".into()));
        }
        other => other.named("open", path)?,
    };
    let length = open.metadata().named("open", path)?.len();
    if let Some(expected) = file.file_size_bytes.get()
        && u64::from(expected) != length
    {
        return Err(damaged(format!(
            "it has {length} bytes instead of {expected}"
        )));
    }
    if let Some(expected) = hash_in(&file.path)
        && hash_of(&mut open).named("read", path)? != expected
    {
        return Err(damaged("its bytes are not those that were written".into()));
    }
    let pages = Contents { file: open, length }.pages();
    pages.map_err(|fault| match fault {
        Fault::Damaged(problem) => damaged(problem.into()),
        Fault::Io(error) => StoreError::from_io("read", path, error).into(),
    })
}

fn hash_of(file: &mut File) -> std::io::Result<u64> {
    let (mut hash, mut block) = (Xxh3::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.digest()),
            bytes => hash.update(&block[..bytes]),
        }
    }
}

enum Fault {
    Damaged(&'static str),
    Io(std::io::Error),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Fault::Io(error)
    }
}

struct Contents {
    file: File,
    length: u64,
}

impl Contents {
    /// The format is described in Lance's `file2.proto`.
    fn pages(&mut self) -> Result<Pages, Fault> {
        let beyond = Fault::Damaged("it names a place beyond its end");
        let Some(footer) = self.length.checked_sub(FOOTER) else {
            return Err(Fault::Damaged("it is too short"));
        };
        let tail = self.bytes(footer..self.length)?;
        if !tail.ends_with(MAGIC) {
            return Err(Fault::Damaged("it does not end as a Lance file does"));
        }
        let u64_at = |bytes: &[u8], at: usize| number::<8>(bytes, at).map_or(0, u64::from_le_bytes);
        let u32_at = |at: usize| number::<4>(&tail, at).map_or(0, u32::from_le_bytes);
        let u16_at = |at: usize| number::<2>(&tail, at).map_or(0, u16::from_le_bytes);
        if u16_at(32) == 0 && u16_at(34) < 3 {
            return Ok(Pages::new());
        }
        let (columns_start, offsets_start) = (u64_at(&tail, 0), u64_at(&tail, 8));
        let (buffers_start, buffers, columns) = (u64_at(&tail, 16), u32_at(24), u32_at(28));
        let table = |start: u64, entries: u32| {
            let end = start.checked_add(16 * u64::from(entries))?;
            (end <= footer).then_some(start..end)
        };
        let (Some(offsets), Some(buffers)) =
            (table(offsets_start, columns), table(buffers_start, buffers))
        else {
            return Err(beyond);
        };
        for entry in self.bytes(buffers)?.chunks_exact(16) {
            self.within(u64_at(entry, 0), u64_at(entry, 8), self.length)?;
        }
        let mut pages = Pages::new();
        for entry in self.bytes(offsets)?.chunks_exact(16) {
            let column = self.within(u64_at(entry, 0), u64_at(entry, 8), offsets_start)?;
            if column.start < columns_start {
                return Err(beyond);
            }
            let column = self.column(column)?;
            pages.push(column);
        }
        Ok(pages)
    }

    /// Reads the pages of the column with this metadata.
    fn column(&mut self, description: Range<u64>) -> Result<Vec<Page>, Fault> {
        let unknown = || Fault::Damaged("the description of a column cannot be understood");
        let length = u32::try_from(description.end - description.start).map_err(|_| unknown())?;
        // As elsewhere in Lance, with the length of the message in front.
        let mut message = length.to_le_bytes().to_vec();
        message.extend(self.bytes(description)?);
        let column: ColumnMetadata =
            lance_io::utils::read_message_from_buf(&message.into()).map_err(|_| unknown())?;
        self.buffers(&column.buffer_offsets, &column.buffer_sizes)?;
        let (mut pages, mut row) = (Vec::with_capacity(column.pages.len()), 0u64);
        for page in &column.pages {
            let bytes = self.buffers(&page.buffer_offsets, &page.buffer_sizes)?;
            let end = row.checked_add(page.length);
            let end = end.filter(|&end| end <= i64::MAX as u64);
            let end = end.ok_or(Fault::Damaged("it has more rows than can be counted"))?;
            pages.push(Page {
                rows: row..end,
                bytes,
            });
            row = end;
        }
        Ok(pages)
    }

    /// Total size of some buffers in bytes.
    fn buffers(&self, offsets: &[u64], sizes: &[u64]) -> Result<u64, Fault> {
        if offsets.len() != sizes.len() {
            return Err(Fault::Damaged("buffers of a page have no sizes"));
        }
        let mut bytes = 0u64;
        for (&offset, &size) in offsets.iter().zip(sizes) {
            self.within(offset, size, self.length)?;
            bytes = bytes.saturating_add(size);
        }
        Ok(bytes)
    }

    fn within(&self, offset: u64, size: u64, end: u64) -> Result<Range<u64>, Fault> {
        let last = offset.checked_add(size).filter(|&last| last <= end);
        last.map(|last| offset..last)
            .ok_or(Fault::Damaged("it names a place beyond its end"))
    }

    /// Reads bytes, which must be inside the file.
    fn bytes(&mut self, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        let length = usize::try_from(range.end.saturating_sub(range.start))
            .map_err(|_| Fault::Damaged("it names a place beyond its end"))?;
        let mut bytes = vec![0; length];
        self.file.seek(SeekFrom::Start(range.start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_hashes() {
        let unique = "0123456789abcdef0123456789abcdef";
        let name = name_with_hash(&format!("fa7e-{unique}.lance"), 0x1234);
        assert_eq!(name, format!("fa7e-{unique}-0000000000001234.lance"));
        assert_eq!(hash_in(&name), Some(0x1234));
        for other in [
            format!("fa7e-{unique}.lance"),
            format!("{unique}.lance"),
            "10101011-0000000000001234.lance".to_string(),
            format!("fa7e-{unique}-0000000000001234-x.lance"),
            format!("fa7e-{unique}-00000000000012zz.lance"),
        ] {
            assert_eq!(hash_in(&other), None, "{other}");
        }
    }

    proptest::proptest! {
        /// Whatever a file contains, checking it terminates, using memory in proportion to its
        /// size.
        #[test]
        fn any_bytes_are_looked_at(
            mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 40..300),
            places in proptest::array::uniform3(0u64..300),
            counts in proptest::array::uniform2(0u32..6),
        ) {
            let at = bytes.len() - 40;
            for (number, place) in places.iter().enumerate() {
                bytes[at + 8 * number..][..8].copy_from_slice(&place.to_le_bytes());
            }
            for (number, count) in counts.iter().enumerate() {
                bytes[at + 24 + 4 * number..][..4].copy_from_slice(&count.to_le_bytes());
            }
            bytes[at + 32..].copy_from_slice(&[2, 0, 1, 0, b'L', b'A', b'N', b'C']);
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, &bytes).unwrap();
            let length = bytes.len() as u64;
            if let Ok(pages) = (Contents { file, length }).pages() {
                proptest::prop_assert!(pages.len() <= bytes.len() / 16);
            }
        }
    }
}
