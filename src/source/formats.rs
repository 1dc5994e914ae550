//! All formats that are read.

use super::format::{Formats, InputFormat};
use super::{dataset_folder, h5ad, soma, tenx_h5, tenx_mtx};

/// The formats, in the order in which the help lists them: the only list of them.
pub static FORMATS: [&dyn InputFormat; 5] = [
    &h5ad::H5ad,
    &tenx_h5::TenxH5,
    &tenx_mtx::TenxMtx,
    &soma::Soma,
    &dataset_folder::Slaf,
];

impl Default for Formats {
    fn default() -> Self {
        Formats(FORMATS.to_vec())
    }
}
