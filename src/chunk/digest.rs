//! Digests of tables that do not depend on the order of the rows.
//!
//! The digest of a row is a 128-bit number; that of a table is the sum of its rows' digests modulo
//! 2^128. Cells and genes enter by their identifiers, not by their numbers, so that a value that
//! moved to another cell or gene changes the sum even if the table is renumbered.
//!
//! The digest is part of the file format and must not change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Sum of the digests of a set of rows.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(u128);

impl Digest {
    /// Returns the digest of one row with these bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let hash = blake3::hash(bytes);
        let mut first = [0; 16];
        first.copy_from_slice(&hash.as_bytes()[..16]);
        Digest(u128::from_le_bytes(first))
    }

    /// Adds the digest of other rows.
    pub fn add(&mut self, other: Digest) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// Adds the row of a non-zero value.
    #[inline]
    pub fn add_entry(&mut self, row: IdHash, column: IdHash, value: f64) {
        self.add_mixed(row, column, MixedValue::of(value));
    }

    /// Like [`Digest::add_entry`].
    #[inline]
    pub(super) fn add_mixed(&mut self, row: IdHash, column: IdHash, MixedValue(bits): MixedValue) {
        let left = row.0.wrapping_add(bits);
        let right = column.0 ^ bits.rotate_left(32);
        let product = u128::from(left) * u128::from(right);
        let (low, high) = (product as u64, (product >> 64) as u64);
        let first = low ^ high;
        let second = (low.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ high.rotate_left(29))
            .wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = self
            .0
            .wrapping_add(u128::from(second) << 64 | u128::from(first));
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Digest)
    }
}

impl TryFrom<String> for Digest {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// The bits of a value, mixed as hashes of entries need them.
#[derive(Debug, Clone, Copy)]
pub(super) struct MixedValue(pub(super) u64);

impl MixedValue {
    #[inline]
    pub fn of(value: f64) -> Self {
        // All NaNs are equal.
        let bits = if value.is_nan() {
            f64::NAN.to_bits()
        } else {
            value.to_bits()
        };
        MixedValue(bits.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// Hash of the identifier of a cell or a gene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdHash(u64);

impl IdHash {
    /// Hash that stands for a cell or gene that does not exist.
    pub(super) const NOBODY: IdHash = IdHash(0);

    /// Hashes an identifier.
    pub fn of(id: &str) -> Self {
        let hash = blake3::hash(id.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        IdHash(u64::from_le_bytes(first))
    }

    /// Hashes all identifiers.
    pub fn of_all(ids: &arrow::array::StringArray) -> Vec<Self> {
        ids.iter()
            .map(|id| IdHash::of(id.unwrap_or_default()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(entries: &[(u8, u8, f64)]) -> Digest {
        let mut digest = Digest::default();
        for (cell, gene, value) in entries {
            let (cell, gene) = (format!("c{cell}"), format!("g{gene}"));
            digest.add_entry(IdHash::of(&cell), IdHash::of(&gene), *value);
        }
        digest
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_all_else_does(
            mut entries in prop::collection::vec((0u8..9, 0u8..9, -3i8..4), 1..40),
            place: usize,
            cell in 0u8..9,
            gene in 0u8..9,
            value in -3i8..4,
        ) {
            let all = |entries: &[(u8, u8, i8)]| {
                let entries: Vec<_> = entries.iter().map(|e| (e.0, e.1, f64::from(e.2))).collect();
                digest(&entries)
            };
            let before = all(&entries);
            entries.reverse();
            prop_assert_eq!(all(&entries), before);
            let place = place % entries.len();
            let old = std::mem::replace(&mut entries[place], (cell, gene, value));
            prop_assert_eq!(all(&entries) == before, old == (cell, gene, value));
            entries[place] = old;
            entries.push(old);
            prop_assert_ne!(all(&entries), before);
        }
    }

    #[test]
    fn swapped_values_are_noticed() {
        let one = digest(&[(1, 1, 1.0), (2, 1, 2.0), (1, 2, 2.0), (2, 2, 1.0)]);
        let other = digest(&[(1, 1, 2.0), (2, 1, 1.0), (1, 2, 1.0), (2, 2, 2.0)]);
        assert_ne!(one, other);
    }

    #[test]
    fn it_stays_as_it_is() {
        assert_eq!(
            digest(&[(1, 2, 3.0)]).to_string(),
            "e927f55ae5ee29360ae12e4dad33ba3f"
        );
        let text = digest(&[(0, 0, f64::NAN)]).to_string();
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
    }
}
