//! Calls into libhdf5 that write, each behind a safe function.
//!
//! libhdf5 is not thread-safe: every function here holds the binding's process-wide lock while it
//! runs, and none compresses under it.

use std::ffi::{CString, c_int, c_void};
use std::path::Path;
use std::ptr;

use hdf5_metno::{self as hdf5, sync::sync};
use hdf5_metno_sys::h5::hsize_t;
use hdf5_metno_sys::h5a::{H5Aclose, H5Acreate2, H5Awrite};
use hdf5_metno_sys::h5d::{
    H5D_fill_time_t, H5Dclose, H5Dcreate2, H5Dset_extent, H5Dwrite, H5Dwrite_chunk,
};
use hdf5_metno_sys::h5f::{
    H5F_ACC_RDWR, H5F_ACC_TRUNC, H5F_libver_t, H5Fclose, H5Fcreate, H5Fopen,
};
use hdf5_metno_sys::h5g::{H5Gclose, H5Gcreate2, H5Gopen2};
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::h5l::{H5Lcreate_hard, H5Lmove};
use hdf5_metno_sys::h5p::{
    H5P_CLS_DATASET_CREATE, H5P_CLS_FILE_ACCESS, H5P_CLS_FILE_CREATE, H5P_CLS_GROUP_CREATE,
    H5P_CLS_LINK_CREATE, H5P_DEFAULT, H5Pclose, H5Pcreate, H5Pset_chunk,
    H5Pset_create_intermediate_group, H5Pset_deflate, H5Pset_file_locking, H5Pset_fill_time,
    H5Pset_libver_bounds, H5Pset_obj_track_times, H5Pset_shuffle,
};
use hdf5_metno_sys::h5s::{
    H5S_UNLIMITED, H5S_class_t, H5S_seloper_t, H5Sclose, H5Screate, H5Screate_simple,
    H5Sselect_hyperslab,
};
use hdf5_metno_sys::h5t::{
    H5T_C_S1, H5T_NATIVE_DOUBLE, H5T_NATIVE_FLOAT, H5T_NATIVE_INT8, H5T_NATIVE_INT16,
    H5T_NATIVE_INT32, H5T_NATIVE_INT64, H5T_NATIVE_UINT8, H5T_NATIVE_UINT16, H5T_NATIVE_UINT32,
    H5T_NATIVE_UINT64, H5T_VARIABLE, H5T_cset_t, H5T_str_t, H5Tclose, H5Tcopy, H5Tenum_create,
    H5Tenum_insert, H5Tset_cset, H5Tset_ebias, H5Tset_fields, H5Tset_size, H5Tset_strpad,
};

use super::Filters;
use crate::source::ScalarType;

/// A libhdf5 handle, closed when dropped.
pub(in crate::sink) struct Handle {
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

    /// Closes the handle and tells whether that failed, as closing a file does on a full disk.
    pub fn close(self) -> Result<(), String> {
        let handle = std::mem::ManuallyDrop::new(self);
        // SAFETY: the id came from libhdf5 with this close function; it is not closed again.
        sync(|| check(unsafe { (handle.close)(handle.id) }))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the id came from libhdf5 with this close function and is closed only here.
        sync(|| unsafe { (self.close)(self.id) });
    }
}

/// libhdf5's description of its last failure, with its cause: the last line of its stack.
fn last_error() -> String {
    match hdf5::Error::query() {
        Ok(hdf5::Error::HDF5(stack)) => match stack.expand() {
            Ok(stack) => {
                let first = stack.description().to_string();
                let frames = stack.iter().map(|frame| frame.description().to_string());
                // The cause is the innermost frame, which knows the error of the system.
                let mut causes = frames.filter(|text| text.contains("errno"));
                causes.next_back().unwrap_or(first)
            }
            Err(_) => "unknown error of libhdf5".into(),
        },
        Ok(other) => other.to_string(),
        Err(_) => "unknown error of libhdf5".into(),
    }
}

fn check(code: c_int) -> Result<(), String> {
    if code < 0 { Err(last_error()) } else { Ok(()) }
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} has a NUL, which texts in HDF5 cannot have"))
}

