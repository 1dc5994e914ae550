//! Where an export goes: it is written beside, and gets its name when it is complete.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::ExportFormat;
use crate::ingest::OverwritePolicy;
use crate::sink::SinkError;
use crate::store::{StoreError, exchange_folders, sync_file, sync_folder};

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    File,
    /// A folder that appears as a whole.
    Folder,
    /// A folder of which file after file appears.
    Parts,
}

/// A checked output.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// As it was named.
    named: PathBuf,
    /// Where it is, if it is named by a link.
    place: PathBuf,
}

impl Destination {
    /// Checks that an output can be written and is nothing that it would damage.
    pub fn check(
        output: &Path,
        dataset: &Path,
        form: Form,
        overwrite: OverwritePolicy,
    ) -> Result<Self, SinkError> {
        let in_the_way = |what: &str, help: &'static str| SinkError::InTheWay {
            path: output.to_path_buf(),
            what: what.into(),
            help,
        };
        let name = output.file_name();
        let parent = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let (Some(name), Ok(parent)) = (name, parent.canonicalize()) else {
            return Err(in_the_way(
                "lies in a folder that does not exist",
                "make it, or name another output",
            ));
        };
        let mut place = parent.join(name);
        if fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink()) {
            place = place.canonicalize().map_err(|_| {
                in_the_way("is a link to nothing", "remove it, or name another output")
            })?;
        }
        let is_below = |folder: &Path| {
            let folder = folder.canonicalize();
            folder.is_ok_and(|folder| place.starts_with(&folder))
        };
        if is_below(dataset) {
            return Err(in_the_way(
                "is, or lies in, the dataset that is exported",
                "name another output",
            ));
        }
        if let Ok(found) = fs::metadata(&place) {
            let kind = found.file_type();
            let what = if kind.is_dir() && form == Form::File {
                "is a folder, not a file"
            } else if kind.is_fifo() {
                "is a pipe (FIFO), and the output is not written from its beginning to its end"
            } else if kind.is_socket() || kind.is_char_device() || kind.is_block_device() {
                "is a device or a socket, not a file"
            } else if kind.is_file() && form != Form::File {
                "is a file, not a folder"
            } else if overwrite == OverwritePolicy::Refuse && form != Form::Parts {
                let help = "name another output, or replace it with --overwrite";
                return Err(in_the_way("exists", help));
            } else {
                ""
            };
            if !what.is_empty() {
                return Err(in_the_way(what, "name another output"));
            }
        }
        Ok(Destination {
            named: output.to_path_buf(),
            place,
        })
    }

    /// A file in a folder that belongs to this export alone.
    pub fn within(&self, name: &str) -> Self {
        Destination {
            named: self.named.join(name),
            place: self.place.join(name),
        }
    }

    /// Where it is.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// As it was named.
    pub fn path(&self) -> &Path {
        &self.named
    }

    /// Where it is written until it is complete: a hidden name beside it, as short as the longest name
    /// may be.
    fn aside(&self) -> PathBuf {
        let name = self.place.file_name().unwrap_or_default();
        let hash = xxh3_64(name.as_encoded_bytes());
        self.place
            .with_file_name(format!(".slaf-export-{hash:016x}"))
    }

    pub fn failed(&self, action: &'static str) -> impl Fn(std::io::Error) -> SinkError + use<> {
        let path = self.named.clone();
        move |source| StoreError::from_io(action, &path, source).into()
    }

    /// Refuses to replace a folder that holds anything but an export.
    fn check_is_own(&self, beside: &[(PathBuf, PathBuf)]) -> Result<(), SinkError> {
        let Ok(entries) = fs::read_dir(&self.place) else {
            return Ok(());
        };
        for entry in entries {
            let entry = entry.map_err(self.failed("read"))?;
            let name = entry.file_name();
            let is_table = beside
                .iter()
                .any(|(_, named)| named.file_name() == Some(&name))
                || Path::new(&name)
                    .extension()
                    .is_some_and(|ending| ending == "tsv");
            if !is_table && !OWN.iter().any(|own| name == *own) {
                return Err(SinkError::InTheWay {
                    path: self.named.clone(),
                    what: format!("is a folder with other files, such as {}", name.display()),
                    help: "name another output",
                });
            }
        }
        Ok(())
    }

    fn folder(&self) -> &Path {
        self.place.parent().unwrap_or(Path::new("/"))
    }
}

