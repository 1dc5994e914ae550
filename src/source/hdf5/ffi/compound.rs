//! Fields of compound datasets, each read as if it were a separate dataset.

use std::ffi::{CStr, CString, c_void};

use hdf5_metno::sync::sync;
use hdf5_metno_sys::h5::H5free_memory;
use hdf5_metno_sys::h5d::{H5Dget_type, H5Dread};
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::h5p::H5P_DEFAULT;
use hdf5_metno_sys::h5t::{
    H5T_class_t, H5Tclose, H5Tcreate, H5Tget_array_dims2, H5Tget_array_ndims, H5Tget_class,
    H5Tget_member_index, H5Tget_member_name, H5Tget_member_offset, H5Tget_member_type,
    H5Tget_nmembers, H5Tget_size, H5Tget_super, H5Tinsert, H5Tis_variable_str,
};

use super::rows::{Texts, slab, texts};
use super::types::type_bits;
use super::{Handle, TypeBits, c_string, check};
use crate::source::hdf5::heap::REFERENCE;

/// A field of a compound type.
pub(in crate::source::hdf5) struct RawField {
    /// Type of its elements.
    pub bits: TypeBits,
    /// Shape of the array it holds in each row; empty for a single element.
    pub shape: Vec<u64>,
}

/// Returns the names of the fields in order; `None` for a dataset that is not compound.
pub(in crate::source::hdf5) fn fields(dataset: &Handle) -> Result<Option<Vec<String>>, String> {
    sync(|| {
        // SAFETY: the type is open for the duration of the calls; names are allocated by libhdf5
        // and freed with its own function.
        unsafe {
            let type_id = Handle::new(H5Dget_type(dataset.id), H5Tclose)?;
            if H5Tget_class(type_id.id) != H5T_class_t::H5T_COMPOUND {
                return Ok(None);
            }
            let count = u32::try_from(check(H5Tget_nmembers(type_id.id))?).unwrap_or(0);
            let mut names = Vec::new();
            for index in 0..count {
                let name = H5Tget_member_name(type_id.id, index);
                if name.is_null() {
                    return Err("the name of a field cannot be read".into());
                }
                let text = CStr::from_ptr(name).to_str().map(str::to_string);
                H5free_memory(name.cast::<c_void>());
                names.push(text.map_err(|_| "the name of a field is not valid UTF-8")?);
            }
            Ok(Some(names))
        }
    })
}

/// Returns the type of a field.
pub(in crate::source::hdf5) fn field(dataset: &Handle, name: &str) -> Result<RawField, String> {
    let name = c_string(name)?;
    sync(|| {
        let member = member_type(dataset, &name)?;
        // SAFETY: the type is open; `shape` has as many entries as the array has dimensions.
        unsafe {
            if H5Tget_class(member.id) != H5T_class_t::H5T_ARRAY {
                return Ok(RawField {
                    bits: type_bits(member.id),
                    shape: Vec::new(),
                });
            }
            let rank = usize::try_from(check(H5Tget_array_ndims(member.id))?).unwrap_or(0);
            let mut shape = vec![0; rank.max(1)];
            check(H5Tget_array_dims2(member.id, shape.as_mut_ptr()))?;
            shape.truncate(rank);
            let element = Handle::new(H5Tget_super(member.id), H5Tclose)?;
            Ok(RawField {
                bits: type_bits(element.id),
                shape,
            })
        }
    })
}

/// Returns how text is stored in each element of a dataset, or in one of its fields: the size of a
/// stored element in bytes and, for variable-length text, the byte offset of the first reference
/// and the number of references. `None` if this is unknown.
pub(in crate::source::hdf5) fn text_layout(
    dataset: &Handle,
    field: Option<&str>,
) -> Result<Option<(u64, Option<(u64, u64)>)>, String> {
    let field = field.map(c_string).transpose()?;
    sync(|| {
        // SAFETY: the types are open for the duration of the calls.
        unsafe {
            let type_id = Handle::new(H5Dget_type(dataset.id), H5Tclose)?;
            let Some(element) = stored_size(type_id.id)? else {
                return Ok(None);
            };
            let Some(field) = field else {
                return Ok(Some((element, references(type_id.id, 0, element))));
            };
            let index = check(H5Tget_member_index(type_id.id, field.as_ptr()))?;
            let index = u32::try_from(index).map_err(|e| e.to_string())?;
            let place = H5Tget_member_offset(type_id.id, index);
            // Preceding fields may be longer, or shorter, in the file than in memory.
            let (mut longer, mut shorter) = (0, 0);
            for other in 0..u32::try_from(check(H5Tget_nmembers(type_id.id))?).unwrap_or(0) {
                if H5Tget_member_offset(type_id.id, other) < place {
                    let member = Handle::new(H5Tget_member_type(type_id.id, other), H5Tclose)?;
                    longer += stored_size(member.id)?.unwrap_or(0);
                    shorter += H5Tget_size(member.id) as u64;
                }
            }
            let first = (place as u64 + longer).checked_sub(shorter);
            let member = member_type(dataset, &field)?;
            let stored = stored_size(member.id)?;
            Ok(first
                .zip(stored)
                .map(|(first, stored)| (element, references(member.id, first, stored))))
        }
    })
}

/// Returns the references among the bytes of a text type, or of an array of it.
unsafe fn references(type_id: hid_t, first: u64, stored: u64) -> Option<(u64, u64)> {
    // SAFETY: the caller holds the type open.
    let bits = unsafe {
        if H5Tget_class(type_id) == H5T_class_t::H5T_ARRAY {
            type_bits(Handle::new(H5Tget_super(type_id), H5Tclose).ok()?.id)
        } else {
            type_bits(type_id)
        }
    };
    matches!(bits, TypeBits::VariableText { .. }).then_some((first, stored / REFERENCE as u64))
}

