//! The calls of libhdf5 that its Rust binding does not offer, each behind a safe function.
//!
//! libhdf5 is not safe to use from two threads: every function here takes the binding's
//! process-wide lock ([`hdf5::sync::sync`]) for as long as it runs. Handles are closed when they
//! are dropped.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr;

use hdf5_metno::{self as hdf5, sync::sync};
use hdf5_metno_sys::h5::hsize_t;
use hdf5_metno_sys::h5a::{H5Aclose, H5Aexists, H5Aget_space, H5Aget_type, H5Aopen, H5Aread};
use hdf5_metno_sys::h5d::{
    H5D_layout_t, H5Dchunk_iter, H5Dclose, H5Dget_create_plist, H5Dget_offset, H5Dget_space,
    H5Dget_type, H5Dopen2, H5Dread,
};
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::h5l::{H5L_info2_t, H5L_type_t, H5Lexists, H5Lget_info2};
use hdf5_metno_sys::h5o::{H5Oclose, H5Oopen};
use hdf5_metno_sys::h5p::{
    H5P_DEFAULT, H5Pclose, H5Pget_chunk, H5Pget_chunk_opts, H5Pget_external_count,
    H5Pget_fill_value, H5Pget_filter2, H5Pget_layout, H5Pget_nfilters,
};
use hdf5_metno_sys::h5s::{
    H5S_seloper_t, H5Sclose, H5Screate_simple, H5Sget_simple_extent_dims,
    H5Sget_simple_extent_ndims, H5Sget_simple_extent_npoints, H5Sselect_hyperslab,
};
use hdf5_metno_sys::h5t::{
    H5T_VARIABLE, H5T_class_t, H5T_order_t, H5T_sign_t, H5T_str_t, H5Tclose, H5Tcopy, H5Tget_class,
    H5Tget_cset, H5Tget_ebias, H5Tget_fields, H5Tget_member_name, H5Tget_member_value,
    H5Tget_nmembers, H5Tget_offset, H5Tget_order, H5Tget_precision, H5Tget_sign, H5Tget_size,
    H5Tget_strpad, H5Tget_super, H5Tis_variable_str, H5Treclaim, H5Tset_cset, H5Tset_size,
};

/// A handle of libhdf5 with the function that closes it.
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

/// What libhdf5 says about its last failure, in one line.
fn last_error() -> String {
    match hdf5::Error::query() {
        Ok(hdf5::Error::HDF5(stack)) => stack
            .expand()
            .map(|stack| stack.description().to_string())
            .unwrap_or_else(|_| "unknown error of libhdf5".into()),
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

/// Opens any object by name.
pub(super) fn open_object(file: hid_t, name: &str) -> Result<Handle, String> {
    let name = c_string(name)?;
    // SAFETY: `name` is NUL-terminated.
    sync(|| {
        Handle::new(
            unsafe { H5Oopen(file, name.as_ptr(), H5P_DEFAULT) },
            H5Oclose,
        )
    })
}

/// Opens a dataset by name.
pub(super) fn open_dataset(file: hid_t, name: &str) -> Result<Handle, String> {
    let name = c_string(name)?;
    // SAFETY: `name` is NUL-terminated.
    sync(|| {
        Handle::new(
            unsafe { H5Dopen2(file, name.as_ptr(), H5P_DEFAULT) },
            H5Dclose,
        )
    })
}

/// The bits of a type, as far as a reader needs them.
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
        space_padded: bool,
    },
    Other(String),
}

fn type_bits(type_id: hid_t) -> TypeBits {
    // SAFETY: every call only asks for properties of a type that the caller holds open; the
    // out-pointers are locals of the asked-for types.
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
                ascii: H5Tget_cset(type_id) == hdf5_metno_sys::h5t::H5T_cset_t::H5T_CSET_ASCII,
            },
            H5T_class_t::H5T_STRING => TypeBits::FixedText {
                size,
                space_padded: H5Tget_strpad(type_id) == H5T_str_t::H5T_STR_SPACEPAD,
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
            hdf5_metno_sys::h5::H5free_memory(name.cast::<c_void>());
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

/// A filter of a dataset's pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawFilter {
    pub id: i32,
    pub parameters: Vec<u32>,
}

