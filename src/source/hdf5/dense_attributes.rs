//! Attributes that lie in a heap of their object, not in its header, read without libhdf5: to look at
//! one of them, it reads all of it into memory, however long it is.
//!
//! (HDF5 file format, "Attribute Info Message", "Version 2 B-trees" and "Fractal Heap".)

use std::cell::OnceCell;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::messages::{u16_at, u32_at, u64_at};

/// Records and nodes of an index that are looked at, at most, and bytes of a node.
const MOST_RECORDS: u64 = 1 << 14;
const LARGEST_NODE: u32 = 1 << 16;

/// Bytes from which the name of an attribute shows.
const HEAD: u64 = 1 << 12;

/// Kinds of indices: of attributes by name, and of long objects of a heap.
const BY_NAME: u8 = 8;
const LONG_OBJECTS: u8 = 1;

/// Flag of a record whose attribute lies in a heap of the file.
const SHARED: u8 = 2;

/// The attributes of an object whose header leads to a heap.
pub(super) struct DenseAttributes<'a> {
    file: &'a File,
    base: u64,
    heap: Heap,
    /// Index of the long ones, once it is read.
    long: OnceCell<Option<Vec<Vec<u8>>>>,
    /// Where they are in the heap.
    ids: Vec<[u8; 8]>,
}

/// An attribute in a heap.
pub(super) struct DenseAttribute {
    at: u64,
    /// Its length in bytes.
    pub length: u64,
}

impl<'a> DenseAttributes<'a> {
    /// Reads the index at `names` of the attributes in the heap at `heap`. `None` where these are not
    /// understood.
    pub fn of(file: &'a File, base: u64, heap: u64, names: u64) -> Option<Self> {
        let heap = Heap::read(file, base, heap)?;
        let mut ids = Vec::new();
        for record in records(file, base, names, BY_NAME)? {
            if record.get(8)? & SHARED != 0 {
                return None;
            }
            ids.push(*record.first_chunk()?);
        }
        Some(DenseAttributes {
            file,
            base,
            heap,
            long: OnceCell::new(),
            ids,
        })
    }

    /// Looks for the attribute of a name. The outer `None` where it is not understood.
    pub fn find(&self, name: &str) -> Option<Option<DenseAttribute>> {
        for id in &self.ids {
            let found = self.object(*id)?;
            let head = self.bytes(&found, HEAD)?;
            if name_of(&head)? == name.as_bytes() {
                return Some(Some(found));
            }
        }
        Some(None)
    }

    fn object(&self, id: [u8; 8]) -> Option<DenseAttribute> {
        let heap = &self.heap;
        match id[0] & 0xf0 {
            0 => {
                let offset = number(id.get(1..=heap.offset)?)?;
                let length = number(id.get(1 + heap.offset..)?.get(..heap.length)?)?;
                let at = heap.place(self.file, self.base, offset)?;
                Some(DenseAttribute { at, length })
            }
            0x10 => {
                let read = || records(self.file, self.base, heap.long, LONG_OBJECTS);
                let long = self.long.get_or_init(read).as_ref()?;
                let wanted = number(&id[1..])?;
                let record = long.iter().find(|r| u64_at(r, 16) == Some(wanted))?;
                let at = u64_at(record, 0)?.checked_add(self.base)?;
                let length = u64_at(record, 8)?;
                Some(DenseAttribute { at, length })
            }
            _ => None,
        }
    }

    /// Reads an attribute as it would lie in a header, at most so many bytes of it.
    pub fn bytes(&self, attribute: &DenseAttribute, most: u64) -> Option<Vec<u8>> {
        let length = usize::try_from(attribute.length.min(most)).ok()?;
        let room = self.file.metadata().ok()?.len();
        if attribute.at.checked_add(attribute.length)? > room {
            return None;
        }
        read(self.file, attribute.at, length)
    }
}