/// The type of the elements of an array or attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) enum Element {
    Number(ScalarType),
    /// UTF-8 of any length.
    Text,
    /// Texts of at most so many bytes, filled with NUL: ASCII, or UTF-8.
    Fixed {
        bytes: usize,
        ascii: bool,
    },
}

impl Element {
    /// Bytes of an element in an array.
    pub fn size(self) -> usize {
        match self {
            Element::Number(number_type) => number_type.size(),
            Element::Text => size_of::<*const u8>(),
            Element::Fixed { bytes, .. } => bytes,
        }
    }
}

fn type_of(element: Element) -> Result<Handle, String> {
    // SAFETY: predefined types are copied and the copies changed; buffers live during the calls.
    unsafe {
        let copy = |id: hid_t| Handle::new(H5Tcopy(id), H5Tclose);
        Ok(match element {
            Element::Text => {
                let text = copy(*H5T_C_S1)?;
                check(H5Tset_size(text.id, H5T_VARIABLE))?;
                check(H5Tset_cset(text.id, H5T_cset_t::H5T_CSET_UTF8))?;
                text
            }
            Element::Fixed { bytes, ascii } => {
                let text = copy(*H5T_C_S1)?;
                check(H5Tset_size(text.id, bytes))?;
                check(H5Tset_strpad(text.id, H5T_str_t::H5T_STR_NULLPAD))?;
                if !ascii {
                    check(H5Tset_cset(text.id, H5T_cset_t::H5T_CSET_UTF8))?;
                }
                text
            }
            Element::Number(number_type) => match number_type {
                // As h5py stores booleans.
                ScalarType::Bool => {
                    let boolean = Handle::new(H5Tenum_create(*H5T_NATIVE_INT8), H5Tclose)?;
                    for (name, value) in [(c"FALSE", 0i8), (c"TRUE", 1)] {
                        let value = (&raw const value).cast();
                        check(H5Tenum_insert(boolean.id, name.as_ptr(), value))?;
                    }
                    boolean
                }
                ScalarType::Int8 => copy(*H5T_NATIVE_INT8)?,
                ScalarType::Int16 => copy(*H5T_NATIVE_INT16)?,
                ScalarType::Int32 => copy(*H5T_NATIVE_INT32)?,
                ScalarType::Int64 => copy(*H5T_NATIVE_INT64)?,
                ScalarType::UInt8 => copy(*H5T_NATIVE_UINT8)?,
                ScalarType::UInt16 => copy(*H5T_NATIVE_UINT16)?,
                ScalarType::UInt32 => copy(*H5T_NATIVE_UINT32)?,
                ScalarType::UInt64 => copy(*H5T_NATIVE_UINT64)?,
                ScalarType::Float16 => {
                    // IEEE half precision: sign, 5 bits of exponent, 10 of mantissa.
                    let half = copy(*H5T_NATIVE_FLOAT)?;
                    check(H5Tset_fields(half.id, 15, 10, 5, 0, 10))?;
                    check(H5Tset_size(half.id, 2))?;
                    check(H5Tset_ebias(half.id, 15))?;
                    half
                }
                ScalarType::Float32 => copy(*H5T_NATIVE_FLOAT)?,
                ScalarType::Float64 => copy(*H5T_NATIVE_DOUBLE)?,
            },
        })
    }
}

/// The object headers of a file, which limit the size of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) enum Headers {
    /// Those that any libhdf5 reads, with attributes of up to 64 KiB.
    Oldest,
    /// Those of libhdf5 1.8, with attributes of any size.
    Since18,
}

fn file_access(headers: Headers) -> Result<Handle, String> {
    // SAFETY: a new property list is changed.
    unsafe {
        let access = Handle::new(H5Pcreate(*H5P_CLS_FILE_ACCESS), H5Pclose)?;
        // The file has a name that nobody else knows, and a lock of ours.
        check(H5Pset_file_locking(access.id, 0, 1))?;
        let low = match headers {
            Headers::Oldest => H5F_libver_t::H5F_LIBVER_EARLIEST,
            Headers::Since18 => H5F_libver_t::H5F_LIBVER_V18,
        };
        let high = H5F_libver_t::H5F_LIBVER_V18;
        check(H5Pset_libver_bounds(access.id, low, high))?;
        Ok(access)
    }
}

