//! Types of elements.

use std::ffi::{CStr, c_uint, c_void};

use hdf5_metno_sys::h5::H5free_memory;
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::h5t::{
    H5T_class_t, H5T_cset_t, H5T_order_t, H5T_sign_t, H5T_str_t, H5Tclose, H5Tget_class,
    H5Tget_cset, H5Tget_ebias, H5Tget_fields, H5Tget_member_name, H5Tget_member_value,
    H5Tget_nmembers, H5Tget_offset, H5Tget_order, H5Tget_precision, H5Tget_sign, H5Tget_size,
    H5Tget_strpad, H5Tget_super, H5Tis_variable_str,
};

use super::Handle;

/// The properties of a type that a reader needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TypeBits {
    Integer {
        size: usize,
        signed: bool,
        little: bool,
    },
    Float {
        size: usize,
        little: bool,
    },
    /// An enumeration with its members, in the integer type of its values.
    Enumeration {
        base: Box<TypeBits>,
        members: Vec<(String, i64)>,
    },
    VariableText {
        ascii: bool,
    },
    FixedText {
        size: usize,
        padding: Padding,
    },
    Other(String),
}

/// What follows a text that is shorter than its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// A NUL, followed by anything.
    Terminated,
    /// NULs up to the end; NULs before other characters are part of the text.
    Nulls,
    Spaces,
}

/// Examines a type that the caller holds open.
pub(super) fn type_bits(type_id: hid_t) -> TypeBits {
    // SAFETY: every call only queries properties of a type that the caller holds open; out-pointers
    // point to local variables of the requested types.
    unsafe {
        let size = H5Tget_size(type_id);
        let order = H5Tget_order(type_id);
        let plain_order = matches!(order, H5T_order_t::H5T_ORDER_LE | H5T_order_t::H5T_ORDER_BE);
        let little = order == H5T_order_t::H5T_ORDER_LE;
        let whole = H5Tget_offset(type_id) == 0 && H5Tget_precision(type_id) == size * 8;
        match H5Tget_class(type_id) {
            H5T_class_t::H5T_INTEGER if whole && plain_order && [1, 2, 4, 8].contains(&size) => {
                TypeBits::Integer {
                    size,
                    signed: H5Tget_sign(type_id) == H5T_sign_t::H5T_SGN_2,
                    little,
                }
            }
            H5T_class_t::H5T_FLOAT if whole && plain_order => {
                let (mut sign, mut exponent, mut exponent_bits, mut mantissa, mut mantissa_bits) =
                    (0, 0, 0, 0, 0);
                H5Tget_fields(
                    type_id,
                    &mut sign,
                    &mut exponent,
                    &mut exponent_bits,
                    &mut mantissa,
                    &mut mantissa_bits,
                );
                let layout = (
                    sign,
                    exponent,
                    exponent_bits,
                    mantissa,
                    mantissa_bits,
                    H5Tget_ebias(type_id),
                );
                match (size, layout) {
                    (2, (15, 10, 5, 0, 10, 15))
                    | (4, (31, 23, 8, 0, 23, 127))
                    | (8, (63, 52, 11, 0, 52, 1023)) => TypeBits::Float { size, little },
                    _ => TypeBits::Other("a floating-point type that is not IEEE".into()),
                }
            }
            H5T_class_t::H5T_ENUM => enumeration(type_id),
            H5T_class_t::H5T_STRING if H5Tis_variable_str(type_id) > 0 => TypeBits::VariableText {
                ascii: H5Tget_cset(type_id) == H5T_cset_t::H5T_CSET_ASCII,
            },
            H5T_class_t::H5T_STRING => TypeBits::FixedText {
                size,
                padding: match H5Tget_strpad(type_id) {
                    H5T_str_t::H5T_STR_SPACEPAD => Padding::Spaces,
                    H5T_str_t::H5T_STR_NULLPAD => Padding::Nulls,
                    _ => Padding::Terminated,
                },
            },
            H5T_class_t::H5T_COMPOUND => TypeBits::Other("a compound type".into()),
            H5T_class_t::H5T_REFERENCE => TypeBits::Other("a reference type".into()),
            H5T_class_t::H5T_VLEN => TypeBits::Other("a variable-length list type".into()),
            H5T_class_t::H5T_ARRAY => TypeBits::Other("an array type".into()),
            H5T_class_t::H5T_OPAQUE => TypeBits::Other("an opaque type".into()),
            H5T_class_t::H5T_BITFIELD => TypeBits::Other("a bit field".into()),
            _ => TypeBits::Other(format!("an unusual number type of {size} bytes")),
        }
    }
}

fn enumeration(type_id: hid_t) -> TypeBits {
    // SAFETY: as in `type_bits`. A member's value has the size of the base type, which is at most
    // eight bytes here; names are allocated by libhdf5 and freed with its own function.
    unsafe {
        let Ok(base) = Handle::new(H5Tget_super(type_id), H5Tclose) else {
            return TypeBits::Other("a damaged enumeration".into());
        };
        let TypeBits::Integer {
            size,
            signed,
            little,
        } = type_bits(base.id)
        else {
            return TypeBits::Other("an enumeration of an unusual type".into());
        };
        let mut members = Vec::new();
        for index in 0..c_uint::try_from(H5Tget_nmembers(type_id))
            .unwrap_or(0)
            .min(1 << 16)
        {
            let name = H5Tget_member_name(type_id, index);
            if name.is_null() {
                return TypeBits::Other("a damaged enumeration".into());
            }
            let text = CStr::from_ptr(name).to_string_lossy().into_owned();
            H5free_memory(name.cast::<c_void>());
            let mut bytes = [0u8; 8];
            if H5Tget_member_value(type_id, index, bytes.as_mut_ptr().cast()) < 0 {
                return TypeBits::Other("a damaged enumeration".into());
            }
            if !little {
                bytes[..size].reverse();
            }
            let raw = i64::from_le_bytes(bytes);
            let unused = 64 - 8 * u32::try_from(size).unwrap_or(8);
            members.push((
                text,
                if signed {
                    (raw << unused) >> unused
                } else {
                    raw
                },
            ));
        }
        TypeBits::Enumeration {
            base: Box::new(TypeBits::Integer {
                size,
                signed,
                little,
            }),
            members,
        }
    }
}
