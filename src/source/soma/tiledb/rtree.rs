//! R-trees: the coordinates covered by the tiles of a fragment.

use super::cursor::Cursor;
use super::fault::{Checked, Fault, reserved};
use super::ranges::{Span, ranges};
use super::schema::Dimension;

/// Returns the spans at the last level of an R-tree, which are those of the tiles.
pub(super) fn tree(bytes: &[u8], dimensions: &[Dimension], tiles: usize) -> Checked<Vec<Span>> {
    let mut cursor = Cursor::new(bytes);
    let _fanout = cursor.u32()?;
    let levels = cursor.u32()?;
    let mut leaves = Vec::new();
    for level in 0..levels {
        let count = cursor.u64()?;
        let count = cursor.count(count, 16)?;
        let last = level + 1 == levels;
        if last {
            leaves = reserved(count)?;
        }
        for _ in 0..count {
            let ranges = ranges(&mut cursor, dimensions)?;
            if last {
                let mut ranges = ranges.into_iter().chain([Some([0, 0])]);
                let mut next = || ranges.next().flatten();
                match (next(), next()) {
                    (Some(first), Some(second)) => leaves.push([first, second]),
                    _ => return Err(Fault::unsupported("a dimension that is not of int64")),
                }
            }
        }
    }
    cursor.finish("the R-tree")?;
    if leaves.len() != tiles {
        return Err(Fault::damaged(format!(
            "its R-tree has {} leaves for {tiles} tiles",
            leaves.len()
        )));
    }
    Ok(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200), tiles in 0usize..10) {
            let _ = tree(&bytes, &[], tiles);
        }
    }
}
