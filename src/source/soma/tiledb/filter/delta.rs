//! Delta and double-delta encoding (format_spec/filters/delta.md and double_delta.md).

use super::super::cursor::{Cursor, little_endian};
use super::super::datatype::Datatype;
use super::super::fault::{Checked, Fault};

/// Checks a stored number of values against the number of bytes they must decode to.
fn check_count(count: u64, width: usize, original: usize) -> Checked<()> {
    if count.checked_mul(width as u64) == Some(original as u64) {
        return Ok(());
    }
    Err(Fault::damaged(format!(
        "{count} delta-encoded values of {width} bytes do not make {original} bytes"
    )))
}

/// Decodes delta encoding: the number of values, then their differences, each as wide as a value.
pub(super) fn single(
    bytes: &[u8],
    datatype: Datatype,
    original: usize,
    out: &mut Vec<u8>,
) -> Checked<()> {
    let width = datatype.size();
    let mut cursor = Cursor::new(bytes);
    let count = cursor.u64()?;
    check_count(count, width, original)?;
    let differences = cursor.take(original)?;
    cursor.finish("the differences")?;
    let mut sum = 0u64;
    for difference in differences.chunks_exact(width) {
        sum = sum.wrapping_add(little_endian(difference));
        out.extend_from_slice(&sum.to_le_bytes()[..width]);
    }
    Ok(())
}

/// Decodes double-delta encoding: the bit width of a difference, the number of values, the first
/// two values verbatim and, for every further value, a sign bit and a difference, packed into
/// 64-bit words from the most significant bit. If the bit width is that of a value, the values
/// follow verbatim.
pub(super) fn double(
    bytes: &[u8],
    datatype: Datatype,
    original: usize,
    out: &mut Vec<u8>,
) -> Checked<()> {
    let width = datatype.size();
    let mut cursor = Cursor::new(bytes);
    let bits = u32::from(cursor.u8()?);
    let count = cursor.u64()?;
    check_count(count, width, original)?;
    if bits as usize + 1 >= width * 8 {
        out.extend_from_slice(cursor.take(original)?);
        return cursor.finish("values that are not encoded");
    }
    let whole = original / width;
    let mut last = [0i64; 2];
    for place in last.iter_mut().take(whole) {
        let value = cursor.take(width)?;
        *place = extended(little_endian(value), width, datatype.is_signed());
        out.extend_from_slice(value);
    }
    let mut packed = Bits {
        cursor,
        word: 0,
        left: 0,
    };
    for _ in 2..whole {
        let negative = packed.take(1)? == 1;
        // Fewer than 63 bits.
        let size = packed.take(bits)? as i64;
        let difference = if negative { -size } else { size };
        let value = last[1]
            .wrapping_mul(2)
            .wrapping_sub(last[0])
            .wrapping_add(difference);
        let stored = &value.to_le_bytes()[..width];
        out.extend_from_slice(stored);
        let value = extended(little_endian(stored), width, datatype.is_signed());
        last = [last[1], value];
    }
    packed.cursor.finish("the differences")
}

/// Extends a value of `width` bytes to 64 bits.
fn extended(value: u64, width: usize, signed: bool) -> i64 {
    let unused = 64 - 8 * width as u32;
    if signed {
        ((value << unused) as i64) >> unused
    } else {
        value as i64
    }
}

/// Reads bits starting at the most significant bit of each 64-bit word.
struct Bits<'a> {
    cursor: Cursor<'a>,
    word: u64,
    left: u32,
}

impl Bits<'_> {
    /// Returns the next `count` bits, at most 63.
    fn take(&mut self, mut count: u32) -> Checked<u64> {
        let mut value = 0;
        while count > 0 {
            if self.left == 0 {
                self.word = self.cursor.u64()?;
                self.left = 64;
            }
            let taken = count.min(self.left);
            let mask = if taken == 64 {
                u64::MAX
            } else {
                (1 << taken) - 1
            };
            value = value << taken | (self.word >> (self.left - taken)) & mask;
            self.left -= taken;
            count -= taken;
        }
        Ok(value)
    }
}
