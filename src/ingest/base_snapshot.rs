//! Saves the state of a dataset before an append in the job's folder, since config.json no longer
//! describes it once the job is complete.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::IngestError;
use crate::dataset::{Dataset, DatasetConfig, DatasetError};
use crate::store::{Named, read_regular, replace_file};

/// Name of the file. It consists of a line with the beginning of the BLAKE3 digest of the rest,
/// followed by JSON.
const BEFORE: &str = "before";

/// Message for a file whose contents are not what was written.
const ANOTHER: &str = "it is not what was written (its digest differs)";

fn digest(json: &[u8]) -> String {
    blake3::hash(json).to_hex()[..32].to_string()
}

/// Saves a dataset's state in the folder of a job.
pub(super) fn keep(before: &Dataset, folder: &Path) -> Result<(), IngestError> {
    let path = folder.join(BEFORE);
    let kept = (before.config(), before.versions());
    let json = serde_json::to_vec(&kept).map_err(|source| DatasetError::Config {
        path: path.clone(),
        source,
    })?;
    let mut bytes = digest(&json).into_bytes();
    bytes.push(b'\n');
    bytes.extend(json);
    Ok(replace_file(&path, &bytes)?)
}

/// Returns the dataset at `dataset` as it was before the job with this folder; `None` if that was
/// not saved.
///
/// # Errors
/// [`IngestError::Broken`] if the file is not what was written.
pub(super) fn kept(dataset: &Path, folder: &Path) -> Result<Option<Dataset>, IngestError> {
    let path = folder.join(BEFORE);
    let bytes = match read_regular(&path, u64::MAX) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.named("read", &path)?,
    };
    let broken = |problem: String| IngestError::Broken {
        path: path.clone(),
        problem,
    };
    let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
    let (Some(wanted), Some(json)) = (parts.next(), parts.next()) else {
        return Err(broken(ANOTHER.into()));
    };
    if wanted != digest(json).as_bytes() {
        return Err(broken(ANOTHER.into()));
    }
    let (config, versions): (DatasetConfig, BTreeMap<String, u64>) =
        serde_json::from_slice(json).map_err(|error| broken(error.to_string()))?;
    Ok(Some(Dataset::at(dataset, config, versions)))
}
