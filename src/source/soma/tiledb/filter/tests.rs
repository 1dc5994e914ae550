//! Tests each filter against a writer that follows the format specification.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::source::ScalarType;

/// A filter for a test: its code, its options, and how to encode a chunk with it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Written {
    Gzip,
    Zstd,
    Lz4,
    Bzip2,
    RunLength,
    DoubleDelta,
    Delta,
    BitWidthReduction,
    PositiveDelta,
    BitShuffle,
    ByteShuffle,
    Md5,
    Sha256,
}

use Written::*;

const ALL: [Written; 13] = [
    Gzip,
    Zstd,
    Lz4,
    Bzip2,
    RunLength,
    DoubleDelta,
    Delta,
    BitWidthReduction,
    PositiveDelta,
    BitShuffle,
    ByteShuffle,
    Md5,
    Sha256,
];

/// A chunk between two filters: metadata, and data in one part.
struct Chunk {
    metadata: Vec<u8>,
    data: Vec<u8>,
}

impl Written {
    fn code(self) -> u8 {
        match self {
            Gzip => 1,
            Zstd => 2,
            Lz4 => 3,
            Bzip2 => 5,
            RunLength => 4,
            DoubleDelta => 6,
            BitWidthReduction => 7,
            BitShuffle => 8,
            ByteShuffle => 9,
            PositiveDelta => 10,
            Md5 => 12,
            Sha256 => 13,
            Delta => 19,
        }
    }

    /// Whether it splits its input into parts and also compresses metadata.
    fn compresses(self) -> bool {
        matches!(
            self,
            Gzip | Zstd | Lz4 | Bzip2 | RunLength | DoubleDelta | Delta
        )
    }

    fn compress(self, bytes: &[u8], width: usize) -> Vec<u8> {
        let values = || {
            bytes
                .chunks_exact(width)
                .map(super::super::cursor::little_endian)
        };
        let mask = |value: u64| value.to_le_bytes()[..width].to_vec();
        match self {
            Gzip => {
                let mut writer =
                    flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                writer.write_all(bytes).unwrap();
                writer.finish().unwrap()
            }
            Zstd => zstd::bulk::compress(bytes, 3).unwrap(),
            Lz4 => lz4::block::compress(bytes, None, false).unwrap(),
            Bzip2 => {
                let mut writer =
                    bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                writer.write_all(bytes).unwrap();
                writer.finish().unwrap()
            }
            RunLength => {
                let mut out: Vec<u8> = Vec::new();
                let cells: Vec<&[u8]> = bytes.chunks_exact(width).collect();
                for run in cells.chunk_by(|a, b| a == b) {
                    for part in run.chunks(usize::from(u16::MAX)) {
                        out.extend(part[0]);
                        out.extend((part.len() as u16).to_be_bytes());
                    }
                }
                out
            }
            Delta => {
                let mut out = (bytes.len() as u64 / width as u64).to_le_bytes().to_vec();
                let mut last = 0u64;
                for value in values() {
                    out.extend(mask(value.wrapping_sub(last)));
                    last = value;
                }
                out
            }
            DoubleDelta => {
                // Stored verbatim, because a difference may need all bits.
                let mut out = vec![width as u8 * 8];
                out.extend((bytes.len() as u64 / width as u64).to_le_bytes());
                out.extend(bytes);
                out
            }
            _ => unreachable!("{self:?} does not compress"),
        }
    }

