//! Calls into libhdf5 that its Rust binding does not offer, each behind a safe function.
//!
//! libhdf5 is not thread-safe: every function here holds the binding's process-wide lock
//! ([`hdf5::sync::sync`]) while it runs. Handles are closed when dropped.

mod attribute;
#[cfg(feature = "blosc")]
mod blosc;
mod compound;
mod filters;
mod header;
mod rows;
mod types;

use std::ffi::{CString, c_int};
use std::ptr;

use hdf5_metno::{self as hdf5, sync::sync};
use hdf5_metno_sys::h5::hsize_t;
use hdf5_metno_sys::h5d::{H5Dclose, H5Dopen2};
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::h5l::{H5L_info2_t, H5L_type_t, H5Lexists, H5Lget_info2};
use hdf5_metno_sys::h5o::{
    H5O_INFO_BASIC, H5O_info2_t, H5O_type_t, H5Oclose, H5Oget_info_by_name3, H5Oopen,
};
use hdf5_metno_sys::h5p::H5P_DEFAULT;
use hdf5_metno_sys::h5s::{
    H5Sget_simple_extent_dims, H5Sget_simple_extent_ndims, H5Sget_simple_extent_npoints,
};

pub(super) use attribute::{RawAttribute, attribute};
#[cfg(feature = "blosc")]
pub(super) use blosc::expand as expand_blosc;
pub(super) use compound::{field, fields, read_field_bytes, read_field_texts, text_layout};
pub(super) use filters::register_filters;
pub(crate) use header::{RawChunk, RawFilter, RawStorage};
pub(super) use header::{chunks, header};
pub(super) use rows::{read_bytes, read_texts};
pub(crate) use types::TypeBits;

/// A libhdf5 handle and the function that closes it.
pub(super) struct Handle {
    id: hid_t,
    close: unsafe extern "C" fn(hid_t) -> c_int,
}

impl Handle {
    fn new(id: hid_t, close: unsafe extern "C" fn(hid_t) -> c_int) -> Result<Self, String> {
        if id < 0 {
            Err(last_error())
        } else {
            Ok(Handle { id, close })
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the id came from libhdf5 with this close function and is closed only here.
        sync(|| unsafe { (self.close)(self.id) });
    }
}

/// Returns libhdf5's description of its last failure in one line.
fn last_error() -> String {
    match hdf5::Error::query() {
        Ok(hdf5::Error::HDF5(stack)) => stack.expand().map_or_else(
            |_| "unknown error of libhdf5".into(),
            |stack| stack.description().to_string(),
        ),
        Ok(other) => other.to_string(),
        Err(_) => "unknown error of libhdf5".into(),
    }
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| "the name holds a NUL byte".to_string())
}

fn check(code: c_int) -> Result<c_int, String> {
    if code < 0 {
        Err(last_error())
    } else {
        Ok(code)
    }
}

/// How a member is linked into its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Missing,
    Inside,
    OtherFile,
}

/// Looks at the link `name` in the object `parent` without following it.
pub(super) fn link(parent: hid_t, name: &str) -> Result<Link, String> {
    let name = c_string(name)?;
    sync(|| {
        // SAFETY: `name` is NUL-terminated and `info` is a plain struct that the call fills.
        unsafe {
            if H5Lexists(parent, name.as_ptr(), H5P_DEFAULT) <= 0 {
                return Ok(Link::Missing);
            }
            let mut info = H5L_info2_t::default();
            check(H5Lget_info2(parent, name.as_ptr(), &mut info, H5P_DEFAULT))?;
            Ok(match info.type_ {
                H5L_type_t::H5L_TYPE_HARD | H5L_type_t::H5L_TYPE_SOFT => Link::Inside,
                _ => Link::OtherFile,
            })
        }
    })
}

/// Whether an object is a group or a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Group,
    Dataset,
    Other,
}

/// An object found by following a path of links.
pub(super) struct Found {
    /// What kind of object it is.
    pub class: Class,
    /// Number of the file it is stored in.
    pub file: u64,
    /// Token that identifies it within the file.
    pub token: [u8; 16],
}

/// Follows a path to an object.
pub(super) fn find(parent: hid_t, name: &str) -> Result<Found, String> {
    let name = c_string(name)?;
    sync(|| {
        let mut info = std::mem::MaybeUninit::<H5O_info2_t>::zeroed();
        // SAFETY: `name` is NUL-terminated. `info` is a plain struct that the call fills; all its
        // fields are integers except the type, which is also filled if the call succeeds; a token
        // is 16 arbitrary bytes.
        unsafe {
            check(H5Oget_info_by_name3(
                parent,
                name.as_ptr(),
                info.as_mut_ptr(),
                H5O_INFO_BASIC,
                H5P_DEFAULT,
            ))?;
            let info = info.assume_init();
            Ok(Found {
                class: match info.type_ {
                    H5O_type_t::H5O_TYPE_GROUP => Class::Group,
                    H5O_type_t::H5O_TYPE_DATASET => Class::Dataset,
                    _ => Class::Other,
                },
                file: info.fileno,
                token: ptr::from_ref(&info.token).cast::<[u8; 16]>().read(),
            })
        }
    })
}

/// Opens any object by name.
pub(super) fn open_object(file: hid_t, name: &str) -> Result<Handle, String> {
    let name = c_string(name)?;
    sync(|| {
        Handle::new(
            // SAFETY: `name` is NUL-terminated.
            unsafe { H5Oopen(file, name.as_ptr(), H5P_DEFAULT) },
            H5Oclose,
        )
    })
}

/// Opens a dataset by name.
pub(super) fn open_dataset(file: hid_t, name: &str) -> Result<Handle, String> {
    let name = c_string(name)?;
    sync(|| {
        Handle::new(
            // SAFETY: `name` is NUL-terminated.
            unsafe { H5Dopen2(file, name.as_ptr(), H5P_DEFAULT) },
            H5Dclose,
        )
    })
}

/// Returns the lengths of a dataspace's dimensions, and whether it is null (not even a scalar).
fn extent(space: hid_t) -> Result<(Vec<u64>, bool), String> {
    // SAFETY: `dims` has as many entries as the space has dimensions (at most 32 in HDF5).
    unsafe {
        let rank = usize::try_from(check(H5Sget_simple_extent_ndims(space))?).unwrap_or(0);
        let mut dims = vec![0 as hsize_t; rank.max(1)];
        check(H5Sget_simple_extent_dims(
            space,
            dims.as_mut_ptr(),
            ptr::null_mut(),
        ))?;
        dims.truncate(rank);
        let null = rank == 0 && H5Sget_simple_extent_npoints(space) == 0;
        Ok((dims, null))
    }
}
