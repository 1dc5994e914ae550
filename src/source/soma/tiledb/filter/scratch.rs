//! What decoding needs beside the bytes.

use crate::source::soma::tiledb::fault::{Checked, Fault};

/// What is needed while tiles are decoded, to be used again for the next.
pub(in crate::source::soma) struct Scratch {
    pub(super) zstd: zstd::bulk::Decompressor<'static>,
    pub(super) gzip: libdeflater::Decompressor,
    pub(super) metadata: [Vec<u8>; 2],
    pub(super) data: [Vec<u8>; 2],
    buffers: (Vec<u8>, Vec<u8>),
}

impl Scratch {
    /// Two buffers that somebody gave back, or empty ones.
    pub fn take_buffers(&mut self) -> (Vec<u8>, Vec<u8>) {
        std::mem::take(&mut self.buffers)
    }

    /// Gives buffers back, to be used again.
    pub fn give_buffers(&mut self, first: Vec<u8>, second: Vec<u8>) {
        self.buffers = (first, second);
    }

    pub fn new() -> Checked<Self> {
        Ok(Scratch {
            zstd: zstd::bulk::Decompressor::new()
                .map_err(|error| Fault::damaged(format!("zstd does not start: {error}")))?,
            gzip: libdeflater::Decompressor::new(),
            metadata: Default::default(),
            data: Default::default(),
            buffers: Default::default(),
        })
    }
}
