//! Filter pipelines: the transformations applied to the bytes of a tile before writing, and how to
//! undo them (format_spec/filter_pipeline.md and tile.md).

mod checksum;
mod chunk;
mod compress;
mod delta;
mod integers;
mod scratch;
mod shuffle;
mod text;

use super::cursor::Cursor;
use super::datatype::Datatype;
use super::fault::{Checked, Fault, reserved};

pub(in crate::source::soma) use chunk::ChunkHeader;
pub(in crate::source::soma) use scratch::Scratch;
pub(in crate::source::soma) use text::{TextEncoding, Texts};

/// A filter as named in the schema.
#[derive(Debug, Clone, PartialEq)]
enum Filter {
    None,
    Compressor(Codec),
    BitWidthReduction,
    PositiveDelta,
    BitShuffle,
    ByteShuffle,
    Md5,
    Sha256,
    /// An unsupported filter, by name.
    Unknown(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Codec {
    Gzip,
    Zstd,
    Lz4,
    Bzip2,
    RunLength,
    /// With the type it interprets values as, if different.
    DoubleDelta(Option<Datatype>),
    Delta(Option<Datatype>),
    /// For text only.
    Dictionary,
}

/// Filters in the order in which the writer applied them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::source::soma) struct Pipeline {
    filters: Vec<Filter>,
}

impl Filter {
    fn parse(cursor: &mut Cursor<'_>) -> Checked<Self> {
        let code = cursor.u8()?;
        let length = cursor.length32()?;
        let mut options = Cursor::new(cursor.take(length)?);
        Ok(match code {
            0 => Filter::None,
            1 => Filter::Compressor(Codec::Gzip),
            2 => Filter::Compressor(Codec::Zstd),
            3 => Filter::Compressor(Codec::Lz4),
            4 => Filter::Compressor(Codec::RunLength),
            5 => Filter::Compressor(Codec::Bzip2),
            6 => Filter::Compressor(Codec::DoubleDelta(reinterpreted(&mut options)?)),
            7 => Filter::BitWidthReduction,
            8 => Filter::BitShuffle,
            9 => Filter::ByteShuffle,
            10 => Filter::PositiveDelta,
            12 => Filter::Md5,
            13 => Filter::Sha256,
            14 => Filter::Compressor(Codec::Dictionary),
            19 => Filter::Compressor(Codec::Delta(reinterpreted(&mut options)?)),
            _ => Filter::Unknown(match code {
                11 => "an encrypted tile".into(),
                15 => "the filter float-scale".into(),
                16 => "the filter xor".into(),
                18 => "the filter webp".into(),
                _ => format!("the filter {code}"),
            }),
        })
    }

    /// Whether it changes nothing and adds no metadata for values of a type.
    fn passes(&self, datatype: Datatype) -> bool {
        match self {
            Filter::None => true,
            Filter::BitWidthReduction => datatype.size() == 1,
            _ => false,
        }
    }
}

/// Reads the type as which a delta filter interprets values; it follows the codec and its level.
fn reinterpreted(options: &mut Cursor<'_>) -> Checked<Option<Datatype>> {
    if options.rest().len() <= 5 {
        return Ok(None);
    }
    options.take(5)?;
    let datatype = Datatype::from_code(options.u8()?)?;
    Ok((datatype != Datatype::Any).then_some(datatype))
}

impl Pipeline {
    pub(in crate::source::soma::tiledb) fn parse(cursor: &mut Cursor<'_>) -> Checked<Self> {
        let _largest_chunk = cursor.u32()?;
        let count = cursor.u32()?;
        let count = cursor.count(count.into(), 5)?;
        let filters = (0..count).map(|_| Filter::parse(cursor));
        Ok(Pipeline {
            filters: filters.collect::<Checked<_>>()?,
        })
    }