    fn write(self, chunk: Chunk, width: usize) -> Chunk {
        let Chunk { metadata, data } = chunk;
        if self.compresses() {
            let parts: Vec<&[u8]> = [&metadata, &data]
                .into_iter()
                .map(|part| &part[..])
                .collect();
            let with_metadata = usize::from(!metadata.is_empty());
            let parts = &parts[1 - with_metadata..];
            let mut header = (with_metadata as u32).to_le_bytes().to_vec();
            header.extend(1u32.to_le_bytes());
            let mut out = Vec::new();
            for part in parts {
                let compressed = self.compress(part, width);
                header.extend((part.len() as u32).to_le_bytes());
                header.extend((compressed.len() as u32).to_le_bytes());
                out.extend(compressed);
            }
            return Chunk {
                metadata: header,
                data: out,
            };
        }
        let mut header = Vec::new();
        let mut out = Vec::new();
        match self {
            ByteShuffle => {
                header.extend(1u32.to_le_bytes());
                header.extend((data.len() as u32).to_le_bytes());
                let count = data.len() / width;
                for byte in 0..width {
                    out.extend((0..count).map(|value| data[value * width + byte]));
                }
                out.extend(&data[count * width..]);
            }
            BitShuffle => {
                header.extend(1u32.to_le_bytes());
                header.extend((data.len() as u32).to_le_bytes());
                if data.len() % width != 0 || data.len() % 8 != 0 {
                    out.extend(&data);
                } else {
                    for block in data.chunks(8192) {
                        let count = block.len() / width / 8 * 8;
                        for bit in 0..width * 8 {
                            for eight in 0..count / 8 {
                                let bits = (0..8).map(|value| {
                                    let byte = block[(eight * 8 + value) * width + bit / 8];
                                    (byte >> (bit % 8) & 1) << value
                                });
                                out.push(bits.fold(0, |byte, bit| byte | bit));
                            }
                        }
                        out.extend(&block[count * width..]);
                    }
                }
            }
            BitWidthReduction if width == 1 => {
                out.extend(&data);
            }
            BitWidthReduction => {
                header.extend((data.len() as u32).to_le_bytes());
                let windows: Vec<&[u8]> = data.chunks(32 * width).collect();
                header.extend((windows.len() as u32).to_le_bytes());
                for window in windows {
                    let values: Vec<u64> = window
                        .chunks(width)
                        .map(super::super::cursor::little_endian)
                        .collect();
                    let low = values.iter().copied().min().unwrap_or(0);
                    let range = values.iter().copied().max().unwrap_or(0) - low;
                    let bits = [8usize, 16, 32]
                        .into_iter()
                        .find(|&bits| range < 1 << bits)
                        .unwrap_or(64);
                    header.extend(&low.to_le_bytes()[..width]);
                    header.push(bits.min(width * 8) as u8);
                    header.extend((window.len() as u32).to_le_bytes());
                    if bits >= width * 8 || window.len() % width != 0 {
                        out.extend(window);
                    } else {
                        values
                            .iter()
                            .for_each(|value| out.extend(&(value - low).to_le_bytes()[..bits / 8]));
                    }
                }
            }
            PositiveDelta => {
                let windows: Vec<&[u8]> = data.chunks(64 * width).collect();
                header.extend((windows.len() as u32).to_le_bytes());
                for window in windows {
                    let values = window.chunks_exact(width);
                    let rest = values.remainder().to_vec();
                    let values: Vec<u64> =
                        values.map(super::super::cursor::little_endian).collect();
                    let mut last = values.first().copied().unwrap_or(0);
                    header.extend(&last.to_le_bytes()[..width]);
                    header.extend((window.len() as u32).to_le_bytes());
                    for value in values {
                        out.extend(&value.wrapping_sub(last).to_le_bytes()[..width]);
                        last = value;
                    }
                    out.extend(rest);
                }
            }
            Md5 | Sha256 => {
                use md5::digest::Digest;
                let sum = |bytes: &[u8]| match self {
                    Md5 => md5::Md5::digest(bytes).to_vec(),
                    _ => sha2::Sha256::digest(bytes).to_vec(),
                };
                header.extend(u32::from(!metadata.is_empty()).to_le_bytes());
                header.extend(1u32.to_le_bytes());
                for bytes in [&metadata, &data] {
                    if !bytes.is_empty() || std::ptr::eq(bytes, &data) {
                        header.extend((bytes.len() as u64).to_le_bytes());
                        header.extend(sum(bytes));
                    }
                }
                out.extend(&data);
            }
            _ => unreachable!(),
        }
        header.extend(metadata);
        Chunk {
            metadata: header,
            data: out,
        }
    }
}

/// Encodes a pipeline the way a schema stores it.
fn pipeline(filters: &[Written]) -> Pipeline {
    let mut bytes = 65536u32.to_le_bytes().to_vec();
    bytes.extend((filters.len() as u32).to_le_bytes());
    for filter in filters {
        bytes.push(filter.code());
        bytes.extend(0u32.to_le_bytes());
    }
    Pipeline::parse(&mut Cursor::new(&bytes)).unwrap()
}

