//! Byte and bit shuffling: the first bytes (or bits) of all values, then the second ones, and so
//! on.

use super::super::cursor::Cursor;
use super::super::fault::{Checked, Fault};

/// Bit shuffling works on blocks of this many bytes.
const BLOCK: usize = 8192;

/// Splits a chunk into its parts, which are shuffled independently.
fn parts<'a>(cursor: &mut Cursor<'_>, data: &'a [u8]) -> Checked<Vec<&'a [u8]>> {
    let count = cursor.u32()?;
    let count = cursor.count(count.into(), 4)?;
    let mut data = Cursor::new(data);
    let parts: Vec<&[u8]> = (0..count)
        .map(|_| data.take(cursor.length32()?))
        .collect::<Checked<_>>()?;
    data.finish("the shuffled parts of a chunk")?;
    Ok(parts)
}

/// Undoes byte shuffling of values of `width` bytes.
pub(super) fn unshuffle_bytes(
    cursor: &mut Cursor<'_>,
    data: &[u8],
    width: usize,
    out: &mut Vec<u8>,
) -> Checked<()> {
    for part in parts(cursor, data)? {
        let count = part.len() / width;
        let start = out.len();
        out.resize(start + part.len(), 0);
        let target = &mut out[start..];
        match width {
            4 => transpose::<4>(part, count, target),
            8 => transpose::<8>(part, count, target),
            _ => {
                for byte in 0..width {
                    for value in 0..count {
                        target[value * width + byte] = part[byte * count + value];
                    }
                }
            }
        }
        let whole = count * width;
        target[whole..].copy_from_slice(&part[whole..]);
    }
    Ok(())
}

/// Assembles `count` values of `W` bytes from `W` rows of `count` bytes.
fn transpose<const W: usize>(part: &[u8], count: usize, target: &mut [u8]) {
    let rows: [&[u8]; W] = std::array::from_fn(|byte| &part[byte * count..(byte + 1) * count]);
    for (value, bytes) in target.chunks_exact_mut(W).take(count).enumerate() {
        for (byte, row) in bytes.iter_mut().zip(rows) {
            *byte = row[value];
        }
    }
}

/// Undoes bit shuffling of values of `width` bytes. Parts that are not divisible into groups of
/// eight values are stored unchanged, and so is whatever follows the last such group of a block.
pub(super) fn unshuffle_bits(
    cursor: &mut Cursor<'_>,
    data: &[u8],
    width: usize,
    out: &mut Vec<u8>,
) -> Checked<()> {
    if !BLOCK.is_multiple_of(width * 8) {
        return Err(Fault::damaged(format!(
            "values of {width} bytes cannot be shuffled"
        )));
    }
    for part in parts(cursor, data)? {
        if !part.len().is_multiple_of(width) || !part.len().is_multiple_of(8) {
            out.extend_from_slice(part);
            continue;
        }
        for block in part.chunks(BLOCK) {
            let count = block.len() / width / 8 * 8;
            let start = out.len();
            out.resize(start + block.len(), 0);
            let target = &mut out[start..];
            // One row per bit of a value, with one bit per value.
            for (number, row) in block[..count * width]
                .chunks_exact((count / 8).max(1))
                .enumerate()
            {
                let (byte, bit) = (number / 8, number % 8);
                for (value, cell) in target.chunks_exact_mut(width).take(count).enumerate() {
                    cell[byte] |= (row[value / 8] >> (value % 8) & 1) << bit;
                }
            }
            target[count * width..].copy_from_slice(&block[count * width..]);
        }
    }
    Ok(())
}
