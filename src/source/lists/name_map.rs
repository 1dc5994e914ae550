//! Maps gene names to identifiers with a table of both, or with an annotation in GTF.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::table::Separator;
use crate::remedy::Setting;
use crate::source::SourceError;
use crate::source::error::ErrorContext;
use crate::source::stable_id::StableId;
use crate::source::text::{Lines, TextFile};

/// A file that maps gene names to identifiers, identified by its path and a digest of its content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NameMap {
    file: PathBuf,
    /// Digest of its names and identifiers.
    digest: String,
    #[serde(skip)]
    read: Arc<OnceLock<Names>>,
}

impl PartialEq for NameMap {
    fn eq(&self, other: &Self) -> bool {
        (&self.file, &self.digest) == (&other.file, &other.digest)
    }
}

/// The identifiers of a file by name.
#[derive(Debug, Default)]
pub(in crate::source) struct Names {
    ids: HashMap<String, Meaning>,
    known: HashSet<String>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum Meaning {
    One(String),
    /// Several identifiers, of which these are two.
    Several(String, String),
}

/// Memory per entry in bytes, without its text.
const ENTRY: u64 = 160;

impl NameMap {
    /// Reads a file, gzip-compressed or not: a table with the columns name and identifier,
    /// separated by tabs, commas or semicolons; or GTF, from which `gene_name` and `gene_id` are
    /// taken. It may take up to `memory` bytes of memory.
    ///
    /// # Errors
    /// If it is not a regular file, has a line in another format, or takes more memory.
    pub fn read(file: &Path, memory: u64) -> Result<Self, SourceError> {
        let (names, digest) = read(file, memory)?;
        Ok(NameMap {
            file: file.to_path_buf(),
            digest,
            read: Arc::new(OnceLock::from(names)),
        })
    }

    /// The file, for messages.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the mapping; rereads the file if it is not in memory.
    pub(in crate::source) fn names(&self, memory: u64) -> Result<&Names, SourceError> {
        if let Some(names) = self.read.get() {
            return Ok(names);
        }
        let (names, digest) = read(&self.file, memory)?;
        if digest != self.digest {
            return Err(ErrorContext::whole(&self.file).damaged(format!(
                "its names and identifiers are not those that the dataset was made with ({})",
                Setting::any(OPTION)
            )));
        }
        Ok(self.read.get_or_init(|| names))
    }
}

impl Names {
    /// Returns the identifier of a gene: what its name stands for, or the name itself if it is an
    /// identifier.
    pub fn get(&self, name: &str) -> Option<Meaning> {
        let found = self.ids.get(name).cloned();
        let is_id = || self.known.contains(name) || StableId::parse(name).is_some();
        found.or_else(|| is_id().then(|| Meaning::One(name.to_string())))
    }