/// A stored chunk: its first element's coordinates, place, size and skipped filters.
#[derive(Debug, Clone)]
pub(crate) struct RawChunk {
    pub offset: Vec<u64>,
    pub address: u64,
    pub size: u64,
    pub skipped_filters: u32,
}

/// How the elements of a dataset lie in the file.
#[derive(Debug, Clone)]
pub(crate) enum RawStorage {
    Compact,
    /// `None`: nothing was ever written.
    Contiguous(Option<u64>),
    Chunked {
        chunk: Vec<u64>,
        partial_unfiltered: bool,
    },
    Elsewhere(&'static str),
}

/// All that the header of a dataset says.
#[derive(Debug, Clone)]
pub(super) struct RawHeader {
    pub shape: Vec<u64>,
    /// No shape at all, not even a scalar's.
    pub null: bool,
    pub bits: TypeBits,
    pub filters: Vec<RawFilter>,
    pub storage: RawStorage,
    /// One element in the byte order of the file; zeros where none was set.
    pub fill: Vec<u8>,
}

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

/// Reads the header of a dataset.
pub(super) fn header(dataset: &Handle) -> Result<RawHeader, String> {
    sync(|| {
        // SAFETY: all ids are open for the length of the calls; out-pointers are locals with the
        // sizes that the calls are told.
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
            // A fill value is only asked for where it is one plain element.
            let mut fill = vec![0u8; 8];
            if matches!(
                bits,
                TypeBits::Integer { .. } | TypeBits::Float { .. } | TypeBits::Enumeration { .. }
            ) {
                check(H5Pget_fill_value(
                    properties.id,
                    type_id.id,
                    fill.as_mut_ptr().cast(),
                ))?;
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
    // SAFETY: libhdf5 hands back the pointer that `chunks` gave it, while `chunks` waits, and an
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
pub(super) fn chunks(dataset: &Handle, rank: usize) -> Result<Vec<RawChunk>, String> {
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

/// Texts as stored; `None` where a variable-length text was never written.
pub(super) type Texts = Vec<Option<Vec<u8>>>;

/// Reads `count` rows from `start` of a dataset (or a scalar) in the file's own type and byte
/// order, through libhdf5 and its filters.
pub(super) fn read_bytes(
    dataset: &Handle,
    start: u64,
    count: u64,
    out: &mut [u8],
) -> Result<(), String> {
    sync(|| {
        // SAFETY: the selection has `elements` elements of the file's own type, and the length of
        // `out` is checked to hold them.
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

/// Reads `count` rows of texts from `start` of a dataset (or a scalar).
pub(super) fn read_texts(dataset: &Handle, start: u64, count: u64) -> Result<Texts, String> {
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

/// The rows `start .. start + count` of a dataset's space, a memory space of as many elements, and
/// their number.
unsafe fn slab(dataset: hid_t, start: u64, count: u64) -> Result<(Handle, Handle, u64), String> {
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

/// Reads texts of either kind with `read`, which fills `count` elements of the given memory type.
///
/// # Safety
/// `read` must write exactly `count` elements of the type it is given; `space` must have as many.
unsafe fn texts(
    type_id: &Handle,
    space: &Handle,
    count: u64,
    read: impl FnOnce(hid_t, *mut c_void) -> c_int,
) -> Result<Texts, String> {
    let count = usize::try_from(count).map_err(|e| e.to_string())?;
    // SAFETY: buffers have `count` elements of the memory type; variable-length texts are
    // NUL-terminated pointers that libhdf5 allocated and `H5Treclaim` frees.
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
            TypeBits::FixedText { size, space_padded } => {
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
                    .map(|text| Some(trimmed(text, space_padded)))
                    .collect())
            }
            _ => Err("it does not hold text".into()),
        }
    }
}

fn trimmed(text: &[u8], space_padded: bool) -> Vec<u8> {
    let end = if space_padded {
        text.iter()
            .rposition(|&byte| byte != b' ')
            .map_or(0, |last| last + 1)
    } else {
        text.iter()
            .position(|&byte| byte == 0)
            .unwrap_or(text.len())
    };
    text[..end].to_vec()
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RawAttribute {
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
pub(super) fn attribute(object: &Handle, name: &str) -> Result<Option<RawAttribute>, String> {
    let name = c_string(name)?;
    sync(|| {
        // SAFETY: names are NUL-terminated; buffers have the number of elements that the space of
        // the attribute says, of the type they are read as.
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
