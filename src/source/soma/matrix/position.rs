//! Which row or column a coordinate is.

use super::entries::Run;
use crate::source::soma::joinids::Joinids;
use crate::source::soma::tiledb::fault::{Fault, reserved};
use crate::source::soma::tiledb::whole_numbers;

/// Why a coordinate has no position.
pub(super) enum Unplaced {
    /// It is not in the range that its tile spans.
    Outside,
    /// There is no such row or column.
    Nobody(i64),
    Memory(Fault),
}

/// The positions of coordinates; those of dead cells may be any.
pub(super) fn positions(
    bytes: &[u8],
    ids: &Joinids,
    span: [i64; 2],
    dead: Option<&[bool]>,
) -> Result<Vec<u32>, Unplaced> {
    let mut positions: Vec<u32> = reserved(bytes.len() / 8).map_err(Unplaced::Memory)?;
    let length = span[1].wrapping_sub(span[0]);
    // Most tiles lie within one run of joinids, from which positions are counted.
    let whole = ids.position(span[0]).zip(ids.position(span[1]));
    let whole = whole.filter(|(first, last)| last.checked_sub(*first) == Some(length as u64));
    if let Some((first, _)) = whole {
        // The length of each axis was checked to be in the range.
        let first = first as u32;
        // No branch for each: beyond the span, one of the two is negative.
        let mut any = 0;
        positions.extend(whole_numbers(bytes).map(|id| {
            let distance = id.wrapping_sub(span[0]);
            any |= distance | length.wrapping_sub(distance);
            first.wrapping_add(distance as u32)
        }));
        return match any < 0 {
            true => Err(Unplaced::Outside),
            false => Ok(positions),
        };
    }
    let outside = |id: i64| id.wrapping_sub(span[0]) as u64 > length as u64;
    if whole_numbers(bytes).fold(false, |any, id| any | outside(id)) {
        return Err(Unplaced::Outside);
    }
    for (cell, id) in whole_numbers(bytes).enumerate() {
        match ids.position(id) {
            Some(position) => positions.push(position as u32),
            None if dead.is_some_and(|dead| dead[cell]) => positions.push(Run::NO_ROW),
            None => return Err(Unplaced::Nobody(id)),
        }
    }
    Ok(positions)
}
