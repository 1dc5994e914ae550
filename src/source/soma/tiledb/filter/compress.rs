//! Compressors. Each compresses both the data and the metadata of the filters applied before it, in
//! parts.

use std::io::{self, Read};

use super::super::cursor::Cursor;
use super::super::datatype::Datatype;
use super::super::fault::{Checked, Fault};
use super::{ChunkHeader, Codec, Scratch, delta};

/// Destination of decompressed bytes and their maximum number.
pub(super) struct Output<'a> {
    /// Decompressed metadata of the filters applied before.
    pub metadata: &'a mut Vec<u8>,
    /// Decompressed data.
    pub data: &'a mut Vec<u8>,
    /// Maximum number of bytes.
    pub most: usize,
}

/// The parts of a compressed chunk.
struct Parts {
    /// Number of metadata parts, which come first.
    metadata: usize,
    /// Size of each part before and after compression, in bytes.
    sizes: Vec<(usize, usize)>,
}

impl Parts {
    fn read(cursor: &mut Cursor<'_>) -> Checked<Self> {
        let (metadata, data) = (cursor.u32()?, cursor.u32()?);
        let count = cursor.count(u64::from(metadata) + u64::from(data), 8)?;
        let sizes = (0..count).map(|_| Ok((cursor.length32()?, cursor.length32()?)));
        Ok(Parts {
            metadata: metadata as usize,
            sizes: sizes.collect::<Checked<_>>()?,
        })
    }
}

/// Decompresses a chunk. `cursor` must contain nothing but the sizes of its parts.
pub(super) fn decode(
    codec: Codec,
    datatype: Datatype,
    mut cursor: Cursor<'_>,
    data: &[u8],
    output: &mut Output<'_>,
    scratch: &mut Scratch,
) -> Checked<()> {
    let parts = Parts::read(&mut cursor)?;
    cursor.finish("what a compressor says")?;
    let mut data = Cursor::new(data);
    for (number, (original, compressed)) in parts.sizes.into_iter().enumerate() {
        let out = if number < parts.metadata {
            &mut *output.metadata
        } else {
            &mut *output.data
        };
        if original > output.most.saturating_sub(out.len()) {
            return Err(Fault::damaged(format!(
                "a part of {original} bytes is too large for its chunk"
            )));
        }
        part(
            codec,
            datatype,
            data.take(compressed)?,
            original,
            out,
            scratch,
        )?;
    }
    data.finish("the compressed parts of a chunk")
}

/// Decompresses a chunk of a pipeline with only one filter.
pub(super) fn decode_plain(
    codec: Codec,
    header: ChunkHeader,
    metadata: &[u8],
    data: &[u8],
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Checked<()> {
    let start = out.len();
    let mut no_metadata = Vec::new();
    let mut output = Output {
        metadata: &mut no_metadata,
        data: out,
        most: start + header.original,
    };
    let datatype = Datatype::Blob;
    decode(
        codec,
        datatype,
        Cursor::new(metadata),
        data,
        &mut output,
        scratch,
    )?;
    if out.len() - start != header.original {
        return Err(Fault::damaged(format!(
            "a chunk holds {} bytes where {} are expected",
            out.len() - start,
            header.original
        )));
    }
    Ok(())
}

/// Appends `original` bytes from one compressed part.
fn part(
    codec: Codec,
    datatype: Datatype,
    bytes: &[u8],
    original: usize,
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Checked<()> {
    let start = out.len();
    if original == 0 && bytes.is_empty() {
        return Ok(());
    }
    let wrong = |what: &str, why: String| Fault::damaged(format!("{what} fails: {why}"));
    let room = |out: &mut Vec<u8>| {
        out.try_reserve(original)
            .map_err(|_| Fault::TooLarge(original as u64))?;
        out.resize(start + original, 0);
        Ok(())
    };
    let written = match codec {
        Codec::Zstd => {
            out.try_reserve(original)
                .map_err(|_| Fault::TooLarge(original as u64))?;
            // Appended to the existing bytes, into memory that does not have to be zeroed first.
            let mut end = io::Cursor::new(std::mem::take(out));
            end.set_position(start as u64);
            let result = scratch.zstd.decompress_to_buffer(bytes, &mut end);
            *out = end.into_inner();
            result.map_err(|error| wrong("zstd", error.to_string()))?;
            out.len() - start
        }
        Codec::Gzip => {
            room(out)?;
            let result = scratch.gzip.zlib_decompress(bytes, &mut out[start..]);
            result.map_err(|error| wrong("gzip", error.to_string()))?
        }
        Codec::Lz4 => {
            room(out)?;
            let size = i32::try_from(original).map_err(|_| Fault::TooLarge(original as u64))?;
            let target = &mut out[start..];
            let result = lz4::block::decompress_to_buffer(bytes, Some(size), target);
            result.map_err(|error| wrong("lz4", error.to_string()))?
        }
        Codec::Bzip2 => {
            room(out)?;
            let mut reader = bzip2::read::BzDecoder::new(bytes);
            let result = reader.read_exact(&mut out[start..]);
            result.map_err(|error| wrong("bzip2", error.to_string()))?;
            // Nothing may be left.
            match reader.read(&mut [0]) {
                Ok(0) => original,
                Ok(_) => original + 1,
                Err(error) => return Err(wrong("bzip2", error.to_string())),
            }
        }
        Codec::RunLength => {
            runs(bytes, datatype.size(), original, out)?;
            out.len() - start
        }
        Codec::DoubleDelta(_) => {
            delta::double(bytes, datatype, original, out)?;
            out.len() - start
        }
        Codec::Delta(_) => {
            delta::single(bytes, datatype, original, out)?;
            out.len() - start
        }
        Codec::Dictionary => return Err(Fault::unsupported("the filter dictionary for numbers")),
    };
    if written != original {
        return Err(Fault::damaged(format!(
            "a part holds {written} bytes where {original} are expected"
        )));
    }
    Ok(())
}

/// Decodes runs: a value, followed by its repeat count as a big-endian 16-bit integer.
fn runs(bytes: &[u8], width: usize, original: usize, out: &mut Vec<u8>) -> Checked<()> {
    let end = out.len() + original;
    let runs = bytes.chunks_exact(width + 2);
    if !runs.remainder().is_empty() {
        return Err(Fault::damaged("a run is cut short"));
    }
    for run in runs {
        let (value, length) = run.split_at(width);
        let length = usize::from(length[0]) << 8 | usize::from(length[1]);
        if length * width > end - out.len() {
            return Err(Fault::damaged("runs are longer than what they make"));
        }
        match value {
            [byte] => out.resize(out.len() + length, *byte),
            _ => (0..length).for_each(|_| out.extend_from_slice(value)),
        }
    }
    Ok(())
}