    fn add(&mut self, name: &str, id: &str) {
        self.known.insert(id.to_string());
        let Some(meaning) = self.ids.get_mut(name) else {
            let one = Meaning::One(id.to_string());
            self.ids.insert(name.to_string(), one);
            return;
        };
        if let Meaning::One(known) = &*meaning
            && known != id
        {
            // GENCODE lists the copies of genes on Y under the same names as those on X.
            *meaning = match (is_copy(known), is_copy(id)) {
                (false, true) => Meaning::One(known.clone()),
                (true, false) => Meaning::One(id.to_string()),
                _ => Meaning::Several(known.clone(), id.to_string()),
            };
        }
    }
}

fn is_copy(id: &str) -> bool {
    StableId::parse(id).is_some_and(|id| id.is_copy())
}

/// The option that names the file.
const OPTION: &str = "gene-map";

fn read(file: &Path, memory: u64) -> Result<(Names, String), SourceError> {
    let place = ErrorContext::whole(file);
    let metadata = std::fs::metadata(file).map_err(|e| place.io("open", e))?;
    if !metadata.is_file() {
        return Err(place.refuses(
            Setting::any(OPTION),
            "it is not a regular file",
            "name a file of two columns, or a GTF file",
        ));
    }
    let mut lines = Lines::new(TextFile::new(file).open()?, place.clone());
    let (mut names, mut digest) = (Names::default(), blake3::Hasher::new());
    let mut bytes = 0u64;
    while lines.advance()? {
        let (number, line) = lines.current();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let (name, id) = match fields[..] {
            [.., attributes] if fields.len() == 9 => {
                match [
                    attribute(attributes, "gene_name"),
                    attribute(attributes, "gene_id"),
                ] {
                    [Some(name), Some(id)] => (name.to_string(), id.to_string()),
                    _ => continue,
                }
            }
            _ => two_fields(line).ok_or_else(|| {
                place.line(number).damaged(format!(
                    "{}: two columns are expected, name and identifier, or a line of GTF",
                    Setting::any(OPTION)
                ))
            })?,
        };
        if name.is_empty() || id.is_empty() {
            continue;
        }
        let known = names.ids.get(&name);
        if known.is_none_or(|known| *known != Meaning::One(id.clone())) {
            bytes += (name.len() + 2 * id.len()) as u64 + ENTRY;
            if bytes > memory {
                let what = Setting::any(OPTION).to_string();
                return Err(place.too_large(what, bytes, bytes.saturating_mul(8)));
            }
            for text in [&name, &id] {
                digest.update(&(text.len() as u64).to_le_bytes());
                digest.update(text.as_bytes());
            }
            names.add(&name, &id);
        }
    }
    if names.ids.is_empty() {
        let option = Setting::any(OPTION);
        return Err(place.damaged(format!("{option}: it names no gene")));
    }
    Ok((names, digest.finalize().to_hex()[..32].to_string()))
}

/// Returns the name and the identifier in a line with two columns.
fn two_fields(line: &str) -> Option<(String, String)> {
    let separators = [Separator::Tab, Separator::Comma, Separator::Semicolon];
    separators.into_iter().find_map(|separator| {
        let fields = separator.split(line)?;
        let [name, id] = &fields[..] else { return None };
        Some((name.trim().to_string(), id.trim().to_string()))
    })
}

/// Returns an attribute of GTF: `key "value";`.
fn attribute<'a>(attributes: &'a str, key: &str) -> Option<&'a str> {
    let mut attributes = attributes.split(';').map(str::trim);
    attributes.find_map(|attribute| {
        let value = attribute.strip_prefix(key)?;
        let value = value.strip_prefix(' ')?.trim();
        let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        Some(inner.unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str) -> Option<Meaning> {
        Some(Meaning::One(id.into()))
    }

    fn map(text: &str) -> Result<NameMap, SourceError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        NameMap::read(file.path(), 1 << 20)
    }

    #[test]
    fn tables_and_annotations_tell_the_same() {
        let gtf = "#!genome\n1\th\tgene\t1\t2\t.\t+\t.\tgene_id \"ENSG1\"; gene_version \"5\"; gene_name \"A\";\n1\th\texon\t1\t2\t.\t+\t.\tgene_id \"ENSG1\"; gene_name \"A\";\n1\th\tgene\t1\t2\t.\t+\t.\tgene_id \"ENSG2\";\n1\th\tgene\t1\t2\t.\t+\t.\tgene_id \"ENSG3\"; gene_name \"B\";\n";
        let texts = [
            gtf,
            "A\tENSG1\r\nB\tENSG3\n",
            "\"A\",\"ENSG1\"\nB,ENSG3\n\n",
        ];
        let maps = texts.map(|text| map(text).unwrap());
        for map in &maps {
            assert_eq!(map.digest, maps[0].digest);
            let names = map.names(0).unwrap();
            assert_eq!(names.get("A"), one("ENSG1"));
            assert_eq!(names.get("ENSG3"), one("ENSG3"));
            assert_eq!(names.get("ENSG9"), one("ENSG9"));
            assert_eq!(names.get("C"), None);
        }
    }

    #[test]
    fn names_of_several_genes_are_known_for_it() {
        let map = map("A,1\nA,2\nA,3\nX,ENSG1.2\nX,ENSG1.2_PAR_Y\n").unwrap();
        let names = map.names(0).unwrap();
        assert_eq!(
            names.get("A"),
            Some(Meaning::Several("1".into(), "2".into()))
        );
        assert_eq!(names.get("X"), one("ENSG1.2"));
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["A", "A\tB\tC\n", "", "#\n"] {
            assert!(map(text).is_err(), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(NameMap::read(folder.path(), 1 << 20).is_err());
        let file = folder.path().join("x");
        std::fs::write(&file, "A\tB\n").unwrap();
        assert!(NameMap::read(&file, 10).is_err());
        let text = serde_json::to_string(&NameMap::read(&file, 1 << 20).unwrap()).unwrap();
        let again: NameMap = serde_json::from_str(&text).unwrap();
        assert_eq!(again.names(1 << 20).unwrap().get("A"), one("B"));
        std::fs::write(&file, "A\tC\n").unwrap();
        let again: NameMap = serde_json::from_str(&text).unwrap();
        assert!(again.names(1 << 20).is_err());
    }
}
