//! Verifies checksums.

use md5::digest::Digest;

use super::super::cursor::Cursor;
use super::super::fault::{Checked, Fault};

/// Verifies the checksums of the data and of the metadata that follow in `cursor`, and leaves
/// `cursor` at that metadata.
pub(super) fn verify<D: Digest>(cursor: &mut Cursor<'_>, data: &[u8], name: &str) -> Checked<()> {
    let size = <D as Digest>::output_size();
    let (of_metadata, of_data) = (cursor.u32()?, cursor.u32()?);
    let mut sums = |count: u32| {
        let count = cursor.count(count.into(), 8 + size)?;
        (0..count)
            .map(|_| Ok((cursor.length64()?, cursor.take(size)?)))
            .collect::<Checked<Vec<_>>>()
    };
    let (of_metadata, of_data) = (sums(of_metadata)?, sums(of_data)?);
    for (sums, bytes) in [(of_metadata, cursor.rest()), (of_data, data)] {
        let mut bytes = Cursor::new(bytes);
        for (length, sum) in sums {
            let part = bytes.take(length)?;
            if D::digest(part).as_slice() != sum {
                return Err(Fault::damaged(format!(
                    "its {name} checksum is not that of its bytes"
                )));
            }
        }
        bytes.finish("what has a checksum")?;
    }
    Ok(())
}
