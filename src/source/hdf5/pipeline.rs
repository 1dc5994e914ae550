//! Undoes the filters of a chunk without libhdf5 and its global lock.

use libdeflater::{DecompressionError, Decompressor};

use super::bitshuffle::{Bitshuffle, Inner};
use super::ffi::RawFilter;
use super::{lz4, lzf};

/// A filter, named by its number in the HDF5 registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Deflate,
    Shuffle {
        element: usize,
    },
    Fletcher32,
    Lzf,
    #[cfg(feature = "blosc")]
    Blosc,
    Lz4,
    Bitshuffle(Bitshuffle),
    Zstd,
}

/// The filters of a dataset in the order in which the writer applied them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pipeline {
    filters: Vec<Filter>,
}

/// Why a pipeline cannot be undone here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unknown {
    /// libhdf5 itself supports the filter: slower but correct.
    KnownToLibrary,
    /// The filter is not supported at all; its name.
    Named(String),
}

impl Pipeline {
    /// Parses the filters of a dataset whose elements have `element` bytes.
    pub fn new(filters: &[RawFilter], element: usize) -> Result<Self, Unknown> {
        let filters = filters
            .iter()
            .map(|filter| match filter.id {
                1 => Ok(Filter::Deflate),
                2 => Ok(Filter::Shuffle {
                    element: filter
                        .parameters
                        .first()
                        .and_then(|&size| usize::try_from(size).ok())
                        .unwrap_or(element),
                }),
                3 => Ok(Filter::Fletcher32),
                32000 => Ok(Filter::Lzf),
                #[cfg(feature = "blosc")]
                32001 => Ok(Filter::Blosc),
                32004 => Ok(Filter::Lz4),
                32008 => Bitshuffle::new(&filter.parameters)
                    .map(Filter::Bitshuffle)
                    .ok_or_else(|| Unknown::Named(name(filter.id))),
                32015 => Ok(Filter::Zstd),
                5 | 6 => Err(Unknown::KnownToLibrary),
                id => Err(Unknown::Named(name(id))),
            })
            .collect::<Result<_, _>>()?;
        Ok(Pipeline { filters })
    }

    /// Whether a chunk with these skipped filters is stored unfiltered.
    pub fn is_plain(&self, skipped: u32) -> bool {
        self.active(skipped).next().is_none()
    }

    fn active(&self, skipped: u32) -> impl DoubleEndedIterator<Item = Filter> {
        self.filters
            .iter()
            .enumerate()
            .filter(move |(position, _)| {
                skipped.checked_shr(*position as u32).unwrap_or(0) & 1 == 0
            })
            .map(|(_, &filter)| filter)
    }
}

fn name(id: i32) -> String {
    let name = match id {
        4 => "szip",
        307 => "bzip2",
        32001 => "blosc, which this build of slaf lacks",
        32008 => "bitshuffle",
        32013 => "zfp",
        32026 => "blosc2",
        _ => return format!("the compression filter {id}"),
    };
    format!("the compression filter {id} ({name})")
}

/// A chunk that libhdf5 reads cannot be larger, unless its header is damaged.
const LARGEST_ALONE: u64 = 1 << 30;

/// Undoes one filter of a chunk whose decoded size is stored in the data rather than known from
/// elsewhere. Used by libhdf5, which lacks these filters. Returns `None` if the data is damaged.
pub(crate) fn undo_alone(id: i32, parameters: &[u32], stored: &[u8]) -> Option<Vec<u8>> {
    let big_endian = |at: usize| Some(u64::from_be_bytes(stored.get(at..at + 8)?.try_into().ok()?));
    let filter = RawFilter {
        id,
        parameters: parameters.to_vec(),
    };
    let pipeline = Pipeline::new(&[filter], 1).ok()?;
    let size = match pipeline.filters[..] {
        [Filter::Lz4] => big_endian(0)?,
        [Filter::Bitshuffle(filter)] if filter.inner != Inner::None => big_endian(0)?,
        [Filter::Bitshuffle(_)] => stored.len() as u64,
        #[cfg(feature = "blosc")]
        [Filter::Blosc] => u32::from_le_bytes(stored.get(4..8)?.try_into().ok()?).into(),
        [Filter::Zstd] => zstd::zstd_safe::get_frame_content_size(stored).ok()??,
        _ => return None,
    };
    if size > LARGEST_ALONE {
        return None;
    }
    let mut output = vec![0; usize::try_from(size).ok()?];
    let mut undo = FilterBuffers::new();
    undo.stored = stored.to_vec();
    undo.run(&pipeline, 0, &mut output).ok()?;
    Some(output)
}

