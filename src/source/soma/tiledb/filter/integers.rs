//! Integer filters: bit-width reduction and positive delta (format_spec/tile.md).

use super::super::cursor::{Cursor, little_endian};
use super::super::datatype::Datatype;
use super::super::fault::{Checked, Fault};

/// Undoes bit-width reduction: each window has an offset and the width to which its values were
/// reduced; if that width is not smaller, the window is stored unchanged.
pub(super) fn widen(
    cursor: &mut Cursor<'_>,
    data: &[u8],
    datatype: Datatype,
    most: usize,
    out: &mut Vec<u8>,
) -> Checked<()> {
    let width = datatype.size();
    let original = cursor.length32()?;
    let windows = cursor.u32()?;
    let windows = cursor.count(windows.into(), width + 5)?;
    if original > most {
        return Err(Fault::damaged(format!(
            "a window of {original} bytes is too large for its chunk"
        )));
    }
    out.try_reserve(original)
        .map_err(|_| Fault::TooLarge(original as u64))?;
    let mut data = Cursor::new(data);
    for _ in 0..windows {
        let offset = little_endian(cursor.take(width)?);
        let bits = usize::from(cursor.u8()?);
        let length = cursor.length32()?;
        if length > original.saturating_sub(out.len()) {
            return Err(Fault::damaged("windows are longer than what they make"));
        }
        if bits >= width * 8 || length % width != 0 {
            out.extend_from_slice(data.take(length)?);
            continue;
        }
        if !matches!(bits, 8 | 16 | 32) {
            return Err(Fault::damaged(format!(
                "a window is reduced to {bits} bits"
            )));
        }
        let reduced = bits / 8;
        for value in data.take(length / width * reduced)?.chunks_exact(reduced) {
            let value = offset.wrapping_add(little_endian(value));
            out.extend_from_slice(&value.to_le_bytes()[..width]);
        }
    }
    data.finish("the windows of a chunk")?;
    if out.len() != original {
        return Err(Fault::damaged(format!(
            "windows make {} bytes where {original} are expected",
            out.len()
        )));
    }
    Ok(())
}

/// Undoes positive delta: each window has its first value followed by differences.
pub(super) fn add_up(
    cursor: &mut Cursor<'_>,
    data: &[u8],
    datatype: Datatype,
    out: &mut Vec<u8>,
) -> Checked<()> {
    let width = datatype.size();
    let windows = cursor.u32()?;
    let windows = cursor.count(windows.into(), width + 4)?;
    let mut data = Cursor::new(data);
    for _ in 0..windows {
        let mut sum = little_endian(cursor.take(width)?);
        let length = cursor.length32()?;
        let differences = data.take(length)?.chunks_exact(width);
        let rest = differences.remainder();
        for difference in differences.clone() {
            sum = sum.wrapping_add(little_endian(difference));
            out.extend_from_slice(&sum.to_le_bytes()[..width]);
        }
        // Trailing bytes that are not a complete value are stored unchanged.
        out.extend_from_slice(rest);
    }
    data.finish("the windows of a chunk")
}