/// Names in folders of 10x files, which may be replaced as a whole.
const OWN: [&str; 3] = ["matrix.mtx.gz", "barcodes.tsv.gz", "features.tsv.gz"];

/// A file or folder that is being written beside its name. It is removed unless it is finished.
pub(super) struct FileOutput {
    destination: Destination,
    is_folder: bool,
    aside: PathBuf,
    /// Files that belong to it: where they are written, and their names.
    beside: Vec<(PathBuf, PathBuf)>,
    /// Held as long as somebody writes: what nobody holds was left by a run that was killed.
    _lock: File,
    is_finished: bool,
}

impl FileOutput {
    /// Takes the hidden name. `beside` are names of files that belong to the output: in a folder, or
    /// beside a file, whose name they then begin with.
    pub fn begin(
        destination: &Destination,
        format: ExportFormat,
        beside: &[String],
    ) -> Result<Self, SinkError> {
        let aside = destination.aside();
        let failed = |action| destination.failed(action);
        let is_folder = format.is_folder();
        let lock = if is_folder {
            fs::create_dir_all(&aside).map_err(failed("create"))?;
            File::open(&aside).map_err(failed("open"))?
        } else {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            options.open(&aside).map_err(failed("create"))?
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = destination.path().to_path_buf();
                return Err(StoreError::Locked { path }.into());
            }
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
        let place = &destination.place;
        let beside = beside.iter().map(|name| {
            if is_folder {
                (aside.join(name), place.join(name))
            } else {
                let stem = place.file_stem().unwrap_or_default().to_string_lossy();
                let named = place.with_file_name(format!("{stem}.{name}"));
                let hash = xxh3_64(named.as_os_str().as_encoded_bytes());
                (
                    place.with_file_name(format!(".slaf-export-{hash:016x}")),
                    named,
                )
            }
        });
        let output = FileOutput {
            beside: beside.collect(),
            destination: destination.clone(),
            is_folder,
            aside,
            _lock: lock,
            is_finished: false,
        };
        if is_folder {
            output.destination.check_is_own(&output.beside)?;
            // Left by a run that was killed.
            for entry in fs::read_dir(&output.aside).map_err(failed("read"))? {
                let entry = entry.map_err(failed("read"))?;
                fs::remove_file(entry.path()).map_err(failed("remove"))?;
            }
        }
        Ok(output)
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.aside
    }

    /// Where to write the files that belong to it.
    pub fn beside(&self) -> Vec<PathBuf> {
        self.beside.iter().map(|(aside, _)| aside.clone()).collect()
    }

    /// Gives the output its name, once it is on the disk. Returns its size.
    pub fn finish(mut self) -> Result<u64, SinkError> {
        let place = self.destination.place.clone();
        let size = |path: &Path| -> Result<u64, SinkError> {
            let found = fs::metadata(path).map_err(self.destination.failed("look at"))?;
            Ok(found.len())
        };
        let mut bytes = 0;
        if self.is_folder {
            for entry in fs::read_dir(&self.aside).map_err(self.destination.failed("read"))? {
                let entry = entry.map_err(self.destination.failed("read"))?;
                bytes += size(&entry.path())?;
            }
            sync_folder(&self.aside)?;
        } else {
            sync_file(&self.aside)?;
            bytes += size(&self.aside)?;
            for (aside, _) in &self.beside {
                bytes += size(aside)?;
            }
        }
        crate::failpoint::reach("export-written");
        let failed = |action| self.destination.failed(action);
        if self.is_folder && place.is_dir() {
            exchange_folders(&place, &self.aside)?;
            fs::remove_dir_all(&self.aside).map_err(failed("remove what it replaced at"))?;
        } else {
            if !self.is_folder {
                // Before the file itself, by which its readers know that all is there.
                for (aside, named) in &self.beside {
                    fs::rename(aside, named).map_err(failed("rename"))?;
                }
            }
            fs::rename(&self.aside, &place).map_err(failed("rename"))?;
        }
        self.is_finished = true;
        crate::failpoint::reach("export-named");
        sync_folder(self.destination.folder())?;
        Ok(bytes)
    }
}

impl Drop for FileOutput {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // There is an error already, which matters more.
        let _ = if self.is_folder {
            fs::remove_dir_all(&self.aside)
        } else {
            fs::remove_file(&self.aside)
        };
        for (aside, _) in &self.beside {
            let _ = fs::remove_file(aside);
        }
    }
}
