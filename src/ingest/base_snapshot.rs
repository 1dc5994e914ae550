//! Saves the state of a dataset before an append in the job's folder, since config.json no longer
//! describes it once the job is complete.

use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter, ErrorKind, IntoInnerError, Read, Seek, SeekFrom};
use std::path::Path;

use super::IngestError;
use crate::dataset::{Dataset, DatasetConfig};
use crate::store::{Named, open_regular, replace_file_with};

/// Name of the file. It consists of a line with the beginning of the BLAKE3 digest of the rest,
/// followed by JSON.
const BEFORE: &str = "before";

/// Hexadecimal digits of the digest.
const DIGITS: usize = 32;

/// Bytes that are read or written together.
const BLOCK: usize = 1 << 16;

/// Message for a file whose contents are not what was written.
const ANOTHER: &str = "it is not what was written (its digest differs)";

/// Saves a dataset's state in the folder of a job.
pub(super) fn keep(before: &Dataset, folder: &Path) -> Result<(), IngestError> {
    let path = folder.join(BEFORE);
    let kept = (before.config(), before.versions());
    // Serialized twice, since it may be large.
    let mut hasher = BufWriter::with_capacity(BLOCK, blake3::Hasher::new());
    let hashed = serde_json::to_writer(&mut hasher, &kept).map_err(io::Error::from);
    let hasher = hashed.and_then(|()| hasher.into_inner().map_err(IntoInnerError::into_error));
    let digest = hasher.named("write", &path)?.finalize().to_hex();
    Ok(replace_file_with(&path, |output| {
        writeln!(output, "{}", &digest[..DIGITS])?;
        Ok(serde_json::to_writer(output, &kept)?)
    })?)
}

/// Returns the dataset at `dataset` as it was before the job with this folder; `None` if that was
/// not saved.
///
/// # Errors
/// [`IngestError::Broken`] if the file is not what was written.
pub(super) fn kept(dataset: &Path, folder: &Path) -> Result<Option<Dataset>, IngestError> {
    let path = folder.join(BEFORE);
    let file = match open_regular(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.named("read", &path)?,
    };
    let broken = |problem: String| IngestError::Broken {
        path: path.clone(),
        problem,
    };
    let mut file = BufReader::with_capacity(BLOCK, file);
    let mut wanted = Vec::new();
    let head = DIGITS as u64 + 1;
    let read = file.by_ref().take(head).read_to_end(&mut wanted);
    read.named("read", &path)?;
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut file, &mut hasher).named("read", &path)?;
    let found = format!("{}\n", &hasher.finalize().to_hex()[..DIGITS]);
    if wanted != found.as_bytes() {
        return Err(broken(ANOTHER.into()));
    }
    file.seek(SeekFrom::Start(head)).named("read", &path)?;
    let (config, versions): (DatasetConfig, BTreeMap<String, u64>) =
        serde_json::from_reader(file).map_err(|error| broken(error.to_string()))?;
    Ok(Some(Dataset::at(dataset, config, versions)))
}
