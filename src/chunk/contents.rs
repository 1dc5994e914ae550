//! Hashes of the contents of cells, by which a cell is recognised under another name.
//!
//! A cell's hash is the sum of the hashes of its entries, each of which is computed from a gene's
//! identity and a value. The hash does not depend on the order of the genes, on which other genes a
//! file lists, or on cell names.
//!
//! The hashes are part of the file format and must not change.

use xxhash_rust::xxh3::xxh3_64;

use super::digest::MixedValue;
use crate::source::stable_id::without_version;

/// Identity of a gene, independent of the file: the hash of its identifier without a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneIdentity(u64);

impl GeneIdentity {
    /// Returns the identity of the gene with this identifier, or with this name if it has none.
    pub fn of(id: &str) -> Self {
        GeneIdentity(xxh3_64(without_version(id).as_bytes()))
    }
}

/// Minimum total count of a cell to be hashed; with fewer, many cells have the same few counts.
pub const LEAST_COUNTS: f64 = 10.0;

/// Hash of a cell with too few counts.
pub const NO_CONTENTS: u64 = 0;

/// Sum of the hashes of a cell's entries.
#[derive(Default)]
pub(super) struct ContentHash(u64);

impl ContentHash {
    /// Adds an entry. Its hash does not depend on the cell.
    #[inline]
    pub fn add(&mut self, gene: GeneIdentity, MixedValue(bits): MixedValue) {
        let left = gene.0 ^ bits.rotate_left(32);
        let right = gene.0.wrapping_add(bits) ^ 0xd6e8_feb8_6659_fd93;
        let product = u128::from(left) * u128::from(right);
        let hash = (product as u64) ^ (product >> 64) as u64;
        self.0 = self.0.wrapping_add(hash);
    }

    /// Returns the hash of a cell whose values have this sum.
    pub fn finish(self, sum: f64) -> u64 {
        // A sum that is NaN is not enough either.
        if sum >= LEAST_COUNTS {
            self.0.max(1)
        } else {
            NO_CONTENTS
        }
    }
}

/// Returns the hash of a cell's contents as read from a dataset; `None` if a gene does not exist.
pub fn contents_of_entries(entries: &[(u32, f64)], identities: &[GeneIdentity]) -> Option<u64> {
    let finite = entries
        .iter()
        .map(|(_, value)| value)
        .filter(|value| value.is_finite());
    let sum: f64 = finite.sum();
    let mut hash = ContentHash::default();
    for &(gene, value) in entries {
        let gene = identities.get(gene as usize)?;
        if value != 0.0 {
            hash.add(*gene, MixedValue::of(value));
        }
    }
    Some(hash.finish(sum))
}

/// A second hash of what a cell holds, of the numbers of its genes in one dataset and their values.
///
/// It is written nowhere. Where both hashes of two cells are the same, which are 128 bits of two kinds,
/// their entries are taken to be the same.
pub fn contents_by_number(entries: impl IntoIterator<Item = (u32, f64)>) -> u64 {
    fn mixed(bits: u64) -> u64 {
        let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
    let entries = entries.into_iter().filter(|(_, value)| *value != 0.0);
    let hashes = entries.map(|(gene, value)| {
        // Every NaN is the same value.
        let bits = if value.is_nan() { f64::NAN } else { value }.to_bits();
        let gene = mixed(u64::from(gene).wrapping_add(0x9e37_79b9_7f4a_7c15));
        mixed(gene.wrapping_add(bits))
    });
    hashes.fold(0u64, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(entries: &[(u32, f64)]) -> u64 {
        let ids = ["ENSG1.3", "ENSG2", "name", "other"].map(GeneIdentity::of);
        contents_of_entries(entries, &ids).unwrap()
    }

    #[test]
    fn order_does_not_matter_and_all_else_does() {
        let one = hash(&[(0, 5.0), (2, 7.0)]);
        assert_eq!(one, hash(&[(2, 7.0), (0, 5.0)]));
        for other in [
            &[(0, 7.0), (2, 5.0)][..],
            &[(1, 5.0), (2, 7.0)],
            &[(0, 5.0), (2, 7.0), (3, 1.0)],
            &[(0, 12.0)],
        ] {
            assert_ne!(one, hash(other));
        }
        assert_eq!(hash(&[(0, 5.0), (2, 4.0)]), NO_CONTENTS);
    }

    #[test]
    fn numbers_of_genes_tell_apart_what_their_names_do_not() {
        let hash = |entries: &[(u32, f64)]| contents_by_number(entries.iter().copied());
        let one = hash(&[(0, 5.0), (2, 7.0)]);
        assert_eq!(one, hash(&[(2, 7.0), (1, 0.0), (0, 5.0)]));
        for other in [
            &[(1, 5.0), (2, 7.0)][..],
            &[(0, 7.0), (2, 5.0)],
            &[(0, 5.0)],
            &[(0, 5.0), (2, 7.0), (3, f64::NAN)],
        ] {
            assert_ne!(one, hash(other));
        }
    }

    #[test]
    fn versions_are_no_part_of_an_identity() {
        let same = |one: &str, other: &str| GeneIdentity::of(one) == GeneIdentity::of(other);
        assert!(same("ENSG00000141510.17", "ENSG00000141510"));
        assert!(same("ENSG00000182378.15_PAR_Y", "ENSG00000182378_PAR_Y"));
        assert!(!same("ENSG00000182378.15_PAR_Y", "ENSG00000182378.15"));
        assert!(!same("AC233755.1", "AC233755"));
    }

    #[test]
    fn it_stays_as_it_is() {
        assert_eq!(hash(&[(0, 5.0), (2, 7.0)]), 12_116_062_384_256_977_597);
    }
}
