//! Maps coordinates to row or column positions.

use super::entries::Run;
use crate::source::soma::joinids::Joinids;
use crate::source::soma::tiledb::fault::{Fault, reserved};
use crate::source::soma::tiledb::whole_numbers;

/// Why a coordinate has no position.
pub(super) enum Unplaced {
    /// It is outside the range its tile covers.
    Outside,
    /// No row or column can have this joinid.
    Nobody(i64),
    Memory(Fault),
}

/// Positions of coordinates, and the cells without one together with their unknown joinid.
pub(super) struct Placed {
    /// Position of each coordinate; `Run::NO_ROW` for those without one.
    pub positions: Vec<u32>,
    /// Index of each cell without a position, and its joinid.
    pub strays: Vec<(u32, i64)>,
}

/// Looks up the positions of coordinates.
pub(super) fn positions(bytes: &[u8], ids: &Joinids, span: [i64; 2]) -> Result<Placed, Unplaced> {
    let mut positions: Vec<u32> = reserved(bytes.len() / 8).map_err(Unplaced::Memory)?;
    let length = span[1].wrapping_sub(span[0]);
    // Most tiles lie within one run of joinids, so that positions are offsets from its start.
    let whole = ids.position(span[0]).zip(ids.position(span[1]));
    let whole = whole.filter(|(first, last)| last.checked_sub(*first) == Some(length as u64));
    if let Some((first, _)) = whole {
        // The length of each axis has been checked to fit.
        let first = first as u32;
        // Branch-free: for a coordinate outside the span, one of the two is negative.
        let mut any = 0;
        positions.extend(whole_numbers(bytes).map(|id| {
            let distance = id.wrapping_sub(span[0]);
            any |= distance | length.wrapping_sub(distance);
            first.wrapping_add(distance as u32)
        }));
        return if any < 0 {
            Err(Unplaced::Outside)
        } else {
            Ok(Placed {
                positions,
                strays: Vec::new(),
            })
        };
    }
    let outside = |id: i64| id.wrapping_sub(span[0]) as u64 > length as u64;
    if whole_numbers(bytes).fold(false, |any, id| any | outside(id)) {
        return Err(Unplaced::Outside);
    }
    let mut strays = Vec::new();
    // A tile has fewer than 2^32 cells.
    for (cell, id) in (0u32..).zip(whole_numbers(bytes)) {
        match ids.position(id) {
            Some(position) => positions.push(position as u32),
            None if id < 0 => return Err(Unplaced::Nobody(id)),
            None => {
                positions.push(Run::NO_ROW);
                strays.push((cell, id));
            }
        }
    }
    Ok(Placed { positions, strays })
}
