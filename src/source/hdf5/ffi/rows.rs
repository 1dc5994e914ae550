//! Reads rows of datasets through libhdf5.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use hdf5_metno::{self as hdf5, sync::sync};
use hdf5_metno_sys::h5d::{H5Dget_space, H5Dget_type, H5Dread};
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::h5p::H5P_DEFAULT;
use hdf5_metno_sys::h5s::{H5S_seloper_t, H5Sclose, H5Screate_simple, H5Sselect_hyperslab};
use hdf5_metno_sys::h5t::{
    H5T_VARIABLE, H5Tclose, H5Tcopy, H5Tget_cset, H5Tget_size, H5Tis_variable_str, H5Treclaim,
    H5Tset_cset, H5Tset_size,
};

use super::types::{Padding, type_bits};
use super::{Handle, TypeBits, check, extent};

/// Text as stored; `None` for variable-length text that was never written.
pub(in crate::source::hdf5) type Texts = Vec<Option<Vec<u8>>>;

/// Reads `count` rows of a dataset (or a scalar), starting at `start`, through libhdf5 and its
/// filters, in the type and byte order of the file.
pub(in crate::source::hdf5) fn read_bytes(
    dataset: &Handle,
    start: u64,
    count: u64,
    out: &mut [u8],
) -> Result<(), String> {
    sync(|| {
        // SAFETY: the selection has `elements` elements of the file's type, and `out` is checked to
        // be large enough for them.
        unsafe {
            let type_id = Handle::new(H5Dget_type(dataset.id), H5Tclose)?;
            let (memory, file, elements) = slab(dataset.id, start, count)?;
            let needed = usize::try_from(elements)
                .ok()
                .and_then(|n| n.checked_mul(H5Tget_size(type_id.id)));
            if needed != Some(out.len()) || H5Tis_variable_str(type_id.id) > 0 {
                return Err("the buffer does not fit the elements".into());
            }
            check(H5Dread(
                dataset.id,
                type_id.id,
                memory.id,
                file.id,
                H5P_DEFAULT,
                out.as_mut_ptr().cast(),
            ))?;
            Ok(())
        }
    })
}

/// Reads `count` rows of text of a dataset (or a scalar), starting at `start`.
pub(in crate::source::hdf5) fn read_texts(
    dataset: &Handle,
    start: u64,
    count: u64,
) -> Result<Texts, String> {
    sync(|| {
        // SAFETY: `slab` selects exactly `elements` elements.
        unsafe {
            let type_id = Handle::new(H5Dget_type(dataset.id), H5Tclose)?;
            let (memory, file, elements) = slab(dataset.id, start, count)?;
            texts(&type_id, &memory, elements, |memory_type, buffer| {
                H5Dread(
                    dataset.id,
                    memory_type,
                    memory.id,
                    file.id,
                    H5P_DEFAULT,
                    buffer,
                )
            })
        }
    })
}

/// Selects the rows `start .. start + count` of a dataset's dataspace. Returns a memory dataspace
/// with as many elements, the selection, and the number of elements.
pub(super) unsafe fn slab(
    dataset: hid_t,
    start: u64,
    count: u64,
) -> Result<(Handle, Handle, u64), String> {
    // SAFETY: the arrays have as many entries as the space has dimensions.
    unsafe {
        let file = Handle::new(H5Dget_space(dataset), H5Sclose)?;
        let (shape, _) = extent(file.id)?;
        let mut elements = count;
        if let Some((_, row)) = shape.split_first() {
            let mut starts = vec![0; shape.len()];
            starts[0] = start;
            let mut counts = shape.clone();
            counts[0] = count;
            elements = row
                .iter()
                .try_fold(count, |n, &d| n.checked_mul(d))
                .ok_or("it has an absurd shape")?;
            check(H5Sselect_hyperslab(
                file.id,
                H5S_seloper_t::H5S_SELECT_SET,
                starts.as_ptr(),
                ptr::null(),
                counts.as_ptr(),
                ptr::null(),
            ))?;
        } else if (start, count) != (0, 1) {
            return Err("it is a scalar where a list is expected".into());
        }
        let memory = Handle::new(H5Screate_simple(1, &elements, ptr::null()), H5Sclose)?;
        Ok((memory, file, elements))
    }
}

/// Reads text of either kind with `read`, which fills `count` elements of the given memory type.
///
/// # Safety
/// `read` must write exactly `count` elements of the type it is passed; `space` must have as many.
pub(super) unsafe fn texts(
    type_id: &Handle,
    space: &Handle,
    count: u64,
    read: impl FnOnce(hid_t, *mut c_void) -> c_int,
) -> Result<Texts, String> {
    let count = usize::try_from(count).map_err(|e| e.to_string())?;
    // SAFETY: buffers have `count` elements of the memory type; variable-length texts are
    // NUL-terminated strings that libhdf5 allocated and `H5Treclaim` frees.
    unsafe {
        match type_bits(type_id.id) {
            TypeBits::VariableText { .. } => {
                let memory_type = Handle::new(H5Tcopy(*hdf5::globals::H5T_C_S1), H5Tclose)?;
                check(H5Tset_size(memory_type.id, H5T_VARIABLE))?;
                check(H5Tset_cset(memory_type.id, H5Tget_cset(type_id.id)))?;
                let mut pointers: Vec<*mut c_char> = vec![ptr::null_mut(); count];
                let buffer: *mut c_void = pointers.as_mut_ptr().cast();
                check(read(memory_type.id, buffer))?;
                let texts = pointers
                    .iter()
                    .map(|&text| {
                        (!text.is_null()).then(|| CStr::from_ptr(text).to_bytes().to_vec())
                    })
                    .collect();
                check(H5Treclaim(memory_type.id, space.id, H5P_DEFAULT, buffer))?;
                Ok(texts)
            }
            TypeBits::FixedText { size, padding } => {
                let length = count
                    .checked_mul(size)
                    .ok_or("its texts are absurdly long")?;
                let mut bytes = Vec::<u8>::new();
                bytes
                    .try_reserve_exact(length)
                    .map_err(|_| "its texts are absurdly long")?;
                bytes.resize(length, 0);
                check(read(type_id.id, bytes.as_mut_ptr().cast()))?;
                Ok(bytes
                    .chunks_exact(size.max(1))
                    .map(|text| Some(trimmed(text, padding)))
                    .collect())
            }
            _ => Err("it does not hold text".into()),
        }
    }
}

fn trimmed(text: &[u8], padding: Padding) -> Vec<u8> {
    let without = |pad: u8| {
        let last = text.iter().rposition(|&byte| byte != pad);
        last.map_or(0, |last| last + 1)
    };
    let end = match padding {
        Padding::Spaces => without(b' '),
        Padding::Nulls => without(0),
        Padding::Terminated => text
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(text.len()),
    };
    text[..end].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_where_their_padding_begins() {
        let text = |padding| trimmed(b"a\0b \0 \0\0", padding);
        assert_eq!(text(Padding::Terminated), b"a");
        assert_eq!(text(Padding::Nulls), b"a\0b \0 ");
        assert_eq!(trimmed(b"a b  ", Padding::Spaces), b"a b");
        for padding in [Padding::Terminated, Padding::Nulls, Padding::Spaces] {
            assert_eq!(trimmed(b"", padding), b"");
        }
    }
}