/// Encodes a tile in chunks of `step` values.
fn tile(filters: &[Written], data: &[u8], width: usize, step: usize) -> Vec<u8> {
    let chunks: Vec<&[u8]> = data.chunks(step * width).collect();
    let mut out = (chunks.len() as u64).to_le_bytes().to_vec();
    for original in chunks {
        let start = Chunk {
            metadata: Vec::new(),
            data: original.to_vec(),
        };
        let chunk = filters
            .iter()
            .fold(start, |chunk, filter| filter.write(chunk, width));
        for length in [original.len(), chunk.data.len(), chunk.metadata.len()] {
            out.extend((length as u32).to_le_bytes());
        }
        out.extend(chunk.metadata);
        out.extend(chunk.data);
    }
    out
}

fn decoded(
    filters: &[Written],
    tile: &[u8],
    datatype: Datatype,
    expected: usize,
) -> Checked<Vec<u8>> {
    let pipeline = pipeline(filters);
    pipeline.check(datatype)?;
    let mut out = Vec::new();
    pipeline.decode(tile, datatype, expected, &mut out, &mut Scratch::new()?)?;
    Ok(out)
}

fn integers() -> impl Strategy<Value = (ScalarType, Vec<u8>)> {
    let types = [
        ScalarType::Int8,
        ScalarType::UInt16,
        ScalarType::Int32,
        ScalarType::UInt64,
        ScalarType::Int64,
    ];
    let values = prop::collection::vec(prop_oneof![0u64..300, any::<u64>()], 0..200);
    (prop::sample::select(types.to_vec()), values).prop_map(|(number_type, values)| {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes()[..number_type.size()].to_vec());
        (number_type, bytes.collect())
    })
}

