//! Streaming gzip decompression (RFC 1952).

use std::io::{self, Read};

use zlib_rs::{Inflate, InflateFlush, Status};

/// Number of compressed bytes read at once.
const INPUT: usize = 128 << 10;

/// zlib's code for a gzip header and a window of 2^15 bytes.
const GZIP: u8 = 16 + 15;

/// The first bytes of a gzip file.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Decompresses a gzip stream with one or several members, as bgzip and `cat` produce. Verifies
/// checksums and lengths. Only zeros may follow the last member.
pub(super) struct Gunzip<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    member: Option<Inflate>,
    members: u64,
    done: bool,
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

impl<R: Read> Gunzip<R> {
    /// Decompresses `input`.
    pub fn new(input: R) -> Self {
        Gunzip {
            input,
            buffer: vec![0; INPUT],
            start: 0,
            end: 0,
            member: None,
            members: 0,
            done: false,
        }
    }

    /// Buffers `count` bytes, if there are as many, and returns how many are available.
    fn fill(&mut self, count: usize) -> io::Result<usize> {
        if self.end - self.start < count {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end - self.start < count {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.end - self.start)
    }

    /// Begins the next member; returns `false` at the end.
    fn begin(&mut self) -> io::Result<bool> {
        let there = self.fill(2)?;
        let next = &self.buffer[self.start..self.end];
        if there == 0 && self.members > 0 {
            return Ok(false);
        }
        if next.starts_with(&MAGIC) {
            self.member = Some(Inflate::new(true, GZIP));
            self.members += 1;
            return Ok(true);
        }
        if self.members == 0 {
            return Err(invalid("it is not gzip-compressed"));
        }
        loop {
            if self.buffer[self.start..self.end].iter().any(|&b| b != 0) {
                return Err(invalid("something else follows the compressed data"));
            }
            self.start = self.end;
            if self.fill(1)? == 0 {
                return Ok(false);
            }
        }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.done {
            return Ok(0);
        }
        loop {
            if self.member.is_none() && !self.begin()? {
                self.done = true;
                return Ok(0);
            }
            let Some(member) = &mut self.member else {
                return Ok(0);
            };
            let (read, written) = (member.total_in(), member.total_out());
            let input = &self.buffer[self.start..self.end];
            let status = member
                .decompress(input, out, InflateFlush::NoFlush)
                .map_err(|error| {
                    let what = member.error_message().unwrap_or(error.as_str());
                    invalid(format!("its compressed data are damaged: {what}"))
                })?;
            // Not more than the size of the buffers.
            self.start += (member.total_in() - read) as usize;
            let written = (member.total_out() - written) as usize;
            if status == Status::StreamEnd {
                self.member = None;
            }
            if written > 0 {
                return Ok(written);
            }
            if self.member.is_some() && self.start == self.end && self.fill(1)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use libdeflater::{CompressionLvl, Compressor};

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::default());
        let mut out = vec![0; compressor.gzip_compress_bound(text.len())];
        let length = compressor.gzip_compress(text, &mut out).unwrap();
        out.truncate(length);
        out
    }

    fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Gunzip::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    fn text() -> Vec<u8> {
        (0..400_000u32)
            .flat_map(|i| i.to_string().into_bytes())
            .collect()
    }

    #[test]
    fn members_follow_each_other() {
        let text = text();
        let mut all = gzip(&text);
        assert_eq!(gunzip(&all).unwrap(), text);
        all.extend(gzip(b""));
        all.extend(gzip(b"more"));
        all.extend([0; 1000]);
        let found = gunzip(&all).unwrap();
        assert!(found.starts_with(&text) && found.ends_with(b"more"));
        assert_eq!(found.len(), text.len() + 4);
        assert_eq!(gunzip(&gzip(b"")).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn damaged_bytes_end_in_an_answer(
            text in prop::collection::vec(any::<u8>(), 0..3000),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = gzip(&text);
            bytes.extend(gzip(b"more"));
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = gunzip(&bytes);
        }
    }

    #[test]
    fn damage_is_noticed() {
        let whole = gzip(&text());
        for length in [0, 1, 5, 17, whole.len() / 2, whole.len() - 1] {
            assert!(gunzip(&whole[..length]).is_err(), "{length}");
        }
        let cut = gunzip(&whole[..whole.len() - 5]).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        let mut garbage = whole.clone();
        garbage.extend(b"garbage");
        assert!(
            gunzip(&garbage)
                .unwrap_err()
                .to_string()
                .contains("follows")
        );
        for at in [20, whole.len() / 2, whole.len() - 6, whole.len() - 2] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x20;
            assert!(gunzip(&damaged).is_err(), "{at}");
        }
    }
}
