//! Bounds-checked reading of little-endian numbers and text from bytes.

use super::fault::{Checked, Fault};

/// A position in a byte slice.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    /// Number of bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Reads `length` bytes.
    pub fn take(&mut self, length: usize) -> Checked<&'a [u8]> {
        match self.rest().get(..length) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => Err(Fault::damaged(format!(
                "{length} bytes are expected at {}, but there are only {}",
                self.at,
                self.rest().len()
            ))),
        }
    }

    fn array<const N: usize>(&mut self) -> Checked<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Reads a byte.
    pub fn u8(&mut self) -> Checked<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads a byte that must be 0 or 1.
    pub fn flag(&mut self, what: &str) -> Checked<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Fault::damaged(format!("{what} is {other}, not 0 or 1"))),
        }
    }

    /// Reads a 32-bit number.
    pub fn u32(&mut self) -> Checked<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a 64-bit number.
    pub fn u64(&mut self) -> Checked<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a 4-byte length.
    pub fn length32(&mut self) -> Checked<usize> {
        Ok(self.u32()? as usize)
    }

    /// Reads an 8-byte length.
    pub fn length64(&mut self) -> Checked<usize> {
        let length = self.u64()?;
        usize::try_from(length)
            .map_err(|_| Fault::damaged(format!("a length of {length} cannot be")))
    }

    /// Checks that at least `count` items of `size` bytes follow, and returns `count`.
    pub fn count(&mut self, count: u64, size: usize) -> Checked<usize> {
        let room = (self.rest().len() / size.max(1)) as u64;
        if count > room {
            return Err(Fault::damaged(format!(
                "{count} items are announced where {room} have room"
            )));
        }
        Ok(count as usize)
    }

    fn text(&mut self, length: usize) -> Checked<String> {
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_string()),
            Err(_) => Err(Fault::damaged("a name is not UTF-8")),
        }
    }

    /// Reads text preceded by its length in 4 bytes.
    pub fn text32(&mut self) -> Checked<String> {
        let length = self.length32()?;
        self.text(length)
    }

    /// Reads text preceded by its length in 8 bytes.
    pub fn text64(&mut self) -> Checked<String> {
        let length = self.length64()?;
        self.text(length)
    }

    /// Reads `count` 8-byte numbers.
    pub fn u64s(&mut self, count: usize) -> Checked<Vec<u64>> {
        let length = count
            .checked_mul(8)
            .ok_or_else(|| Fault::damaged(format!("{count} numbers cannot be")))?;
        let numbers = self.take(length)?.chunks_exact(8);
        Ok(numbers.map(little_endian).collect())
    }

    /// Checks that nothing follows.
    pub fn finish(self, what: &str) -> Checked<()> {
        match self.rest().len() {
            0 => Ok(()),
            left => Err(Fault::damaged(format!("{left} bytes follow {what}"))),
        }
    }
}

/// Converts up to eight little-endian bytes to a number.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    let length = bytes.len().min(8);
    wide[..length].copy_from_slice(&bytes[..length]);
    u64::from_le_bytes(wide)
}

/// Converts up to eight big-endian bytes to a number.
pub(super) fn big_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let mut cursor = Cursor::new(&[1, 0, 0, 0, 9]);
        assert_eq!(cursor.u32(), Ok(1));
        assert!(cursor.u32().is_err());
        assert_eq!(cursor.u8(), Ok(9));
        assert!(cursor.take(usize::MAX).is_err());
        assert!(cursor.u64s(usize::MAX).is_err());
        assert!(Cursor::new(&[255; 8]).text64().is_err());
        assert!(Cursor::new(&[1, 0, 0, 0, 0xff]).text32().is_err());
        assert!(Cursor::new(&[0; 15]).count(2, 8).is_err());
        assert!(Cursor::new(&[2]).flag("it").is_err());
    }

    #[test]
    fn both_byte_orders() {
        assert_eq!(little_endian(&[1, 2]), 0x0201);
        assert_eq!(big_endian(&[1, 2]), 0x0102);
    }
}
