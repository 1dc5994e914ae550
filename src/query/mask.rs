//! Sets of cells or genes.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt32Type};

/// A set of numbers from 0 to some end.
#[derive(Debug, Clone)]
pub(super) struct Mask {
    bits: BooleanBuffer,
    count: usize,
}

impl Mask {
    /// A set of the numbers at which the bits are set.
    pub fn of(bits: BooleanBuffer) -> Self {
        let count = bits.count_set_bits();
        Mask { bits, count }
    }

    /// Numbers that are in both sets.
    pub fn and(&self, other: &Mask) -> Self {
        Mask::of(&self.bits & &other.bits)
    }

    /// How many numbers there are in the set, and could be.
    pub fn counts(&self) -> (usize, usize) {
        (self.count, self.bits.len())
    }

    /// Ranges of consecutive numbers in the set.
    pub fn runs(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.bits
            .set_slices()
            .map(|(start, end)| start as u64..end as u64)
    }

    /// For each number of a column, whether it is in the set; `None` if a number is missing, negative
    /// or beyond the end.
    pub fn holds(&self, column: &ArrayRef) -> Option<BooleanArray> {
        let mut bits = BooleanBufferBuilder::new(column.len());
        if column.null_count() > 0 {
            return None;
        }
        let end = self.bits.len();
        let mut add = |number: usize| {
            bits.append(number < end && self.bits.value(number));
            number < end
        };
        let inside = match column.data_type() {
            DataType::UInt16 => {
                let numbers = column
                    .as_primitive::<arrow::datatypes::UInt16Type>()
                    .values();
                numbers.iter().all(|&n| add(usize::from(n)))
            }
            _ => {
                let wide = cast(column, &DataType::UInt32).ok()?;
                if wide.null_count() > 0 {
                    return None;
                }
                let numbers = wide.as_primitive::<UInt32Type>().values();
                numbers.iter().all(|&n| add(n as usize))
            }
        };
        inside.then(|| BooleanArray::new(bits.finish(), None))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, UInt16Array};

    use super::*;

    #[test]
    fn numbers_are_looked_up_in_any_type() {
        let mask = Mask::of(BooleanBuffer::from(vec![true, false, true, true]));
        assert_eq!(mask.counts(), (3, 4));
        assert_eq!(mask.runs().collect::<Vec<_>>(), [0..1, 2..4]);
        let narrow: ArrayRef = Arc::new(UInt16Array::from(vec![0, 1, 3]));
        let signed: ArrayRef = Arc::new(Int32Array::from(vec![0, 1, 3]));
        let expected = BooleanArray::from(vec![true, false, true]);
        assert_eq!(mask.holds(&narrow).unwrap(), expected);
        assert_eq!(mask.holds(&signed).unwrap(), expected);
        let outside: ArrayRef = Arc::new(Int32Array::from(vec![4]));
        let negative: ArrayRef = Arc::new(Int32Array::from(vec![-1]));
        assert!(mask.holds(&outside).is_none() && mask.holds(&negative).is_none());
    }
}
