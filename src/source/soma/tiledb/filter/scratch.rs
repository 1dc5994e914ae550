//! Reusable buffers for decoding.

use crate::source::soma::tiledb::fault::{Checked, Fault};

/// Buffers and decompressors used to decode tiles, reused from tile to tile.
pub(in crate::source::soma) struct Scratch {
    pub(super) zstd: zstd::bulk::Decompressor<'static>,
    pub(super) gzip: libdeflater::Decompressor,
    pub(super) metadata: [Vec<u8>; 2],
    pub(super) data: [Vec<u8>; 2],
    buffers: (Vec<u8>, Vec<u8>),
}

impl Scratch {
    /// Returns the two buffers given back before, or empty ones.
    pub fn take_buffers(&mut self) -> (Vec<u8>, Vec<u8>) {
        std::mem::take(&mut self.buffers)
    }

    /// Gives back buffers for reuse.
    pub fn give_buffers(&mut self, first: Vec<u8>, second: Vec<u8>) {
        self.buffers = (first, second);
    }

    /// Creates the decompressors and empty buffers.
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
