//! Filters that libhdf5 does not support by itself, for the data that only libhdf5 can read: text
//! and compound types.

use std::ffi::{c_uint, c_void};
use std::slice;
use std::sync::OnceLock;

use hdf5_metno::sync::sync;
use hdf5_metno_sys::h5::{H5allocate_memory, H5free_memory};
use hdf5_metno_sys::h5z::{H5Z_FLAG_REVERSE, H5Z_class2_t, H5Zregister};

/// Undoes a filter, given its number, its parameters and the stored bytes.
pub(in crate::source::hdf5) type FilterBuffers = fn(i32, &[u32], &[u8]) -> Option<Vec<u8>>;

static UNDO: OnceLock<FilterBuffers> = OnceLock::new();

/// Registers the filters with libhdf5, once.
pub(in crate::source::hdf5) fn register_filters(undo: FilterBuffers) {
    UNDO.get_or_init(|| {
        let classes = [
            (32001, call::<32001> as Call),
            (32004, call::<32004>),
            (32008, call::<32008>),
            (32015, call::<32015>),
        ];
        for (id, filter) in classes {
            let class = H5Z_class2_t {
                version: 1,
                id,
                encoder_present: 0,
                decoder_present: 1,
                name: c"slaf".as_ptr(),
                can_apply: None,
                set_local: None,
                filter: Some(filter),
            };
            // SAFETY: the call copies the class. If it fails, the filter stays unknown, which
            // reading reports.
            sync(|| unsafe { H5Zregister((&raw const class).cast()) });
        }
        undo
    });
}

type Call =
    extern "C" fn(c_uint, usize, *const c_uint, usize, *mut usize, *mut *mut c_void) -> usize;

/// Callback of libhdf5's pipeline. Returns 0 on failure.
extern "C" fn call<const ID: i32>(
    flags: c_uint,
    count: usize,
    parameters: *const c_uint,
    bytes: usize,
    size: *mut usize,
    buffer: *mut *mut c_void,
) -> usize {
    if flags & H5Z_FLAG_REVERSE == 0 {
        return 0;
    }
    // SAFETY: libhdf5 passes `count` parameters (the pointer may be null if there are none) and a
    // buffer of at least `bytes` bytes that its own function allocated, and expects such a buffer
    // and its size in return. Panics are caught, so nothing unwinds into it.
    unsafe {
        let parameters = if count == 0 {
            &[]
        } else {
            slice::from_raw_parts(parameters, count)
        };
        let input = slice::from_raw_parts((*buffer).cast::<u8>(), bytes);
        let undone = std::panic::catch_unwind(|| UNDO.get()?(ID, parameters, input));
        let Ok(Some(undone)) = undone else { return 0 };
        let target = H5allocate_memory(undone.len().max(1), 0);
        if target.is_null() {
            return 0;
        }
        std::ptr::copy_nonoverlapping(undone.as_ptr(), target.cast(), undone.len());
        H5free_memory(*buffer);
        *buffer = target;
        *size = undone.len().max(1);
        undone.len()
    }
}
