//! Determines the matrices that a path refers to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mtx_folder::{Beside, Matrices, MtxFolder};
use super::names::Kind;
use crate::source::error::ErrorContext;
use crate::source::text::TextFile;
use crate::source::{Among, PassedOver, SourceError};

/// A matrix and the files next to it.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// The path by which the matrix is named.
    pub input: PathBuf,
    pub shelf: Arc<MtxFolder>,
    /// File name of the matrix.
    pub matrix: String,
}

/// Returns the matrices that a path refers to: a matrix file, a folder with one or several, an
/// archive, or a file in an archive. Folders are not searched recursively.
pub(super) fn choices(path: &Path) -> Result<Vec<Choice>, SourceError> {
    type Placed<'a> = &'a dyn Fn(&str) -> PathBuf;
    let whole = |shelf: MtxFolder, place: Placed<'_>| -> Vec<Choice> {
        let shelf = Arc::new(shelf);
        let matrices = shelf.matrices().into_iter();
        let choice = |matrix: String| Choice {
            input: place(&matrix),
            shelf: shelf.clone(),
            matrix,
        };
        matrices.map(choice).collect()
    };
    let mut found = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            whole(MtxFolder::of_folder(path)?, &|matrix| path.join(matrix))
        }
        Ok(_) => match TextFile::all_in_archive(path)? {
            Some(files) => {
                let mut found = Vec::new();
                for (folder, shelf) in MtxFolder::of_archive(files) {
                    found.extend(whole(shelf, &|matrix| path.join(&folder).join(matrix)));
                }
                found
            }
            None => return beside(path),
        },
        Err(error) => return member(path, error),
    };
    if let [only] = &mut found[..] {
        only.input = path.to_path_buf();
    }
    Ok(found)
}

/// Returns a matrix file with the files next to it.
fn beside(path: &Path) -> Result<Vec<Choice>, SourceError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default();
    let matrix = name.to_string_lossy().into_owned();
    // If the folder cannot be listed, there are no barcodes and features files.
    let shelf = MtxFolder::of_folder(folder).unwrap_or_default();
    let shelf = shelf.and(&matrix, TextFile::new(path));
    Ok(vec![Choice {
        input: path.to_path_buf(),
        shelf: Arc::new(shelf),
        matrix,
    }])
}

/// Returns a file in an archive, whose path continues after that of the archive.
fn member(path: &Path, error: std::io::Error) -> Result<Vec<Choice>, SourceError> {
    let Some(found) = TextFile::find_in_archive(path)? else {
        return Err(ErrorContext::whole(path).io("open", error));
    };
    let name = found.file.name();
    let (folder, matrix) = name.rsplit_once('/').unwrap_or(("", &name));
    let shelf = MtxFolder::of_archive(found.beside).remove(folder);
    Ok(vec![Choice {
        input: path.to_path_buf(),
        shelf: Arc::new(shelf.unwrap_or_default()),
        matrix: matrix.to_string(),
    }])
}

fn add(found: &mut Among, place: &Path, shelf: &MtxFolder) {
    let Matrices { taken, passed_over } = shelf.look();
    let taken = taken.into_iter().map(|name| place.join(name));
    found.inputs.extend(taken);
    let passed_over = passed_over.into_iter();
    let passed_over = passed_over.map(|(name, reason)| PassedOver::new(place.join(name), reason));
    found.passed_over.extend(passed_over);
}

/// Finds the matrices in a folder.
pub(super) fn matrices_in(folder: &Path) -> Result<Among, SourceError> {
    let mut found = Among::default();
    add(&mut found, folder, &MtxFolder::of_folder(folder)?);
    Ok(found)
}

/// Finds the matrices among the files of an archive.
pub(super) fn matrices_in_archive(
    archive: &Path,
    files: Vec<TextFile>,
) -> Result<Among, SourceError> {
    let mut found = Among::default();
    for (folder, shelf) in MtxFolder::of_archive(files) {
        add(&mut found, &archive.join(folder), &shelf);
    }
    Ok(found)
}

/// Returns the files of the only matrix of a path, and its barcodes file, if there is one.
pub(super) fn matrix_and_cells(path: &Path) -> Result<Vec<TextFile>, SourceError> {
    let choices = choices(path)?;
    let [choice] = &choices[..] else {
        return Ok(Vec::new());
    };
    let cells = match choice.shelf.list(&choice.matrix, Kind::Cells) {
        Ok(Beside::Own(name) | Beside::Shared(name)) => Some(name),
        Err(_) => None,
    };
    let names = [Some(choice.matrix.as_str()), cells];
    let files = names.into_iter().flatten();
    Ok(files
        .filter_map(|name| choice.shelf.file(name).cloned())
        .collect())
}
