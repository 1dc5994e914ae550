//! Formats of outputs.

use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::sink::SinkError;

/// A format of outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// AnnData in HDF5.
    H5ad,
    /// 10x Genomics in HDF5, as Cell Ranger 3 and later write it.
    TenxH5,
    /// A folder with matrix.mtx.gz, barcodes.tsv.gz and features.tsv.gz.
    TenxMtx,
    /// A table of X in Parquet.
    Parquet,
    /// A table of X in an Arrow IPC file.
    Arrow,
}

impl ExportFormat {
    /// All formats.
    pub const ALL: [ExportFormat; 5] = [
        ExportFormat::H5ad,
        ExportFormat::TenxH5,
        ExportFormat::TenxMtx,
        ExportFormat::Parquet,
        ExportFormat::Arrow,
    ];

    /// Its name, as `--to` has it.
    pub fn name(self) -> &'static str {
        match self {
            ExportFormat::H5ad => "h5ad",
            ExportFormat::TenxH5 => "10x-h5",
            ExportFormat::TenxMtx => "10x-mtx",
            ExportFormat::Parquet => "parquet",
            ExportFormat::Arrow => "arrow",
        }
    }

    /// The ending of its files; nothing for folders.
    pub fn ending(self) -> &'static str {
        match self {
            ExportFormat::H5ad => "h5ad",
            ExportFormat::TenxH5 => "h5",
            ExportFormat::TenxMtx => "",
            ExportFormat::Parquet => "parquet",
            ExportFormat::Arrow => "arrow",
        }
    }

    /// Whether its outputs are folders.
    pub fn is_folder(self) -> bool {
        self.ending().is_empty()
    }

    /// The format that was named, or that the ending of the output tells.
    pub(super) fn of(output: &Path, named: Option<Self>) -> Result<Self, SinkError> {
        if let Some(format) = named {
            return Ok(format);
        }
        let ending = output.extension().and_then(|ending| ending.to_str());
        let known = ending.and_then(|ending| {
            let mut all = ExportFormat::ALL.into_iter();
            all.find(|format| !format.is_folder() && ending.eq_ignore_ascii_case(format.ending()))
        });
        known.ok_or_else(|| {
            let names = ExportFormat::ALL.map(ExportFormat::name).join(", ");
            SinkError::Usage(format!(
                "the name {} does not tell the format; choose one with --to: {names}",
                output.display()
            ))
        })
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for ExportFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