/// Filters in a meaningful order: integer filters see values, not the output of another filter.
fn sensible() -> impl Strategy<Value = Vec<Written>> {
    let first = prop::sample::select(ALL.to_vec());
    let later =
        prop::sample::subsequence(vec![ByteShuffle, Gzip, Zstd, Lz4, Bzip2, Md5, Sha256], 0..3);
    (first, later).prop_map(|(first, later)| std::iter::once(first).chain(later).collect())
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        (number_type, bytes) in integers(),
        filters in sensible(),
        step in 1usize..300,
    ) {
        let width = number_type.size();
        let tile = tile(&filters, &bytes, width, step);
        let read = decoded(&filters, &tile, Datatype::Number(number_type), bytes.len());
        prop_assert_eq!(read, Ok(bytes), "{:?}", filters);
    }

    #[test]
    fn what_is_damaged_ends_in_an_answer(
        (number_type, bytes) in integers(),
        filters in sensible(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut tile = tile(&filters, &bytes, number_type.size(), 40);
        let length = cut.index(tile.len() + 1);
        let datatype = Datatype::Number(number_type);
        let _ = decoded(&filters, &tile[..length], datatype, bytes.len());
        for (at, byte) in damage {
            let at = at.index(tile.len());
            tile[at] = byte;
        }
        if let Ok(read) = decoded(&filters, &tile, datatype, bytes.len()) {
            prop_assert_eq!(read.len(), bytes.len());
            // Data with a checksum is either decoded correctly or refused.
            if matches!(filters[0], Md5 | Sha256) {
                prop_assert_eq!(read, bytes);
            }
        }
    }

    #[test]
    fn double_deltas_are_what_the_format_says(start in -1000i64..1000, steps in prop::collection::vec(-60i64..60, 0..50)) {
        // 6 bits and a sign for each value after the second.
        let mut values = vec![start];
        let (mut last, mut step) = (start, 5i64);
        let mut bits: Vec<bool> = Vec::new();
        values.push(last + step);
        last += step;
        for difference in &steps {
            step += difference;
            last += step;
            values.push(last);
            bits.push(*difference < 0);
            bits.extend((0..6).rev().map(|bit| difference.unsigned_abs() >> bit & 1 == 1));
        }
        let mut encoded = vec![6u8];
        encoded.extend((values.len() as u64).to_le_bytes());
        encoded.extend(values[0].to_le_bytes());
        encoded.extend(values[1].to_le_bytes());
        for word in bits.chunks(64) {
            let word = word.iter().enumerate().fold(0u64, |word, (bit, &set)| word | u64::from(set) << (63 - bit));
            encoded.extend(word.to_le_bytes());
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut out = Vec::new();
        let datatype = Datatype::Number(ScalarType::Int64);
        prop_assert_eq!(delta::double(&encoded, datatype, bytes.len(), &mut out), Ok(()));
        prop_assert_eq!(out, bytes);
    }

    #[test]
    fn texts_as_runs_and_as_a_dictionary(texts in prop::collection::vec("[aäb]{0,3}", 0..40)) {
        let expected: usize = texts.iter().map(String::len).sum();
        let offsets: Vec<u64> = texts
            .iter()
            .scan(0, |end, text| {
                let start = *end;
                *end += text.len() as u64;
                Some(start)
            })
            .collect();
        let wanted = Texts { bytes: texts.concat().into_bytes(), offsets };
        let mut header = 0u32.to_le_bytes().to_vec();
        header.extend([1u32, 0, 0, 0].iter().flat_map(|number| number.to_le_bytes()));
        header.extend([1u8, 2]);
        let mut runs = Vec::new();
        for run in texts.chunk_by(|a, b| a == b) {
            runs.push(run.len() as u8);
            runs.extend((run[0].len() as u16).to_be_bytes());
            runs.extend(run[0].bytes());
        }
        let limits = text::Limits { expected, count: texts.len() };
        let mut read = Texts::default();
        prop_assert_eq!(text::decode(TextEncoding::RunLength, &header, &runs, limits, &mut read), Ok(()));
        prop_assert_eq!(&read, &wanted);
        let mut distinct = texts.clone();
        distinct.sort();
        distinct.dedup();
        let mut entries = Vec::new();
        for text in &distinct {
            entries.extend((text.len() as u16).to_be_bytes());
            entries.extend(text.bytes());
        }
        header.extend((entries.len() as u32).to_le_bytes());
        header.extend(&entries);
        let keys: Vec<u8> = texts.iter().map(|text| distinct.binary_search(text).unwrap() as u8).collect();
        let mut read = Texts::default();
        prop_assert_eq!(text::decode(TextEncoding::Dictionary, &header, &keys, limits, &mut read), Ok(()));
        prop_assert_eq!(&read, &wanted);
        // The limit is respected.
        if let Some(count) = texts.len().checked_sub(1) {
            let limits = text::Limits { expected, count };
            let mut read = Texts::default();
            prop_assert!(text::decode(TextEncoding::RunLength, &header, &runs, limits, &mut read).is_err());
        }
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = Pipeline::parse(&mut Cursor::new(&bytes));
        for filter in ALL {
            let _ = decoded(&[filter, Zstd], &bytes, Datatype::Number(ScalarType::Int32), 100);
        }
        for encoding in [TextEncoding::RunLength, TextEncoding::Dictionary] {
            let limits = text::Limits { expected: 50, count: 50 };
            let _ = text::decode(encoding, &bytes, &bytes, limits, &mut Texts::default());
        }
    }
}

#[test]
fn a_short_text_cannot_become_a_long_one() {
    // A chunk that claims to be larger than its tile.
    let data = vec![7u8; 1 << 20];
    let tile = tile(&[Zstd], &data, 1, 1 << 20);
    let datatype = Datatype::Number(ScalarType::UInt8);
    assert!(decoded(&[Zstd], &tile, datatype, 1000).is_err());
}

#[test]
fn unknown_filters_are_named() {
    let parse = |code: u8| {
        let mut bytes = 65536u32.to_le_bytes().to_vec();
        bytes.extend(1u32.to_le_bytes());
        bytes.push(code);
        bytes.extend(0u32.to_le_bytes());
        Pipeline::parse(&mut Cursor::new(&bytes)).unwrap()
    };
    for (code, name) in [
        (15, "float-scale"),
        (16, "xor"),
        (18, "webp"),
        (11, "encrypted"),
        (99, "99"),
    ] {
        let Err(Fault::Unsupported(what)) = parse(code).check(Datatype::Blob) else {
            panic!("{code} is not refused");
        };
        assert!(what.contains(name), "{what}");
    }
}
