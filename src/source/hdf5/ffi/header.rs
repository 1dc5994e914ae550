//! Headers and chunk indexes of datasets.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use hdf5_metno::sync::sync;
use hdf5_metno_sys::h5::hsize_t;
use hdf5_metno_sys::h5d::{
    H5D_fill_value_t, H5D_layout_t, H5Dchunk_iter, H5Dget_create_plist, H5Dget_offset,
    H5Dget_space, H5Dget_type,
};
use hdf5_metno_sys::h5p::{
    H5P_DEFAULT, H5Pclose, H5Pfill_value_defined, H5Pget_chunk, H5Pget_chunk_opts,
    H5Pget_external_count, H5Pget_fill_value, H5Pget_filter2, H5Pget_layout, H5Pget_nfilters,
};
use hdf5_metno_sys::h5s::H5Sclose;
use hdf5_metno_sys::h5t::{H5Tclose, H5Tget_size};

use super::types::type_bits;
use super::{Handle, TypeBits, check, extent};

/// A filter of a dataset's pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawFilter {
    /// Number in the HDF5 registry.
    pub id: i32,
    /// Parameters of the filter.
    pub parameters: Vec<u32>,
}

/// A stored chunk.
#[derive(Debug, Clone)]
pub(crate) struct RawChunk {
    /// Coordinates of its first element.
    pub offset: Vec<u64>,
    /// File offset in bytes.
    pub address: u64,
    /// Stored size in bytes.
    pub size: u64,
    /// Bit mask of the filters that were not applied.
    pub skipped_filters: u32,
}

/// How the elements of a dataset are stored in the file.
#[derive(Debug, Clone)]
pub(crate) enum RawStorage {
    Compact,
    /// File offset; `None` if nothing was ever written.
    Contiguous(Option<u64>),
    Chunked {
        chunk: Vec<u64>,
        partial_unfiltered: bool,
    },
    Elsewhere(&'static str),
}

/// The contents of a dataset's header.
#[derive(Debug, Clone)]
pub(in crate::source::hdf5) struct RawHeader {
    /// Length of each dimension; empty for a scalar.
    pub shape: Vec<u64>,
    /// Whether the dataspace is null, which has no shape at all.
    pub null: bool,
    /// Type of the elements.
    pub bits: TypeBits,
    /// Filters in the order in which they were applied.
    pub filters: Vec<RawFilter>,
    /// How the elements are stored.
    pub storage: RawStorage,
    /// One element in the byte order of the file; zeros if no fill value was set.
    pub fill: Vec<u8>,
}

/// Reads the header of a dataset.
pub(in crate::source::hdf5) fn header(dataset: &Handle) -> Result<RawHeader, String> {
    sync(|| {
        // SAFETY: all ids are open for the duration of the calls; out-pointers point to local
        // variables of the sizes passed to the calls.
        unsafe {
            let space = Handle::new(H5Dget_space(dataset.id), H5Sclose)?;
            let (shape, null) = extent(space.id)?;
            let type_id = Handle::new(H5Dget_type(dataset.id), H5Tclose)?;
            let properties = Handle::new(H5Dget_create_plist(dataset.id), H5Pclose)?;
            let storage = match H5Pget_layout(properties.id) {
                H5D_layout_t::H5D_COMPACT => RawStorage::Compact,
                H5D_layout_t::H5D_CONTIGUOUS if H5Pget_external_count(properties.id) > 0 => {
                    RawStorage::Elsewhere("data in an external file")
                }
                H5D_layout_t::H5D_CONTIGUOUS => {
                    let offset = H5Dget_offset(dataset.id);
                    RawStorage::Contiguous((offset != u64::MAX).then_some(offset))
                }
                H5D_layout_t::H5D_CHUNKED => {
                    let mut chunk = vec![0 as hsize_t; shape.len()];
                    let rank = c_int::try_from(chunk.len()).map_err(|e| e.to_string())?;
                    check(H5Pget_chunk(properties.id, rank, chunk.as_mut_ptr()))?;
                    let mut options = 0;
                    check(H5Pget_chunk_opts(properties.id, &mut options))?;
                    // 0x2 is H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS.
                    RawStorage::Chunked {
                        chunk,
                        partial_unfiltered: options & 0x2 != 0,
                    }
                }
                H5D_layout_t::H5D_VIRTUAL => RawStorage::Elsewhere("a virtual dataset"),
                _ => RawStorage::Elsewhere("an unknown layout"),
            };
            let mut filters = Vec::new();
            for index in 0..c_uint::try_from(check(H5Pget_nfilters(properties.id))?).unwrap_or(0) {
                let (mut flags, mut count, mut values) = (0, 64usize, [0u32; 64]);
                let id = H5Pget_filter2(
                    properties.id,
                    index,
                    &mut flags,
                    &mut count,
                    values.as_mut_ptr(),
                    0,
                    ptr::null_mut(),
                    ptr::null_mut(),
                );
                let parameters = values[..count.min(64)].to_vec();
                filters.push(RawFilter {
                    id: check(id)?,
                    parameters,
                });
            }
            let bits = type_bits(type_id.id);
            // Only ask for the fill value if it is a single plain element.
            let mut fill = vec![0u8; 8];
            if matches!(
                bits,
                TypeBits::Integer { .. } | TypeBits::Float { .. } | TypeBits::Enumeration { .. }
            ) {
                let mut defined = H5D_fill_value_t::H5D_FILL_VALUE_UNDEFINED;
                check(H5Pfill_value_defined(properties.id, &mut defined))?;
                // libhdf5 crashes when asked for a damaged fill value that was not set by the user.
                if defined == H5D_fill_value_t::H5D_FILL_VALUE_USER_DEFINED {
                    check(H5Pget_fill_value(
                        properties.id,
                        type_id.id,
                        fill.as_mut_ptr().cast(),
                    ))?;
                }
                fill.truncate(H5Tget_size(type_id.id));
            }
            Ok(RawHeader {
                shape,
                null,
                bits,
                filters,
                storage,
                fill,
            })
        }
    })
}

struct ChunkList {
    rank: usize,
    chunks: Vec<RawChunk>,
}

extern "C" fn push_chunk(
    offset: *const hsize_t,
    skipped_filters: c_uint,
    address: u64,
    size: hsize_t,
    list: *mut c_void,
) -> c_int {
    // SAFETY: libhdf5 passes the pointer that `chunks` gave it, while `chunks` is waiting, and an
    // offset with as many entries as the dataset has dimensions.
    unsafe {
        let list = &mut *list.cast::<ChunkList>();
        let offset = std::slice::from_raw_parts(offset, list.rank).to_vec();
        list.chunks.push(RawChunk {
            offset,
            address,
            size,
            skipped_filters,
        });
    }
    0
}

/// Lists the chunks that were written, in the order of the file's index.
pub(in crate::source::hdf5) fn chunks(
    dataset: &Handle,
    rank: usize,
) -> Result<Vec<RawChunk>, String> {
    let mut list = ChunkList {
        rank,
        chunks: Vec::new(),
    };
    let code = sync(|| {
        let list: *mut ChunkList = &mut list;
        // SAFETY: the callback gets `list`, which outlives the call.
        unsafe { H5Dchunk_iter(dataset.id, H5P_DEFAULT, Some(push_chunk), list.cast()) }
    });
    check(code)?;
    Ok(list.chunks)
}
