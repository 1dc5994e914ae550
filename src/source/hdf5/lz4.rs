//! HDF5's LZ4 filter: blocks preceded by their sizes, all integers big-endian.

/// Undoes the filter and returns the number of bytes written.
pub(super) fn expand(input: &[u8], output: &mut [u8]) -> Result<usize, String> {
    const SHORT: &str = "lz4: the data ends too early";
    fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = input.split_at_checked(length).ok_or(SHORT)?;
        *input = rest;
        Ok(taken)
    }
    let mut input = input;
    let total = take(&mut input, 8)?;
    let total = u64::from_be_bytes(std::array::from_fn(|i| total[i]));
    let block = take(&mut input, 4)?;
    let block = u32::from_be_bytes(std::array::from_fn(|i| block[i])) as usize;
    let total = usize::try_from(total).map_err(|_| SHORT)?;
    let output = output
        .get_mut(..total)
        .ok_or("lz4: the data is longer than its chunk")?;
    if block == 0 && total > 0 {
        return Err("lz4: its blocks are empty".into());
    }
    for target in output.chunks_mut(block.max(1)) {
        let size = take(&mut input, 4)?;
        let size = u32::from_be_bytes(std::array::from_fn(|i| size[i])) as usize;
        let packed = take(&mut input, size)?;
        if packed.len() == target.len() {
            // Compression did not make it shorter, so it is stored verbatim.
            target.copy_from_slice(packed);
        } else {
            expand_block(packed, target)?;
        }
    }
    Ok(total)
}

/// Decompresses one block into exactly `output`.
pub(super) fn expand_block(packed: &[u8], output: &mut [u8]) -> Result<(), String> {
    let size = i32::try_from(output.len()).map_err(|_| "lz4: a block is too large")?;
    match lz4::block::decompress_to_buffer(packed, Some(size), output) {
        Ok(written) if written == output.len() => Ok(()),
        _ => Err("lz4: the compressed data is damaged".into()),
    }
}