/// Per-thread buffers for undoing filters.
pub(super) struct FilterBuffers {
    deflate: Decompressor,
    /// Created on first use.
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    /// The stored bytes to decode.
    pub stored: Vec<u8>,
    between: Vec<u8>,
}

impl FilterBuffers {
    /// Creates empty buffers.
    pub fn new() -> Self {
        FilterBuffers {
            deflate: Decompressor::new(),
            zstd: None,
            stored: Vec::new(),
            between: Vec::new(),
        }
    }

    /// Frees the memory that a very large chunk needed.
    pub fn shrink(&mut self) {
        const KEPT: usize = 2 << 20;
        for buffer in [&mut self.stored, &mut self.between] {
            if buffer.capacity() > KEPT {
                *buffer = Vec::new();
            }
        }
    }

    /// Undoes the filters of the chunk in `stored`. `output` must have the size of a whole chunk.
    pub fn run(
        &mut self,
        pipeline: &Pipeline,
        skipped: u32,
        output: &mut [u8],
    ) -> Result<(), String> {
        let filters: Vec<Filter> = pipeline.active(skipped).rev().collect();
        let FilterBuffers {
            deflate,
            zstd,
            stored,
            between,
        } = self;
        // Each checksum adds four bytes to the data it covers.
        let checksums = filters
            .iter()
            .filter(|&&filter| filter == Filter::Fletcher32)
            .count();
        let mut done = false;
        for (step, &filter) in filters.iter().enumerate() {
            if filter == Filter::Fletcher32 {
                check_fletcher32(stored)?;
                continue;
            }
            done = step + 1 == filters.len();
            if !done {
                between.resize(output.len() + 4 * checksums, 0);
            }
            let target: &mut [u8] = if done { &mut *output } else { between };
            let written = match filter {
                Filter::Deflate => inflate(deflate, stored, target)?,
                Filter::Lzf => lzf::expand(stored, target)?,
                #[cfg(feature = "blosc")]
                Filter::Blosc => super::ffi::expand_blosc(stored, target)?,
                Filter::Lz4 => lz4::expand(stored, target)?,
                Filter::Zstd => expand_zstd(zstd, stored, target)?,
                Filter::Bitshuffle(filter) => {
                    filter.undo(stored, target, |inner, packed, target| match inner {
                        Inner::Lz4 => lz4::expand_block(packed, target),
                        Inner::Zstd => match expand_zstd(zstd, packed, target)? {
                            written if written == target.len() => Ok(()),
                            _ => Err("zstd: a block is too short".into()),
                        },
                        Inner::None => Err("bitshuffle: nothing is compressed".into()),
                    })?
                }
                Filter::Shuffle { element } => {
                    let target = target
                        .get_mut(..stored.len())
                        .ok_or("shuffle: the data is longer than its chunk")?;
                    unshuffle(stored, target, element);
                    stored.len()
                }
                Filter::Fletcher32 => unreachable!("checksums are handled above"),
            };
            if done && written != output.len() {
                return Err(wrong_size(written, output.len()));
            }
            if !done {
                between.truncate(written);
                std::mem::swap(stored, between);
            }
        }
        if !done {
            if stored.len() != output.len() {
                return Err(wrong_size(stored.len(), output.len()));
            }
            output.copy_from_slice(stored);
        }
        Ok(())
    }
}

fn wrong_size(found: usize, expected: usize) -> String {
    format!("a chunk holds {found} bytes where {expected} are expected")
}

fn expand_zstd(
    zstd: &mut Option<zstd::bulk::Decompressor<'static>>,
    input: &[u8],
    output: &mut [u8],
) -> Result<usize, String> {
    let zstd = match zstd {
        Some(zstd) => zstd,
        none => none.insert(zstd::bulk::Decompressor::new().map_err(|e| e.to_string())?),
    };
    zstd.decompress_to_buffer(input, output)
        .map_err(|error| format!("zstd: {error}"))
}

fn inflate(deflate: &mut Decompressor, input: &[u8], output: &mut [u8]) -> Result<usize, String> {
    deflate
        .zlib_decompress(input, output)
        .map_err(|error| match error {
            DecompressionError::BadData => "gzip: the compressed data is damaged".into(),
            DecompressionError::InsufficientSpace => {
                "gzip: the data is longer than its chunk".into()
            }
        })
}