    /// Whether there are no filters.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Checks that all filters are supported and can be applied to values of a type.
    pub fn check(&self, datatype: Datatype) -> Checked<()> {
        let encoding = self.text_encoding(datatype);
        let rest = &self.filters[usize::from(encoding.is_some())..];
        for filter in rest {
            match filter {
                Filter::Unknown(what) => return Err(Fault::unsupported(what.clone())),
                Filter::Compressor(Codec::Dictionary) => {
                    return Err(Fault::unsupported(
                        "the filter dictionary, other than first and for texts,",
                    ));
                }
                Filter::Compressor(Codec::RunLength) if datatype.is_text() => {
                    return Err(Fault::unsupported(
                        "the filter run-length, other than first for texts,",
                    ));
                }
                Filter::Compressor(Codec::Gzip | Codec::Zstd | Codec::Lz4 | Codec::Bzip2)
                | Filter::Md5
                | Filter::Sha256
                | Filter::None => {}
                _ if encoding.is_some() => {
                    return Err(Fault::unsupported(
                        "a filter for numbers after one for texts",
                    ));
                }
                Filter::BitWidthReduction if datatype.size() == 1 => {}
                Filter::BitWidthReduction | Filter::PositiveDelta if !datatype.is_integral() => {
                    return Err(Fault::unsupported(format!(
                        "a filter for whole numbers on values of the type {datatype}"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns how the first filter encodes variable-length text, if it does.
    pub fn text_encoding(&self, datatype: Datatype) -> Option<TextEncoding> {
        match self.filters.first() {
            Some(Filter::Compressor(Codec::RunLength)) if datatype.is_text() => {
                Some(TextEncoding::RunLength)
            }
            Some(Filter::Compressor(Codec::Dictionary)) if datatype.is_text() => {
                Some(TextEncoding::Dictionary)
            }
            _ => None,
        }
    }

    /// Returns the filters in reverse order, each with the type of the values it sees.
    fn backwards(&self, datatype: Datatype) -> Vec<(&Filter, Datatype)> {
        let mut seen = datatype;
        let mut steps: Vec<(&Filter, Datatype)> = self
            .filters
            .iter()
            .map(|filter| {
                if let Filter::Compressor(
                    Codec::DoubleDelta(Some(other)) | Codec::Delta(Some(other)),
                ) = filter
                {
                    seen = *other;
                }
                (filter, seen)
            })
            .collect();
        steps.reverse();
        steps
    }

    /// Appends the decoded content of a tile, which must be `expected` bytes.
    pub fn decode(
        &self,
        tile: &[u8],
        datatype: Datatype,
        expected: usize,
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> Checked<()> {
        let mut cursor = Cursor::new(tile);
        let chunks = cursor.u64()?;
        let chunks = cursor.count(chunks, ChunkHeader::SIZE as usize)?;
        let start = out.len();
        out.try_reserve_exact(expected)
            .map_err(|_| Fault::TooLarge(expected as u64))?;
        for _ in 0..chunks {
            let header = ChunkHeader::read(&mut cursor)?;
            if header.original > expected - (out.len() - start) {
                return Err(Fault::damaged(format!(
                    "a tile holds more than the {expected} bytes that are expected"
                )));
            }
            let metadata = cursor.take(header.metadata)?;
            let data = cursor.take(header.filtered)?;
            self.decode_chunk(header, metadata, data, datatype, out, scratch)?;
        }
        cursor.finish("the chunks of a tile")?;
        if out.len() - start != expected {
            return Err(Fault::damaged(format!(
                "a tile holds {} bytes where {expected} are expected",
                out.len() - start
            )));
        }
        Ok(())
    }

    /// Appends the decoded content of a chunk.
    pub fn decode_chunk(
        &self,
        header: ChunkHeader,
        metadata: &[u8],
        data: &[u8],
        datatype: Datatype,
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> Checked<()> {
        if let [
            Filter::Compressor(codec @ (Codec::Gzip | Codec::Zstd | Codec::Lz4 | Codec::Bzip2)),
        ] = self.filters[..]
        {
            // The usual case decodes directly into the destination.
            return compress::decode_plain(codec, header, metadata, data, out, scratch);
        }
        let decoded = decode_steps(&self.backwards(datatype), header, metadata, data, scratch)?;
        if decoded != header.original {
            return Err(Fault::damaged(format!(
                "a chunk holds {decoded} bytes where {} are expected",
                header.original
            )));
        }
        out.extend_from_slice(&scratch.data[0]);
        Ok(())
    }

    /// Appends the decoded text of a tile: `count` values with `expected` bytes in total.
    pub fn decode_texts(
        &self,
        encoding: TextEncoding,
        tile: &[u8],
        expected: usize,
        count: usize,
        scratch: &mut Scratch,
    ) -> Checked<Texts> {
        let mut cursor = Cursor::new(tile);
        let chunks = cursor.u64()?;
        let chunks = cursor.count(chunks, ChunkHeader::SIZE as usize)?;
        let mut texts = Texts {
            bytes: reserved(expected)?,
            offsets: reserved(count)?,
        };
        let steps = self.backwards(Datatype::Utf8);
        let steps = &steps[..steps.len().saturating_sub(1)];
        for _ in 0..chunks {
            let header = ChunkHeader::read(&mut cursor)?;
            let metadata = cursor.take(header.metadata)?;
            let data = cursor.take(header.filtered)?;
            decode_steps(steps, header, metadata, data, scratch)?;
            let limits = text::Limits { expected, count };
            text::decode(
                encoding,
                &scratch.metadata[0],
                &scratch.data[0],
                limits,
                &mut texts,
            )?;
        }
        cursor.finish("the chunks of a tile")?;
        if (texts.bytes.len(), texts.offsets.len()) != (expected, count) {
            return Err(Fault::damaged(format!(
                "a tile holds {} texts of {} bytes where {count} of {expected} are expected",
                texts.offsets.len(),
                texts.bytes.len()
            )));
        }
        Ok(texts)
    }
}

/// Undoes filters. The result is in the first buffers of `scratch`; returns its length.
fn decode_steps(
    steps: &[(&Filter, Datatype)],
    header: ChunkHeader,
    metadata: &[u8],
    data: &[u8],
    scratch: &mut Scratch,
) -> Checked<usize> {
    // No filter expands its input by more than this.
    let most = header.original.saturating_mul(4).saturating_add(1 << 16);
    for (bytes, buffers) in [(metadata, &mut scratch.metadata), (data, &mut scratch.data)] {
        buffers[0].clear();
        buffers[0].extend_from_slice(bytes);
    }
    for &(filter, datatype) in steps {
        if filter.passes(datatype) {
            continue;
        }
        let mut inner = std::mem::take(&mut scratch.metadata);
        let mut bytes = std::mem::take(&mut scratch.data);
        let ([metadata, new_metadata], [data, new_data]) = (&mut inner, &mut bytes);
        new_metadata.clear();
        new_data.clear();
        let mut cursor = Cursor::new(metadata);
        let kept_metadata = match filter {
            Filter::None => true,
            Filter::Compressor(codec) => {
                let mut output = compress::Output {
                    metadata: new_metadata,
                    data: new_data,
                    most,
                };
                compress::decode(*codec, datatype, cursor.clone(), data, &mut output, scratch)?;
                false
            }
            Filter::BitWidthReduction => {
                integers::widen(&mut cursor, data, datatype, most, new_data)?;
                true
            }
            Filter::PositiveDelta => {
                integers::add_up(&mut cursor, data, datatype, new_data)?;
                true
            }
            Filter::ByteShuffle => {
                shuffle::unshuffle_bytes(&mut cursor, data, datatype.size(), new_data)?;
                true
            }
            Filter::BitShuffle => {
                shuffle::unshuffle_bits(&mut cursor, data, datatype.size(), new_data)?;
                true
            }
            Filter::Md5 => {
                checksum::verify::<md5::Md5>(&mut cursor, data, "MD5")?;
                new_data.extend_from_slice(data);
                true
            }
            Filter::Sha256 => {
                checksum::verify::<sha2::Sha256>(&mut cursor, data, "SHA-256")?;
                new_data.extend_from_slice(data);
                true
            }
            Filter::Unknown(what) => return Err(Fault::unsupported(what.clone())),
        };
        if kept_metadata {
            new_metadata.extend_from_slice(cursor.rest());
        }
        inner.swap(0, 1);
        bytes.swap(0, 1);
        scratch.metadata = inner;
        scratch.data = bytes;
    }
    Ok(scratch.data[0].len())
}

#[cfg(test)]
mod tests;
