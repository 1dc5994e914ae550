//! Bitshuffle: sorts the bits of a block of elements by significance, then optionally compresses
//! them.

/// Compression of the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inner {
    None,
    Lz4,
    Zstd,
}

/// Parameters of the filter (see the source of `bshuf_h5filter.c` for their meaning).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bitshuffle {
    /// Size of an element in bytes.
    pub element: usize,
    /// Number of elements in a block; 0 for the default.
    pub block: usize,
    /// Compression of the blocks.
    pub inner: Inner,
}

const SHORT: &str = "bitshuffle: the data ends too early";

impl Bitshuffle {
    /// Parses the parameters of the filter; `None` if the compression is unknown.
    pub fn new(parameters: &[u32]) -> Option<Self> {
        let parameter = |index: usize| parameters.get(index).copied().unwrap_or(0) as usize;
        Some(Bitshuffle {
            element: parameter(2).max(1),
            block: parameter(3),
            inner: match parameter(4) {
                0 => Inner::None,
                2 => Inner::Lz4,
                3 => Inner::Zstd,
                _ => return None,
            },
        })
    }

    /// Undoes the filter and returns the number of bytes written. `expand` decompresses one block,
    /// from the first slice into exactly the second.
    pub fn undo(
        &self,
        input: &[u8],
        output: &mut [u8],
        mut expand: impl FnMut(Inner, &[u8], &mut [u8]) -> Result<(), String>,
    ) -> Result<usize, String> {
        let mut input = input;
        let (length, mut block) = match self.inner {
            Inner::None => (input.len(), self.block),
            _ => {
                let header = take(&mut input, 12)?;
                let length = u64::from_be_bytes(std::array::from_fn(|i| header[i]));
                let block = u32::from_be_bytes(std::array::from_fn(|i| header[8 + i]));
                let length = usize::try_from(length).map_err(|_| SHORT)?;
                (length, block as usize / self.element)
            }
        };
        if block == 0 {
            block = (8192 / self.element / 8 * 8).max(128);
        }
        let output = output
            .get_mut(..length)
            .ok_or("bitshuffle: the data is longer than its chunk")?;
        let elements = length / self.element;
        let shuffled = elements / 8 * 8;
        let mut sorted = Vec::new();
        let mut done = 0;
        while done < shuffled {
            let count = block.min(shuffled - done) / 8 * 8;
            if count == 0 {
                return Err("bitshuffle: its blocks are not of whole bytes".into());
            }
            let bytes = count * self.element;
            let target = &mut output[done * self.element..][..bytes];
            if self.inner == Inner::None {
                join_bits(take(&mut input, bytes)?, target, self.element);
            } else {
                let size = take(&mut input, 4)?;
                let size = u32::from_be_bytes(std::array::from_fn(|i| size[i])) as usize;
                let packed = take(&mut input, size)?;
                sorted.resize(bytes, 0);
                expand(self.inner, packed, &mut sorted)?;
                join_bits(&sorted, target, self.element);
            }
            done += count;
        }
        // The remainder does not fill whole bytes of bits and is stored verbatim.
        let rest = &mut output[done * self.element..];
        rest.copy_from_slice(take(&mut input, rest.len())?);
        Ok(length)
    }
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = input.split_at_checked(length).ok_or(SHORT)?;
    *input = rest;
    Ok(taken)
}

/// Puts sorted bits back into elements. There are eight planes for each byte of the elements, and
/// each byte of a plane holds the bits of eight elements, the first one in the lowest bit.
fn join_bits(sorted: &[u8], output: &mut [u8], element: usize) {
    let eighths = output.len() / element / 8;
    for byte in 0..element {
        let planes = &sorted[byte * 8 * eighths..][..8 * eighths];
        for eighth in 0..eighths {
            let mut bits = 0u64;
            for plane in 0..8 {
                bits |= u64::from(planes[plane * eighths + eighth]) << (8 * plane);
            }
            let bits = transposed(bits).to_le_bytes();
            for (i, bits) in bits.into_iter().enumerate() {
                output[(eighth * 8 + i) * element + byte] = bits;
            }
        }
    }
}

/// Transposes eight rows of eight bits.
fn transposed(mut x: u64) -> u64 {
    for (shift, mask) in [
        (7, 0x00aa_00aa_00aa_00aau64),
        (14, 0x0000_cccc_0000_cccc),
        (28, 0x0000_0000_f0f0_f0f0),
    ] {
        let swapped = (x ^ (x >> shift)) & mask;
        x ^= swapped ^ (swapped << shift);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The forward direction of the filter, bit by bit.
    fn sort_bits(input: &[u8], element: usize) -> Vec<u8> {
        let count = input.len() / element;
        let mut sorted = vec![0; input.len()];
        for i in 0..count {
            for bit in 0..element * 8 {
                let value = input[i * element + bit / 8] >> (bit % 8) & 1;
                sorted[bit * count / 8 + i / 8] |= value << (i % 8);
            }
        }
        sorted
    }

    proptest! {
        #[test]
        fn bits_come_back(
            elements in prop::collection::vec(any::<u64>(), 0..100),
            size in 1usize..9,
            block in 1usize..5,
        ) {
            let bytes: Vec<u8> = elements.iter().flat_map(|e| e.to_le_bytes()[..size].to_vec()).collect();
            let shuffled = elements.len() / 8 * 8;
            let mut stored = Vec::new();
            for piece in bytes[..shuffled * size].chunks(block * 8 * size) {
                stored.extend(sort_bits(piece, size));
            }
            stored.extend(&bytes[shuffled * size..]);
            let filter = Bitshuffle { element: size, block: block * 8, inner: Inner::None };
            let mut output = vec![0; bytes.len()];
            let none = |_: Inner, _: &[u8], _: &mut [u8]| Err("not compressed".to_string());
            prop_assert_eq!(filter.undo(&stored, &mut output, none), Ok(bytes.len()));
            prop_assert_eq!(output, bytes);
        }

        #[test]
        fn damaged_data_ends_in_an_answer(
            input in prop::collection::vec(any::<u8>(), 0..200),
            element in 1usize..20,
            block in 0usize..40,
            size in 0usize..300,
        ) {
            let filter = Bitshuffle { element, block, inner: Inner::Lz4 };
            let _ = filter.undo(&input, &mut vec![0; size], |_, _, _| Ok(()));
        }
    }
}