/// The name in the message of an attribute.
fn name_of(body: &[u8]) -> Option<&[u8]> {
    let head = if *body.first()? == 3 { 9 } else { 8 };
    let size = usize::from(u16_at(body, 2)?);
    body.get(head..)?.get(..size)?.split(|&b| b == 0).next()
}

/// A heap whose blocks double in size.
struct Heap {
    /// Bytes of an offset, and of the length of a short object.
    offset: usize,
    length: usize,
    /// Index of long objects.
    long: u64,
    /// Blocks of a row.
    width: u64,
    /// Bytes of a block of the first row.
    start: u64,
    /// Rows whose blocks hold objects; others hold blocks.
    direct_rows: u32,
    root: u64,
    /// Rows of the root; 0 if it holds objects itself.
    rows: u16,
}

impl Heap {
    fn read(file: &File, base: u64, address: u64) -> Option<Self> {
        let head = read(file, address.checked_add(base)?, 142)?;
        let filters = u16_at(&head, 7)?;
        if !head.starts_with(b"FRHP\0") || u16_at(&head, 5)? != 8 || filters != 0 {
            return None;
        }
        let (width, start) = (u64::from(u16_at(&head, 110)?), u64_at(&head, 112)?);
        let largest = u64_at(&head, 120)?;
        let powers = [width, start, largest];
        if !powers.into_iter().all(u64::is_power_of_two) || start > largest {
            return None;
        }
        let bits = u16_at(&head, 128)?;
        let of_object = u64::from(u32_at(&head, 10)?);
        Some(Heap {
            offset: usize::from(bits.div_ceil(8)),
            length: bytes_for(of_object).min(largest.ilog2().div_ceil(8).max(1) as usize),
            long: u64_at(&head, 22)?,
            width,
            start,
            direct_rows: largest.ilog2() - start.ilog2() + 2,
            root: u64_at(&head, 132)?,
            rows: u16_at(&head, 140)?,
        })
    }

    /// The byte of the file at which an offset of the heap lies.
    fn place(&self, file: &File, base: u64, offset: u64) -> Option<u64> {
        let mut block = self.root.checked_add(base)?;
        if self.rows == 0 {
            return block.checked_add(offset);
        }
        let first_row = self.start.checked_mul(self.width)?;
        let (mut rest, mut rows) = (offset, u32::from(self.rows));
        loop {
            let (row, column, size) = if rest < first_row {
                (0, rest / self.start, self.start)
            } else {
                let row = rest.ilog2() - first_row.ilog2() + 1;
                let size = self.start.checked_shl(row - 1)?;
                (row, (rest - (1 << rest.ilog2())) / size, size)
            };
            if row >= rows {
                return None;
            }
            let entry = u64::from(row) * self.width + column;
            let entry = 13 + self.offset as u64 + entry * 8;
            let head = read(file, block, 5)?;
            if head != b"FHIB\0" {
                return None;
            }
            let address = read(file, block.checked_add(entry)?, 8)?;
            block = u64_at(&address, 0)?.checked_add(base)?;
            rest %= size;
            if row < self.direct_rows {
                return block.checked_add(rest);
            }
            // Its blocks are of smaller rows.
            rows = size.ilog2().checked_sub(first_row.ilog2())? + 1;
        }
    }
}

