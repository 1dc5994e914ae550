//! LZF, h5py's "fast" compression.

/// Decompresses `input` into `output` and returns the number of bytes written, or what is wrong
/// with the input.
///
/// The stream consists of literal runs (control byte below 32, followed by that many bytes plus
/// one) and references to earlier output (three bits of length, thirteen of distance); see the
/// comments in LibLZF.
pub(super) fn expand(input: &[u8], output: &mut [u8]) -> Result<usize, &'static str> {
    const SHORT: &str = "lzf: the data ends within an item";
    const LONG: &str = "lzf: the data is longer than its chunk";
    let (mut read, mut written) = (0, 0);
    while read < input.len() {
        let control = usize::from(input[read]);
        read += 1;
        if control < 32 {
            let length = control + 1;
            let literal = input.get(read..read + length).ok_or(SHORT)?;
            output
                .get_mut(written..written + length)
                .ok_or(LONG)?
                .copy_from_slice(literal);
            read += length;
            written += length;
            continue;
        }
        let mut length = control >> 5;
        if length == 7 {
            length += usize::from(*input.get(read).ok_or(SHORT)?);
            read += 1;
        }
        length += 2;
        let low = usize::from(*input.get(read).ok_or(SHORT)?);
        read += 1;
        let distance = ((control & 31) << 8 | low) + 1;
        let start = written
            .checked_sub(distance)
            .ok_or("lzf: a reference before the beginning")?;
        if written + length > output.len() {
            return Err(LONG);
        }
        if distance >= length {
            output.copy_within(start..start + length, written);
        } else {
            // The reference overlaps the copy, which repeats a short pattern.
            for i in 0..length {
                output[written + i] = output[start + i];
            }
        }
        written += length;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_literals_and_overlapping_references() {
        // "ab", then 6 bytes starting two bytes back.
        let mut output = [0; 8];
        let input = [1, b'a', b'b', 4 << 5, 1];
        assert_eq!(expand(&input, &mut output), Ok(8));
        assert_eq!(&output, b"abababab");
    }

    #[test]
    fn any_input_ends_in_an_answer() {
        use proptest::prelude::*;
        proptest!(|(input in prop::collection::vec(any::<u8>(), 0..200), size in 0usize..300)| {
            let mut output = vec![0; size];
            if let Ok(written) = expand(&input, &mut output) {
                prop_assert!(written <= size);
            }
        });
    }
}