fn path_of(path: &Path) -> Result<CString, String> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| "its path has a NUL".to_string())
}

/// Creates a file, or empties an existing one.
pub(in crate::sink) fn create_file(path: &Path, headers: Headers) -> Result<Handle, String> {
    let name = path_of(path)?;
    sync(|| {
        let access = file_access(headers)?;
        // SAFETY: the name is NUL-terminated; a new property list is changed.
        let id = unsafe {
            let creation = without_times(*H5P_CLS_FILE_CREATE)?;
            H5Fcreate(name.as_ptr(), H5F_ACC_TRUNC, creation.id, access.id)
        };
        Handle::new(id, H5Fclose)
    })
}

/// Opens a file to write more into it.
pub(in crate::sink) fn open_file(path: &Path, headers: Headers) -> Result<Handle, String> {
    let name = path_of(path)?;
    sync(|| {
        let access = file_access(headers)?;
        // SAFETY: the name is NUL-terminated.
        let id = unsafe { H5Fopen(name.as_ptr(), H5F_ACC_RDWR, access.id) };
        Handle::new(id, H5Fclose)
    })
}

/// Properties of objects that do not keep the time: the same contents make the same bytes.
fn without_times(class: hid_t) -> Result<Handle, String> {
    // SAFETY: a new property list is changed.
    unsafe {
        let properties = Handle::new(H5Pcreate(class), H5Pclose)?;
        check(H5Pset_obj_track_times(properties.id, 0))?;
        Ok(properties)
    }
}

/// Creates the groups that a path needs.
fn with_groups() -> Result<Handle, String> {
    // SAFETY: a new property list is changed.
    unsafe {
        let link = Handle::new(H5Pcreate(*H5P_CLS_LINK_CREATE), H5Pclose)?;
        check(H5Pset_create_intermediate_group(link.id, 1))?;
        Ok(link)
    }
}

/// Creates a group, and those that it lies in.
pub(in crate::sink) fn create_group(parent: &Handle, name: &str) -> Result<Handle, String> {
    let name = c_string(name)?;
    sync(|| {
        let link = with_groups()?;
        // SAFETY: the name is NUL-terminated.
        let id = unsafe {
            let group = without_times(*H5P_CLS_GROUP_CREATE)?;
            H5Gcreate2(parent.id, name.as_ptr(), link.id, group.id, H5P_DEFAULT)
        };
        Handle::new(id, H5Gclose)
    })
}

/// Opens a group.
pub(in crate::sink) fn open_group(parent: &Handle, name: &str) -> Result<Handle, String> {
    let name = c_string(name)?;
    sync(|| {
        // SAFETY: the name is NUL-terminated.
        let id = unsafe { H5Gopen2(parent.id, name.as_ptr(), H5P_DEFAULT) };
        Handle::new(id, H5Gclose)
    })
}

/// Gives an object a second name.
pub(in crate::sink) fn link(
    from: &Handle,
    name: &str,
    to: &Handle,
    other: &str,
) -> Result<(), String> {
    let (name, other) = (c_string(name)?, c_string(other)?);
    sync(|| {
        // SAFETY: the names are NUL-terminated.
        check(unsafe {
            H5Lcreate_hard(
                from.id,
                name.as_ptr(),
                to.id,
                other.as_ptr(),
                H5P_DEFAULT,
                H5P_DEFAULT,
            )
        })
    })
}

/// Moves an object to another group.
pub(in crate::sink) fn move_link(
    from: &Handle,
    name: &str,
    to: &Handle,
    other: &str,
) -> Result<(), String> {
    let (name, other) = (c_string(name)?, c_string(other)?);
    sync(|| {
        // SAFETY: the names are NUL-terminated.
        check(unsafe {
            H5Lmove(
                from.id,
                name.as_ptr(),
                to.id,
                other.as_ptr(),
                H5P_DEFAULT,
                H5P_DEFAULT,
            )
        })
    })
}

