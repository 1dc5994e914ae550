//! Column types of the expression table.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::remedy::{Advice, Remedy, Setting};
use crate::source::scalar_subset;
use crate::survey::ValueType;

/// Families of column types of the expression table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtypes {
    /// Narrowest unsigned identifiers and values.
    Narrow,
    /// int32 identifiers and float32 values, which slafdb's SQL and lazy AnnData can filter.
    Signed,
}

scalar_subset! {
    /// Type of an identifier column of the expression table.
    pub enum IdType {
        /// At most 2^16 cells or genes.
        UInt16,
        /// At most 2^32 cells or genes.
        UInt32,
        /// At most 2^31 cells or genes.
        Int32,
    }
}

/// Compression requested from Lance for the columns of the tables of non-zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Bit-packing only, which Lance applies by default.
    None,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// Returns the name by which Lance knows it; `None` for what it applies by default.
    pub(crate) fn scheme(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Lz4 => Some("lz4"),
            Compression::Zstd => Some("zstd"),
        }
    }

    /// Returns the compression of this name; others count as what Lance applies by default.
    pub(crate) fn of_scheme(scheme: Option<&str>) -> Self {
        let all = [Compression::Lz4, Compression::Zstd];
        let mut named = all.into_iter().filter(|one| one.scheme() == scheme);
        named.next().unwrap_or(Compression::None)
    }
}

const UINT16_IDS: u64 = 1 << 16;
const UINT32_IDS: u64 = 1 << 32;
/// One less than [`UINT32_IDS`], because the number of a cell's genes must also fit into 32 bits.
const UINT32_GENES: u64 = UINT32_IDS - 1;
const INT32_IDS: u64 = 1 << 31;

impl IdType {
    /// Number of cells or genes that it can number.
    pub fn capacity(self) -> u64 {
        match self {
            IdType::UInt16 => UINT16_IDS,
            IdType::UInt32 => UINT32_IDS,
            IdType::Int32 => INT32_IDS,
        }
    }
}

impl Dtypes {
    /// Name of the option's value.
    pub fn name(self) -> &'static str {
        match self {
            Dtypes::Narrow => "narrow",
            Dtypes::Signed => "signed",
        }
    }

    /// Value types to choose from, in order of preference.
    pub fn value_types(self) -> &'static [ValueType] {
        match self {
            Dtypes::Narrow => &[
                ValueType::UInt16,
                ValueType::UInt32,
                ValueType::Float32,
                ValueType::Float64,
            ],
            Dtypes::Signed => &[ValueType::Float32, ValueType::Int32, ValueType::Float64],
        }
    }

    /// Returns the compression that suits these types best: bit-packed integers do not shrink
    /// further, while float values and int32 identifiers shrink to less than half.
    pub fn best_compression(self) -> Compression {
        match self {
            Dtypes::Narrow => Compression::None,
            Dtypes::Signed => Compression::Zstd,
        }
    }

    /// Returns the type that numbers this many cells, or an error if there are too many.
    pub(super) fn cell_type(self, path: &Path, cells: u64) -> Result<IdType, PlanError> {
        let (id_type, most, help) = match self {
            Dtypes::Narrow => (
                IdType::UInt32,
                UINT32_IDS,
                Advice::from("split the input into several datasets"),
            ),
            Dtypes::Signed => (
                IdType::Int32,
                INT32_IDS,
                Remedy::using(Setting::of("dtypes", "narrow"), "allow twice as many").into(),
            ),
        };
        fits(path, "cells", cells, id_type, most, help)
    }

    /// Returns the type that numbers this many genes, or an error if there are too many.
    pub(super) fn gene_type(self, path: &Path, genes: u64) -> Result<IdType, PlanError> {
        match self {
            Dtypes::Narrow if genes <= UINT16_IDS => Ok(IdType::UInt16),
            Dtypes::Narrow => fits(
                path,
                "genes",
                genes,
                IdType::UInt32,
                UINT32_GENES,
                "split the input",
            ),
            Dtypes::Signed => fits(
                path,
                "genes",
                genes,
                IdType::Int32,
                INT32_IDS,
                "split the input",
            ),
        }
    }
}

fn fits(
    path: &Path,
    what: &'static str,
    count: u64,
    id_type: IdType,
    most: u64,
    help: impl Into<Advice>,
) -> Result<IdType, PlanError> {
    if count <= most {
        return Ok(id_type);
    }
    Err(PlanError::TooMany {
        path: path.to_path_buf(),
        what,
        count,
        id_type: if id_type == IdType::Int32 {
            "int32"
        } else {
            "uint32"
        },
        most,
        help: help.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genes_take_16_bits_up_to_65536() {
        let path = Path::new("x");
        let narrow = |genes| Dtypes::Narrow.gene_type(path, genes).unwrap();
        assert_eq!(narrow(65_536), IdType::UInt16);
        assert_eq!(narrow(65_537), IdType::UInt32);
        assert_eq!(Dtypes::Signed.gene_type(path, 5).unwrap(), IdType::Int32);
        assert!(Dtypes::Narrow.cell_type(path, (1 << 32) + 1).is_err());
        assert!(Dtypes::Signed.cell_type(path, (1 << 31) + 1).is_err());
    }
}