/// Returns the size of an element in the file, in bytes. libhdf5 reports the size in memory, where
/// references into a heap are pointers. `None` for references to objects, some of which are stored
/// in other ways.
unsafe fn stored_size(type_id: hid_t) -> Result<Option<u64>, String> {
    // SAFETY: the caller holds the type open; those of members are open for the duration of the
    // calls.
    unsafe {
        let size = H5Tget_size(type_id) as u64;
        match H5Tget_class(type_id) {
            H5T_class_t::H5T_STRING if H5Tis_variable_str(type_id) > 0 => {
                Ok(Some(REFERENCE as u64))
            }
            H5T_class_t::H5T_VLEN => Ok(Some(REFERENCE as u64)),
            H5T_class_t::H5T_REFERENCE => Ok(None),
            H5T_class_t::H5T_ARRAY => {
                let element = Handle::new(H5Tget_super(type_id), H5Tclose)?;
                let count = size / (H5Tget_size(element.id) as u64).max(1);
                let stored = stored_size(element.id)?;
                Ok(stored.and_then(|stored| stored.checked_mul(count)))
            }
            H5T_class_t::H5T_COMPOUND => {
                let (mut stored, mut held) = (0u64, 0u64);
                for index in 0..u32::try_from(check(H5Tget_nmembers(type_id))?).unwrap_or(0) {
                    let member = Handle::new(H5Tget_member_type(type_id, index), H5Tclose)?;
                    let Some(bytes) = stored_size(member.id)? else {
                        return Ok(None);
                    };
                    stored += bytes;
                    held += H5Tget_size(member.id) as u64;
                }
                Ok((size + stored).checked_sub(held))
            }
            _ => Ok(Some(size)),
        }
    }
}

fn member_type(dataset: &Handle, name: &CString) -> Result<Handle, String> {
    // SAFETY: as in `fields`; the index was returned by libhdf5.
    unsafe {
        let type_id = Handle::new(H5Dget_type(dataset.id), H5Tclose)?;
        let index = check(H5Tget_member_index(type_id.id, name.as_ptr()))?;
        let index = u32::try_from(index).map_err(|e| e.to_string())?;
        Handle::new(H5Tget_member_type(type_id.id, index), H5Tclose)
    }
}

/// Creates a compound type with only this field, at its beginning.
unsafe fn alone(name: &CString, member: hid_t) -> Result<Handle, String> {
    // SAFETY: `member` is open, and the new type has its size.
    unsafe {
        let size = H5Tget_size(member);
        let alone = Handle::new(H5Tcreate(H5T_class_t::H5T_COMPOUND, size), H5Tclose)?;
        check(H5Tinsert(alone.id, name.as_ptr(), 0, member))?;
        Ok(alone)
    }
}

/// Reads `count` rows of a field, starting at `start`, in the type and byte order of the file.
pub(in crate::source::hdf5) fn read_field_bytes(
    dataset: &Handle,
    name: &str,
    start: u64,
    count: u64,
    out: &mut [u8],
) -> Result<(), String> {
    let name = c_string(name)?;
    sync(|| {
        let member = member_type(dataset, &name)?;
        // SAFETY: the field's type contains no pointers, and the length of `out` is checked to
        // match the selected elements.
        unsafe {
            if contains_pointers(&member) {
                return Err("it does not hold numbers".into());
            }
            let alone = alone(&name, member.id)?;
            let (memory, file, elements) = slab(dataset.id, start, count)?;
            let needed = usize::try_from(elements)
                .ok()
                .and_then(|n| n.checked_mul(H5Tget_size(alone.id)));
            if needed != Some(out.len()) {
                return Err("the buffer does not fit the elements".into());
            }
            check(H5Dread(
                dataset.id,
                alone.id,
                memory.id,
                file.id,
                H5P_DEFAULT,
                out.as_mut_ptr().cast(),
            ))?;
            Ok(())
        }
    })
}

/// Whether a field is anything other than numbers, the only type known to be stored in place.
fn contains_pointers(member: &Handle) -> bool {
    // SAFETY: the types are open for the duration of the calls.
    let bits = unsafe {
        if H5Tget_class(member.id) == H5T_class_t::H5T_ARRAY {
            match Handle::new(H5Tget_super(member.id), H5Tclose) {
                Ok(element) => type_bits(element.id),
                Err(_) => return true,
            }
        } else {
            type_bits(member.id)
        }
    };
    !matches!(
        bits,
        TypeBits::Integer { .. } | TypeBits::Float { .. } | TypeBits::Enumeration { .. }
    )
}

/// Reads `count` rows of a text field, starting at `start`.
pub(in crate::source::hdf5) fn read_field_texts(
    dataset: &Handle,
    name: &str,
    start: u64,
    count: u64,
) -> Result<Texts, String> {
    let name = c_string(name)?;
    sync(|| {
        let member = member_type(dataset, &name)?;
        // SAFETY: `slab` selects exactly `elements` elements, and a compound type with a single
        // field at its beginning has the same memory layout as the field.
        unsafe {
            let (memory, file, elements) = slab(dataset.id, start, count)?;
            texts(
                &member,
                &memory,
                elements,
                |memory_type, buffer| match alone(&name, memory_type) {
                    Ok(alone) => H5Dread(
                        dataset.id,
                        alone.id,
                        memory.id,
                        file.id,
                        H5P_DEFAULT,
                        buffer,
                    ),
                    Err(_) => -1,
                },
            )
        }
    })
}