/// Puts bytes that were sorted by significance back into elements. Bytes after the last complete
/// element are stored verbatim.
fn unshuffle(input: &[u8], output: &mut [u8], element: usize) {
    let element = element.max(1);
    let count = input.len() / element;
    match element {
        1 => {}
        2 => join_planes::<2>(input, output, count),
        4 => join_planes::<4>(input, output, count),
        8 => join_planes::<8>(input, output, count),
        _ => {
            for (plane, bytes) in input.chunks_exact(count.max(1)).take(element).enumerate() {
                for (i, &byte) in bytes.iter().enumerate() {
                    output[i * element + plane] = byte;
                }
            }
        }
    }
    let whole = if element == 1 { 0 } else { count * element };
    output[whole..].copy_from_slice(&input[whole..]);
}

fn join_planes<const N: usize>(input: &[u8], output: &mut [u8], count: usize) {
    let planes: [&[u8]; N] =
        std::array::from_fn(|plane| &input[plane * count..(plane + 1) * count]);
    for (i, element) in output[..count * N].chunks_exact_mut(N).enumerate() {
        for (byte, plane) in element.iter_mut().zip(&planes) {
            *byte = plane[i];
        }
    }
}

/// Verifies the checksum at the end of `stored` and removes it.
fn check_fletcher32(stored: &mut Vec<u8>) -> Result<(), String> {
    let length = stored
        .len()
        .checked_sub(4)
        .ok_or("fletcher32: the chunk has no checksum")?;
    let tail: [u8; 4] = std::array::from_fn(|i| stored[length + i]);
    let expected = u32::from_le_bytes(tail);
    let found = fletcher32(&stored[..length]);
    // HDF5 before 1.6.3 swapped the bytes of each half on little-endian machines.
    let old = (found & 0x00ff_00ff) << 8 | (found >> 8) & 0x00ff_00ff;
    if expected != found && expected != old {
        return Err("fletcher32: the checksum does not fit the data, which is damaged".into());
    }
    stored.truncate(length);
    Ok(())
}

/// Fletcher-32 as HDF5 computes it: two sums modulo 65,535 over big-endian 16-bit words.
fn fletcher32(bytes: &[u8]) -> u32 {
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut first, mut second) = (0u32, 0u32);
    // 360 words are the most for which the second sum cannot overflow.
    for block in bytes.chunks(720) {
        let words = block.chunks(2);
        for word in words {
            let low = word.get(1).copied().unwrap_or(0);
            first += u32::from(word[0]) << 8 | u32::from(low);
            second += first;
        }
        first = fold(first);
        second = fold(second);
    }
    fold(second) << 16 | fold(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shuffle(input: &[u8], element: usize) -> Vec<u8> {
        let count = input.len() / element;
        let mut output = Vec::new();
        for plane in 0..element {
            output.extend((0..count).map(|i| input[i * element + plane]));
        }
        output.extend(&input[count * element..]);
        output
    }

    proptest! {
        #[test]
        fn unshuffle_undoes_shuffle(input in prop::collection::vec(any::<u8>(), 0..100), element in 1usize..12) {
            let mut output = vec![0; input.len()];
            unshuffle(&shuffle(&input, element), &mut output, element);
            prop_assert_eq!(output, input);
        }

        #[test]
        fn damaged_chunks_end_in_an_answer(
            stored in prop::collection::vec(any::<u8>(), 0..200),
            size in 0usize..300,
            ids in prop::collection::vec(prop::sample::select(vec![1, 2, 3, 32000, 32001, 32004, 32008, 32015]), 0..4),
        ) {
            let filters: Vec<RawFilter> = ids.iter().map(|&id| RawFilter { id, parameters: vec![4] }).collect();
            let pipeline = Pipeline::new(&filters, 4).unwrap();
            let mut undo = FilterBuffers::new();
            undo.stored = stored;
            let _ = undo.run(&pipeline, 0, &mut vec![0; size]);
        }
    }

    #[test]
    fn names_the_filter_it_does_not_know() {
        let zfp = RawFilter {
            id: 32013,
            parameters: vec![],
        };
        assert_eq!(
            Pipeline::new(&[zfp], 4),
            Err(Unknown::Named("the compression filter 32013 (zfp)".into()))
        );
    }

    #[test]
    fn skipped_filters_are_skipped() {
        let filters = [RawFilter {
            id: 1,
            parameters: vec![],
        }];
        let pipeline = Pipeline::new(&filters, 4).unwrap();
        assert!(!pipeline.is_plain(0));
        assert!(pipeline.is_plain(1));
        let mut undo = FilterBuffers::new();
        undo.stored = vec![1, 2, 3];
        let mut output = [0; 3];
        undo.run(&pipeline, 1, &mut output).unwrap();
        assert_eq!(output, [1, 2, 3]);
    }
}
