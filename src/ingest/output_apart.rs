//! Checks that a job does not write into its inputs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::IngestError;
use crate::dataset::CONFIG;
use crate::source::Inputs;

/// Refuses a folder to write to (an output, or one for temporary files) that is inside an input
/// folder, because the input would change while it is being read and no longer be recognised.
///
/// # Errors
/// [`IngestError::InsideInput`] or [`IngestError::IsInput`] in that case.
pub fn check_apart(folder: &Path, inputs: &Inputs) -> Result<(), IngestError> {
    let Some(place) = resolved(folder) else {
        return Ok(());
    };
    for number in 0..inputs.len() {
        for input in inputs.files(number)? {
            // The input is the whole dataset folder, not only the files that are read.
            let is_dataset = input.file_name() == Some(CONFIG.as_ref());
            let input = if is_dataset {
                input.parent().unwrap_or(&input).to_path_buf()
            } else {
                input
            };
            let is_folder = input.is_dir();
            let within = |input: PathBuf| is_folder && place.starts_with(input);
            if is_dataset && input.canonicalize().is_ok_and(|input| input == place) {
                return Err(IngestError::IsInput { path: input });
            }
            if input.canonicalize().is_ok_and(within) {
                return Err(IngestError::InsideInput {
                    path: folder.to_path_buf(),
                    input,
                });
            }
        }
    }
    Ok(())
}

/// Resolves symbolic links in a path, the last components of which need not exist.
fn resolved(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let mut missing: Vec<OsString> = Vec::new();
    let mut above = absolute.as_path();
    loop {
        if let Ok(mut found) = above.canonicalize() {
            found.extend(missing.into_iter().rev());
            return Some(found);
        }
        missing.push(above.file_name()?.to_os_string());
        above = above.parent()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_as_far_as_they_exist() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        assert_eq!(
            resolved(&root.join("link/new/out")),
            Some(root.join("real/new/out"))
        );
        assert_eq!(resolved(&root.join("link")), Some(root.join("real")));
    }
}
