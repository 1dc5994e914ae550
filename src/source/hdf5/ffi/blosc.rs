//! Blosc decompression.

use blosc_src::{blosc_cbuffer_validate, blosc_decompress_ctx};

/// Decompresses a Blosc buffer into `output` and returns the number of bytes written.
pub(in crate::source::hdf5) fn expand(input: &[u8], output: &mut [u8]) -> Result<usize, String> {
    let mut length = 0usize;
    // SAFETY: the call reads only the given bytes of `input` and writes only to `length`.
    let valid = unsafe { blosc_cbuffer_validate(input.as_ptr().cast(), input.len(), &mut length) };
    if valid < 0 {
        return Err("blosc: the header is damaged".into());
    }
    if length > output.len() {
        return Err("blosc: the data is longer than its chunk".into());
    }
    // SAFETY: the buffer was validated to have the length its header claims, so the call does not
    // read beyond it, and it writes at most the given number of bytes. This variant has no global
    // state.
    let written = unsafe {
        blosc_decompress_ctx(
            input.as_ptr().cast(),
            output.as_mut_ptr().cast(),
            output.len(),
            1,
        )
    };
    usize::try_from(written)
        .ok()
        .filter(|&written| written == length)
        .ok_or_else(|| {
            "blosc: the compressed data is damaged, or compressed with Snappy, which is not read"
                .into()
        })
}
