//! Attributes.

use hdf5_metno::sync::sync;
use hdf5_metno_sys::h5a::{H5Aclose, H5Aexists, H5Aget_space, H5Aget_type, H5Aopen, H5Aread};
use hdf5_metno_sys::h5p::H5P_DEFAULT;
use hdf5_metno_sys::h5s::H5Sclose;
use hdf5_metno_sys::h5t::H5Tclose;

use super::rows::texts;
use super::types::type_bits;
use super::{Handle, TypeBits, c_string, check, extent};

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source::hdf5) enum RawAttribute {
    Texts {
        scalar: bool,
        texts: Vec<Vec<u8>>,
    },
    Bytes {
        scalar: bool,
        bits: TypeBits,
        bytes: Vec<u8>,
    },
    Other(String),
}

/// Reads an attribute of an object, if it has one of that name.
pub(in crate::source::hdf5) fn attribute(
    object: &Handle,
    name: &str,
) -> Result<Option<RawAttribute>, String> {
    let name = c_string(name)?;
    sync(|| {
        // SAFETY: names are NUL-terminated; buffers have as many elements as the attribute's
        // dataspace, of the type they are read as.
        unsafe {
            if check(H5Aexists(object.id, name.as_ptr()))? == 0 {
                return Ok(None);
            }
            let attribute = Handle::new(H5Aopen(object.id, name.as_ptr(), H5P_DEFAULT), H5Aclose)?;
            let space = Handle::new(H5Aget_space(attribute.id), H5Sclose)?;
            let type_id = Handle::new(H5Aget_type(attribute.id), H5Tclose)?;
            let (shape, null) = extent(space.id)?;
            let scalar = shape.is_empty();
            let count = if null {
                0
            } else {
                shape
                    .iter()
                    .try_fold(1u64, |n, &d| n.checked_mul(d))
                    .ok_or("absurd shape")?
            };
            // Attributes are small by nature (64 KiB, or dense storage for lists of columns).
            if count > 1 << 24 {
                return Err("it has an absurd number of elements".into());
            }
            let bits = type_bits(type_id.id);
            Ok(Some(match &bits {
                // An empty list is written as an array of any type, often float64.
                _ if count == 0 => RawAttribute::Texts {
                    scalar: false,
                    texts: Vec::new(),
                },
                TypeBits::VariableText { .. } | TypeBits::FixedText { .. } => {
                    let texts = texts(&type_id, &space, count, |memory_type, buffer| {
                        H5Aread(attribute.id, memory_type, buffer)
                    })?;
                    let texts = texts.into_iter().map(Option::unwrap_or_default).collect();
                    RawAttribute::Texts { scalar, texts }
                }
                TypeBits::Integer { size, .. } | TypeBits::Float { size, .. } => {
                    let mut bytes =
                        vec![0u8; usize::try_from(count).map_err(|e| e.to_string())? * size];
                    check(H5Aread(attribute.id, type_id.id, bytes.as_mut_ptr().cast()))?;
                    RawAttribute::Bytes {
                        scalar,
                        bits,
                        bytes,
                    }
                }
                TypeBits::Enumeration { base, .. } => {
                    let TypeBits::Integer { size, .. } = **base else {
                        return Ok(Some(RawAttribute::Other("an enumeration".into())));
                    };
                    let mut bytes =
                        vec![0u8; usize::try_from(count).map_err(|e| e.to_string())? * size];
                    check(H5Aread(attribute.id, type_id.id, bytes.as_mut_ptr().cast()))?;
                    RawAttribute::Bytes {
                        scalar,
                        bits,
                        bytes,
                    }
                }
                TypeBits::Other(what) => RawAttribute::Other(what.clone()),
            }))
        }
    })
}
