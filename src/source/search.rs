//! Which inputs a path holds.

use std::path::{Path, PathBuf};

use super::error::Place;
use super::soma::Found;
use super::{Format, SourceError, format, soma, tenx_mtx};

/// Folders within folders that are searched.
const DEEPEST: usize = 8;

/// Files and folders that are looked at, at most.
const MOST_LOOKED_AT: usize = 1_000_000;

/// Inputs that a message lists.
const LISTED: usize = 20;

/// The inputs that a path holds, sorted by path.
///
/// A file is itself, whatever it holds, unless it is an archive of several matrices. A folder with
/// one Matrix Market file and its lists is itself, too. Other folders are searched: for matrices with
/// lists of their own (prefixes, as in `GSM1_matrix.mtx.gz`), for HDF5 files that can be read, and
/// for archives. The matrix of an archive is named by its path in it, behind that of the archive.
///
/// Where Cell Ranger wrote the same thing more than once, one is taken: the filtered matrix rather
/// than the raw one, the HDF5 file rather than the folder of the same name, and of the folder of a
/// run what is in `outs`.
///
/// # Errors
/// [`SourceError::Io`] for what is missing or cannot be listed, [`SourceError::UnknownFormat`] for
/// a folder without any input.
pub fn inputs_of(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let unknown = |found: String| SourceError::UnknownFormat {
        path: path.to_path_buf(),
        found,
    };
    if let Some(scheme) = path.to_str().and_then(soma::remote_scheme) {
        return Err(unknown(format!(
            "is not on this machine ({scheme}://…), and cannot be read from there yet; copy it here first"
        )));
    }
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(_) => return tenx_mtx::matrices_of(path),
    };
    if !metadata.is_dir() {
        return Ok(match archived(path)? {
            matrices if matrices.is_empty() => vec![path.to_path_buf()],
            matrices => matrices,
        });
    }
    if let Found::Other(what) = soma::look(path)? {
        return Err(unknown(format::alone(&what)));
    }
    let mut search = Search {
        looked_at: 0,
        top: path,
    };
    let inputs = search.folder(path, 0)?;
    if inputs.is_empty() {
        return Err(unknown("is a folder without anything that can be read: no .h5ad, no .h5, no SOMA experiment and no .mtx with a list of cells (barcodes.tsv) of its own; name a matrix whose lists are elsewhere with --barcodes and --features".into()));
    }
    Ok(inputs)
}

/// The refusal of several inputs where one is wanted.
pub(super) fn several(path: &Path, inputs: &[PathBuf]) -> SourceError {
    let mut listed: Vec<String> = inputs
        .iter()
        .take(LISTED)
        .map(|input| input.display().to_string())
        .collect();
    if inputs.len() > LISTED {
        listed.push(format!("and {} more", inputs.len() - LISTED));
    }
    Place::whole(path).unsupported(
        format!("{} inputs at once", inputs.len()),
        format!("choose one: {}", listed.join(", ")),
    )
}

/// The matrices of an archive; none where it is no archive.
fn archived(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    if format::looks_like_archive(path)? {
        if format::holds_tiledb(path)? {
            return Err(SourceError::UnknownFormat {
                path: path.to_path_buf(),
                found: "is an archive of a TileDB-SOMA experiment or array; unpack it first (tar xf) and name the folder".into(),
            });
        }
        tenx_mtx::matrices_of(path)
    } else {
        Ok(Vec::new())
    }
}

struct Search<'a> {
    top: &'a Path,
    looked_at: usize,
}

impl Search<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<Vec<PathBuf>, SourceError> {
        match soma::look(folder)? {
            Found::Experiment => return Ok(vec![folder.to_path_buf()]),
            // Below an experiment nothing is looked at; an array that lies about is no input.
            Found::Other(_) => return Ok(Vec::new()),
            Found::Nothing => {}
        }
        let (files, mut folders) = self.listed(folder)?;
        let matrices = tenx_mtx::matrices_in(folder)?;
        let mut inputs = matrices.clone();
        for file in files {
            if format::has_hdf5_signature(&file) {
                match format::detect(&file) {
                    Ok(_) => inputs.push(file),
                    // Not a matrix, and named by what it is to whoever names it.
                    Err(SourceError::Unsupported { .. }) => {}
                    Err(error) => return Err(error),
                }
            } else if is_archive_by_name(&file) {
                inputs.extend(archived(&file)?);
            }
        }
        if folders.iter().any(|name| name.ends_with("outs")) {
            folders.retain(|name| name.ends_with("outs"));
        }
        if depth < DEEPEST {
            for below in folders {
                inputs.extend(self.folder(&below, depth + 1)?);
            }
        }
        // A folder with one matrix is that matrix, unless it holds other inputs as well.
        if matrices.len() == 1 && inputs == matrices {
            return Ok(vec![folder.to_path_buf()]);
        }
        inputs.sort();
        Ok(best(folder, inputs))
    }

    /// Files and folders, sorted, without what is hidden.
    fn listed(&mut self, folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), SourceError> {
        let io = |e| Place::whole(folder).io("list", e);
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            self.looked_at += 1;
            if self.looked_at > MOST_LOOKED_AT {
                return Err(Place::whole(self.top).unsupported(
                    format!("a folder of more than {MOST_LOOKED_AT} files"),
                    "name the inputs one by one",
                ));
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "__MACOSX" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        folders.sort();
        Ok((files, folders))
    }
}

fn is_archive_by_name(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    [".tar", ".tar.gz", ".tgz"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// Of what lies in a folder twice, the better one.
fn best(folder: &Path, inputs: Vec<PathBuf>) -> Vec<PathBuf> {
    // By what lies in this folder itself: the input, or the folder that it is in.
    let name = |input: &PathBuf| {
        let below = input.strip_prefix(folder).unwrap_or(input);
        let first = below.components().next();
        first.map_or(String::new(), |part| {
            part.as_os_str().to_string_lossy().into_owned()
        })
    };
    let has = |name: &str, word: &str| {
        name.match_indices(word)
            .any(|(at, _)| at == 0 || name.as_bytes()[at - 1] == b'_')
    };
    let names: Vec<String> = inputs.iter().map(name).collect();
    let filtered = names.iter().any(|name| has(name, "filtered_"));
    let keep = |name: &String| {
        let raw = filtered && has(name, "raw_");
        let as_hdf5 = names.contains(&format!("{name}.h5"));
        !raw && !as_hdf5
    };
    inputs
        .iter()
        .zip(&names)
        .filter(|(_, name)| keep(name))
        .map(|(input, _)| input.clone())
        .collect()
}

/// The one input of a path, and its format.
pub(super) fn only(path: &Path) -> Result<(PathBuf, Format), SourceError> {
    let inputs = inputs_of(path)?;
    match &inputs[..] {
        [input] => Ok((input.clone(), format::detect_one(input)?)),
        _ => Err(several(path, &inputs)),
    }
}