/// The records of an index, in any order.
fn records(file: &File, base: u64, address: u64, kind: u8) -> Option<Vec<Vec<u8>>> {
    let head = read(file, address.checked_add(base)?, 34)?;
    if !head.starts_with(b"BTHD\0") || head[5] != kind || u64_at(&head, 26)? > MOST_RECORDS {
        return None;
    }
    let (size, record) = (u32_at(&head, 6)?, u16_at(&head, 10)?);
    let (depth, count) = (u16_at(&head, 12)?, u16_at(&head, 24)?);
    if !(10..=LARGEST_NODE).contains(&size) || record == 0 || depth > 8 {
        return None;
    }
    if count == 0 {
        return Some(Vec::new());
    }
    let mut tree = Tree {
        file,
        base,
        size: size as usize,
        record: usize::from(record),
        counts: vec![0],
        left: 2 * MOST_RECORDS,
        found: Vec::new(),
    };
    let leaf = u64::from((size - 10) / u32::from(record));
    let (of_child, mut below) = (bytes_for(leaf), leaf);
    for _ in 0..depth {
        let pointer = 8 + of_child + tree.counts.last()?;
        let room = tree.size.checked_sub(10 + pointer)?;
        let most = (room / (tree.record + pointer)) as u64;
        below = (most + 1).checked_mul(below)?.checked_add(most)?;
        tree.counts.push(bytes_for(below));
    }
    tree.node(u64_at(&head, 16)?, depth, u64::from(count), of_child)?;
    Some(tree.found)
}

struct Tree<'a> {
    file: &'a File,
    base: u64,
    /// Bytes of a node, and of a record.
    size: usize,
    record: usize,
    /// Bytes of the number of records below a node, by its depth.
    counts: Vec<usize>,
    /// Records and nodes that may still be found.
    left: u64,
    found: Vec<Vec<u8>>,
}

impl Tree<'_> {
    fn node(&mut self, address: u64, depth: u16, count: u64, of_child: usize) -> Option<()> {
        self.left = self.left.checked_sub(count.checked_add(1)?)?;
        let node = read(self.file, address.checked_add(self.base)?, self.size)?;
        let signature = if depth == 0 { b"BTLF" } else { b"BTIN" };
        if !node.starts_with(signature) {
            return None;
        }
        let (records, rest) = node
            .get(6..)?
            .split_at_checked(count as usize * self.record)?;
        self.found
            .extend(records.chunks(self.record).map(<[u8]>::to_vec));
        if depth == 0 {
            return Some(());
        }
        let below = match depth {
            1 => 0,
            _ => *self.counts.get(usize::from(depth) - 1)?,
        };
        let mut pointers = rest.chunks_exact(8 + of_child + below);
        for _ in 0..=count {
            let pointer = pointers.next()?;
            let records = number(&pointer[8..8 + of_child])?;
            self.node(u64_at(pointer, 0)?, depth - 1, records, of_child)?;
        }
        Some(())
    }
}

/// Bytes of a number up to this one.
fn bytes_for(most: u64) -> usize {
    most.max(1).ilog2() as usize / 8 + 1
}

fn number(bytes: &[u8]) -> Option<u64> {
    let mut all = [0; 8];
    all.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(all))
}

fn read(file: &File, at: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(
            heap in prop::collection::vec(any::<u8>(), 137..400),
            index in prop::collection::vec(any::<u8>(), 29..400),
            small in 0u8..4,
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut heap = [b"FRHP\0\x08\0\0\0".as_slice(), &heap].concat();
            heap[110..128].copy_from_slice(&[4, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
            let mut index = [b"BTHD\0\x08", &index[..]].concat();
            // Of few nodes, which begin where the index does.
            index[6..16].copy_from_slice(&[40, 0, 0, 0, 17, 0, small, 0, 0, 0]);
            index[16..34].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
            let node: &[u8] = if small == 0 { b"BTLF\0\x08" } else { b"BTIN\0\x08" };
            let at = (node.len() + 300) as u64;
            std::fs::write(file.path(), [node, &heap[..300.min(heap.len())], &index].concat()).unwrap();
            let file = File::open(file.path()).unwrap();
            let _ = records(&file, 0, at, BY_NAME);
            if let Some(heap) = Heap::read(&file, 0, node.len() as u64) {
                let _ = (heap.place(&file, 0, 7), heap.place(&file, 0, u64::MAX));
            }
            if let Some(found) = DenseAttributes::of(&file, 0, node.len() as u64, at) {
                let _ = found.find("a").flatten().map(|a| found.bytes(&a, 100));
            }
        }
    }
}
