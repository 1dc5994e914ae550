//! Coordinate ranges, as fragments and their R-trees store them.

use super::cursor::{Cursor, little_endian};
use super::fault::{Checked, Fault};
use super::schema::Dimension;

/// First and last coordinate in the first two dimensions.
pub(in crate::source::soma) type Span = [[i64; 2]; 2];

/// Reads one coordinate range per dimension; `None` for dimensions that are not int64.
pub(super) fn ranges(
    cursor: &mut Cursor<'_>,
    dimensions: &[Dimension],
) -> Checked<Vec<Option<[i64; 2]>>> {
    let range = |dimension: &Dimension| {
        if dimension.variable {
            let length = cursor.length64()?;
            cursor.u64()?;
            cursor.take(length)?;
            return Ok(None);
        }
        let bytes = cursor.take(2 * dimension.datatype.size())?;
        if !dimension.is_int64() {
            return Ok(None);
        }
        let range = [&bytes[..8], &bytes[8..]].map(|bytes| little_endian(bytes) as i64);
        if range[0] > range[1] {
            return Err(Fault::damaged(format!(
                "a range from {} to {}",
                range[0], range[1]
            )));
        }
        Ok(Some(range))
    };
    dimensions.iter().map(range).collect()
}