fn space_of(shape: &[u64], growing: bool) -> Result<Handle, String> {
    let mut most: Vec<hsize_t> = shape.to_vec();
    if growing && let Some(first) = most.first_mut() {
        *first = H5S_UNLIMITED;
    }
    // SAFETY: both lists are as long as the rank says.
    unsafe {
        let rank = c_int::try_from(shape.len()).map_err(|error| error.to_string())?;
        let id = if rank == 0 {
            H5Screate(H5S_class_t::H5S_SCALAR)
        } else {
            H5Screate_simple(rank, shape.as_ptr(), most.as_ptr())
        };
        Handle::new(id, H5Sclose)
    }
}

/// How the elements of an array are stored.
#[derive(Debug, Clone)]
pub(in crate::sink) enum Storage {
    /// One after the other, without filters.
    Contiguous,
    /// In chunks of this shape; the array can grow along its first axis.
    Chunked { chunk: Vec<u64>, filters: Filters },
}

/// Creates an array, and the groups that it lies in.
pub(in crate::sink) fn create_array(
    parent: &Handle,
    name: &str,
    element: Element,
    shape: &[u64],
    storage: &Storage,
) -> Result<Handle, String> {
    let name = c_string(name)?;
    sync(|| {
        let link = with_groups()?;
        let type_id = type_of(element)?;
        let growing = matches!(storage, Storage::Chunked { .. });
        let space = space_of(shape, growing)?;
        // SAFETY: a new property list is changed; `chunk` is as long as the rank says.
        unsafe {
            let properties = without_times(*H5P_CLS_DATASET_CREATE)?;
            if let Storage::Chunked { chunk, filters } = storage {
                let rank = c_int::try_from(chunk.len()).map_err(|error| error.to_string())?;
                check(H5Pset_chunk(properties.id, rank, chunk.as_ptr()))?;
                check(H5Pset_fill_time(
                    properties.id,
                    H5D_fill_time_t::H5D_FILL_TIME_NEVER,
                ))?;
                if let Filters::Gzip(level) = filters {
                    check(H5Pset_shuffle(properties.id))?;
                    check(H5Pset_deflate(properties.id, (*level).into()))?;
                }
            }
            let id = H5Dcreate2(
                parent.id,
                name.as_ptr(),
                type_id.id,
                space.id,
                link.id,
                properties.id,
                H5P_DEFAULT,
            );
            Handle::new(id, H5Dclose)
        }
    })
}

/// Sets the shape of an array that can grow.
pub(in crate::sink) fn set_extent(array: &Handle, shape: &[u64]) -> Result<(), String> {
    // SAFETY: the shape has as many sides as that with which the array was created.
    sync(|| check(unsafe { H5Dset_extent(array.id, shape.as_ptr()) }))
}

/// Writes a chunk whose filters were applied, with its first element at `offset`.
pub(in crate::sink) fn write_chunk(
    array: &Handle,
    offset: &[u64],
    bytes: &[u8],
) -> Result<(), String> {
    sync(|| {
        // SAFETY: the buffer is as long as is said; the offset has as many sides as the array.
        check(unsafe {
            H5Dwrite_chunk(
                array.id,
                H5P_DEFAULT,
                0,
                offset.as_ptr(),
                bytes.len(),
                bytes.as_ptr().cast(),
            )
        })
    })
}

/// Writes a whole array of numbers in native order, or of texts of fixed length.
pub(in crate::sink) fn write_all(
    array: &Handle,
    element: Element,
    bytes: &[u8],
) -> Result<(), String> {
    sync(|| {
        let type_id = type_of(element)?;
        // SAFETY: the caller made the array for so many elements of this type.
        check(unsafe {
            H5Dwrite(
                array.id,
                type_id.id,
                0,
                0,
                H5P_DEFAULT,
                bytes.as_ptr().cast(),
            )
        })
    })
}

