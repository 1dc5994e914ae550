//! Which files of an export in parts are there: `manifest.tsv`, and until it is complete a journal for
//! each worker, to which a line is added when a file has its name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::split::Shard;
use crate::chunk::Digest;
use crate::sink::SinkError;
use crate::store::{StoreError, replace_file, sync_folder};

/// The list of all files, when they are there.
pub(super) const MANIFEST: &str = "manifest.tsv";

const HEADER: &str = "file\tcells\trows\tdigest\tvalue";

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub file: String,
    pub cells: u64,
    pub rows: u64,
    pub digest: Digest,
    /// The value that its cells have in common, if they were divided by one.
    pub value: String,
}

impl Entry {
    fn line(&self) -> String {
        let value = self.value.replace(['\t', '\n', '\r'], " ");
        let Entry {
            file,
            cells,
            rows,
            digest,
            ..
        } = self;
        format!("{file}\t{cells}\t{rows}\t{digest}\t{value}")
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        Some(Entry {
            file: next()?.to_string(),
            cells: next()?.parse().ok()?,
            rows: next()?.parse().ok()?,
            digest: next()?.parse().ok()?,
            value: next()?.to_string(),
        })
    }
}

/// The journal of a worker.
pub(super) struct Journal {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    shard: Shard,
    key: String,
    pub entries: Vec<Entry>,
}

impl Journal {
    /// Begins, or goes on with, the work of a worker in a folder. `key` stands for what is exported,
    /// and how.
    pub fn open(folder: &Path, shard: Shard, key: &str) -> Result<Self, SinkError> {
        let in_the_way = |what: &str, help: &'static str| SinkError::InTheWay {
            path: folder.to_path_buf(),
            what: what.into(),
            help,
        };
        let done = done_path(folder, shard);
        if folder.join(MANIFEST).exists() || done.exists() {
            let help = "name another folder; an export in parts is never replaced";
            return Err(in_the_way("is complete", help));
        }
        check_is_own(folder)?;
        let path = folder.join(format!(".slaf-export-{}-of-{}.tsv", shard.number, shard.of));
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let failed = |action| {
            let path = path.clone();
            move |source| SinkError::from(StoreError::from_io(action, &path, source))
        };
        let mut file = options.open(&path).map_err(failed("open"))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let path = folder.to_path_buf();
            return Err(StoreError::Locked { path }.into());
        }
        let text = fs::read_to_string(&path).map_err(failed("read"))?;
        let begin = format!("# {key}\n");
        // What follows the last line break was being written when the run was killed.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let entries = if whole.is_empty() {
            file.set_len(0).map_err(failed("write"))?;
            file.write_all(begin.as_bytes()).map_err(failed("write"))?;
            Vec::new()
        } else {
            let Some(lines) = whole.strip_prefix(&begin) else {
                let help = "remove it, or name another folder";
                let what = "has the unfinished export of something else";
                return Err(in_the_way(what, help));
            };
            file.set_len(whole.len() as u64).map_err(failed("write"))?;
            lines.lines().filter_map(Entry::parse).collect()
        };
        Ok(Journal {
            folder: folder.to_path_buf(),
            path,
            file,
            shard,
            key: key.to_string(),
            entries,
        })
    }

    /// Whether a file is there.
    pub fn has(&self, file: &str) -> bool {
        let listed = self.entries.iter().any(|entry| entry.file == file);
        listed && self.folder.join(file).exists()
    }

    /// Notes that a file is there.
    pub fn add(&mut self, entry: Entry) -> Result<(), SinkError> {
        let line = entry.line() + "\n";
        let written = self.file.write_all(line.as_bytes());
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|source| StoreError::from_io("write", &self.path, source))?;
        self.entries.retain(|known| known.file != entry.file);
        self.entries.push(entry);
        Ok(())
    }

    /// All files of the worker are there. Writes the manifest, if those of all others are, too.
    pub fn finish(mut self) -> Result<(), SinkError> {
        self.entries.sort_by(|a, b| a.file.cmp(&b.file));
        if self.shard.of > 1 {
            let lines = self.entries.iter().map(Entry::line).collect::<Vec<_>>();
            let text = format!("# {}\n{}\n", self.key, lines.join("\n"));
            replace_file(&done_path(&self.folder, self.shard), text.as_bytes())?;
            match self.of_all()? {
                Some(entries) => self.entries = entries,
                None => return self.remove(),
            }
        }
        let mut text = HEADER.to_string() + "\n";
        for entry in &self.entries {
            text += &(entry.line() + "\n");
        }
        replace_file(&self.folder.join(MANIFEST), text.as_bytes())?;
        for number in 1..=self.shard.of {
            let of = self.shard.of;
            // They say nothing that the manifest does not say.
            let _ = fs::remove_file(done_path(&self.folder, Shard { number, of }));
        }
        self.remove()
    }

    /// The files of all workers; `None` if one has not finished.
    fn of_all(&self) -> Result<Option<Vec<Entry>>, SinkError> {
        let begin = format!("# {}\n", self.key);
        let mut all = Vec::new();
        for number in 1..=self.shard.of {
            let of = self.shard.of;
            let path = done_path(&self.folder, Shard { number, of });
            let Ok(text) = fs::read_to_string(&path) else {
                return Ok(None);
            };
            let Some(lines) = text.strip_prefix(&begin) else {
                return Err(SinkError::InTheWay {
                    path,
                    what: "is the list of the files of another export".into(),
                    help: "let all workers export the same dataset with the same options",
                });
            };
            all.extend(lines.lines().filter_map(Entry::parse));
        }
        all.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(Some(all))
    }

    fn remove(self) -> Result<(), SinkError> {
        let removed = fs::remove_file(&self.path);
        removed.map_err(|source| StoreError::from_io("remove", &self.path, source))?;
        Ok(sync_folder(&self.folder)?)
    }
}

fn done_path(folder: &Path, shard: Shard) -> PathBuf {
    folder.join(format!("manifest.{}-of-{}.tsv", shard.number, shard.of))
}

/// Refuses a folder that holds anything but an export in parts.
fn check_is_own(folder: &Path) -> Result<(), SinkError> {
    let failed = |source| SinkError::from(StoreError::from_io("read", folder, source));
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let text = name.to_string_lossy();
        let own = ["part-", ".slaf-export-", "manifest."];
        if !own.iter().any(|own| text.starts_with(own)) {
            return Err(SinkError::InTheWay {
                path: folder.to_path_buf(),
                what: format!("is a folder with other files, such as {text}"),
                help: "name another one",
            });
        }
    }
    Ok(())
}
