//! Compression of chunks.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use libdeflater::{CompressionLvl, Compressor};

/// How the chunks of an HDF5 file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filters {
    /// Not at all.
    None,
    /// Shuffled, and compressed by gzip of a level from 1 to 9.
    Gzip(u8),
}

impl Default for Filters {
    /// gzip of level 1: with shuffled bytes, higher levels gain little.
    fn default() -> Self {
        Filters::Gzip(1)
    }
}

impl fmt::Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filters::None => f.write_str("none"),
            Filters::Gzip(level) => write!(f, "gzip:{level}"),
        }
    }
}

impl FromStr for Filters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = match text {
            "none" => return Ok(Filters::None),
            "gzip" => return Ok(Filters::default()),
            text => text
                .strip_prefix("gzip:")
                .and_then(|level| level.parse().ok()),
        };
        match level {
            Some(level @ 1..=9) => Ok(Filters::Gzip(level)),
            _ => Err("it is none, gzip, or gzip:LEVEL with a level from 1 to 9".into()),
        }
    }
}

thread_local! {
    /// The compressor of this thread, of the level that it used last, and room for shuffled bytes.
    static COMPRESSOR: RefCell<Option<(u8, Compressor, Vec<u8>)>> = const { RefCell::new(None) };
}

impl Filters {
    /// Applies the filters to the bytes of a chunk of elements of `size` bytes.
    ///
    /// # Errors
    /// If the compressor fails, in words.
    pub(in crate::sink) fn applied(self, bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
        let Filters::Gzip(level) = self else {
            return Ok(bytes.to_vec());
        };
        COMPRESSOR.with_borrow_mut(|held| {
            let (_, compressor, shuffled) = match held {
                Some(known) if known.0 == level => known,
                other => {
                    let wanted = CompressionLvl::new(level.into()).unwrap_or_default();
                    other.insert((level, Compressor::new(wanted), Vec::new()))
                }
            };
            let bytes = if size > 1 {
                shuffle(bytes, size, shuffled);
                &shuffled[..]
            } else {
                bytes
            };
            let mut out = vec![0; compressor.zlib_compress_bound(bytes.len())];
            let length = compressor.zlib_compress(bytes, &mut out);
            // The room is as large as the result can be, so this fails where the compressor is at fault.
            let length =
                length.map_err(|error| format!("a chunk cannot be compressed: {error}"))?;
            out.truncate(length);
            out.shrink_to_fit();
            Ok(out)
        })
    }
}

/// Puts the first bytes of all elements first, then the second ones, as HDF5's filter does.
fn shuffle(bytes: &[u8], size: usize, out: &mut Vec<u8>) {
    out.clear();
    out.resize(bytes.len(), 0);
    match size {
        2 => shuffle_by::<2>(bytes, out),
        4 => shuffle_by::<4>(bytes, out),
        8 => shuffle_by::<8>(bytes, out),
        size => {
            let count = bytes.len() / size;
            for (at, byte) in bytes.iter().enumerate() {
                out[at % size * count + at / size] = *byte;
            }
        }
    }
}

fn shuffle_by<const SIZE: usize>(bytes: &[u8], out: &mut [u8]) {
    let count = bytes.len() / SIZE;
    for (byte, plane) in out.chunks_exact_mut(count.max(1)).enumerate().take(SIZE) {
        for (out, element) in plane.iter_mut().zip(bytes.chunks_exact(SIZE)) {
            *out = element[byte];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_checked() {
        assert_eq!("gzip".parse(), Ok(Filters::Gzip(1)));
        assert_eq!("gzip:9".parse(), Ok(Filters::Gzip(9)));
        assert_eq!("none".parse(), Ok(Filters::None));
        for wrong in ["gzip:0", "gzip:10", "gzip:x", "lzf", ""] {
            assert!(wrong.parse::<Filters>().is_err(), "{wrong}");
        }
        assert_eq!(Filters::Gzip(3).to_string().parse(), Ok(Filters::Gzip(3)));
    }

    #[test]
    fn what_is_applied_can_be_undone() {
        for size in [1usize, 2, 4, 7, 8, 18] {
            let bytes: Vec<u8> = (0..size * 1000).map(|i| (i * i % 251) as u8).collect();
            let stored = Filters::Gzip(1).applied(&bytes, size).unwrap();
            let mut plain = vec![0; bytes.len()];
            libdeflater::Decompressor::new()
                .zlib_decompress(&stored, &mut plain)
                .unwrap();
            let planes = plain.clone();
            for (at, byte) in plain.iter_mut().enumerate() {
                *byte = planes[at % size * 1000 + at / size];
            }
            assert_eq!(plain, bytes);
        }
    }
}