/// Writes texts into a one-dimensional array from the element `start` on, or all of an array of any
/// shape.
pub(in crate::sink) fn write_texts<'a>(
    array: &Handle,
    start: Option<u64>,
    texts: impl Iterator<Item = &'a str>,
) -> Result<(), String> {
    let texts = texts.map(c_string).collect::<Result<Vec<_>, _>>()?;
    if texts.is_empty() {
        return Ok(());
    }
    let pointers: Vec<*const i8> = texts.iter().map(|text| text.as_ptr().cast()).collect();
    sync(|| {
        let type_id = type_of(Element::Text)?;
        let Some(start) = start else {
            // SAFETY: the caller made the array for so many texts.
            return check(unsafe {
                H5Dwrite(
                    array.id,
                    type_id.id,
                    0,
                    0,
                    H5P_DEFAULT,
                    pointers.as_ptr().cast(),
                )
            });
        };
        let count = pointers.len() as u64;
        // SAFETY: one pointer for each element of the selection; the texts outlive the call.
        unsafe {
            use hdf5_metno_sys::h5d::H5Dget_space;
            let memory = space_of(&[count], false)?;
            let file = Handle::new(H5Dget_space(array.id), H5Sclose)?;
            check(H5Sselect_hyperslab(
                file.id,
                H5S_seloper_t::H5S_SELECT_SET,
                &raw const start,
                ptr::null(),
                &raw const count,
                ptr::null(),
            ))?;
            check(H5Dwrite(
                array.id,
                type_id.id,
                memory.id,
                file.id,
                H5P_DEFAULT,
                pointers.as_ptr().cast(),
            ))
        }
    })
}

/// Writes an attribute of an object: a scalar where `shape` is empty.
fn write_attribute(
    object: &Handle,
    name: &str,
    element: Element,
    shape: &[u64],
    buffer: *const c_void,
) -> Result<(), String> {
    let name = c_string(name)?;
    let type_id = type_of(element)?;
    let space = space_of(shape, false)?;
    // SAFETY: the buffer has as many elements as the shape says, or is not read where that is none.
    unsafe {
        let attribute = Handle::new(
            H5Acreate2(
                object.id,
                name.as_ptr(),
                type_id.id,
                space.id,
                H5P_DEFAULT,
                H5P_DEFAULT,
            ),
            H5Aclose,
        )?;
        if shape.contains(&0) {
            return Ok(());
        }
        check(H5Awrite(attribute.id, type_id.id, buffer))
    }
}

/// Sets a text attribute.
pub(in crate::sink) fn text_attribute(
    object: &Handle,
    name: &str,
    text: &str,
) -> Result<(), String> {
    let text = c_string(text)?;
    let pointer = text.as_ptr();
    sync(|| {
        write_attribute(
            object,
            name,
            Element::Text,
            &[],
            (&raw const pointer).cast(),
        )
    })
}

/// Sets an attribute that is a list of texts.
pub(in crate::sink) fn texts_attribute<S: AsRef<str>>(
    object: &Handle,
    name: &str,
    texts: &[S],
) -> Result<(), String> {
    let texts = texts.iter().map(|text| c_string(text.as_ref()));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let pointers: Vec<*const i8> = texts.iter().map(|text| text.as_ptr().cast()).collect();
    let shape = [pointers.len() as u64];
    sync(|| {
        write_attribute(
            object,
            name,
            Element::Text,
            &shape,
            pointers.as_ptr().cast(),
        )
    })
}

/// Sets an attribute of numbers in native order: one, where `shape` is empty.
pub(in crate::sink) fn number_attribute(
    object: &Handle,
    name: &str,
    number_type: ScalarType,
    shape: &[u64],
    bytes: &[u8],
) -> Result<(), String> {
    let count = shape.iter().product::<u64>();
    debug_assert_eq!(bytes.len() as u64, count * number_type.size() as u64);
    let element = Element::Number(number_type);
    sync(|| write_attribute(object, name, element, shape, bytes.as_ptr().cast()))
}
