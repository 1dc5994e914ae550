//! Determines which writes and deletes of an array are committed
//! (format_spec/array_file_hierarchy.md, consolidated_commits_file.md, vacuum_file.md,
//! ignore_file.md).

use std::collections::{BTreeMap, BTreeSet};

use super::cursor::Cursor;
use super::fault::{Checked, Fault};
use super::files::Folder;
use super::metadata::{lines, unknown_file};
use super::names::{StampedName, base_name, is_foreign};
use crate::source::SourceError;

/// The committed parts of an array.
#[derive(Debug, Default)]
pub(super) struct Commits {
    /// Fragments to read, oldest first.
    pub fragments: Vec<StampedName>,
    /// Delete conditions as generic tiles, by file name.
    pub deletes: BTreeMap<String, Vec<u8>>,
}

/// Contents of consolidated commit files.
#[derive(Debug, Default, PartialEq)]
struct Consolidated {
    writes: BTreeSet<String>,
    deletes: BTreeMap<String, Vec<u8>>,
}

impl Commits {
    /// Reads the commits of an array.
    pub fn read(array: &Folder) -> Result<Self, SourceError> {
        let folder = array.child("__commits");
        let mut all = Consolidated::default();
        let (mut vacuumed, mut ignored) = (BTreeSet::new(), BTreeSet::new());
        for name in folder.list()? {
            let kind = name
                .rsplit_once('.')
                .filter(|(stem, _)| StampedName::parse(stem).is_some());
            match kind.map(|(_, kind)| kind) {
                Some("wrt") => {
                    all.writes.insert(name);
                }
                Some("del") => {
                    let condition = folder.read_all(&name)?;
                    all.deletes.insert(name, condition);
                }
                Some("con") => {
                    let bytes = folder.read_all(&name)?;
                    consolidated(&bytes, &mut all)
                        .map_err(|fault| fault.at(&folder.place_of(&name)))?;
                }
                Some("vac") => vacuumed.extend(lines(&folder, &name)?),
                Some("ign") => ignored.extend(lines(&folder, &name)?),
                Some("upd") => {
                    return Err(
                        Fault::unsupported("an update condition").at(&folder.place_of(&name))
                    );
                }
                _ if is_foreign(&name) => {}
                _ => return Err(unknown_file(&folder, &name)),
            }
        }
        let mut commits = Commits {
            deletes: all.deletes,
            ..Commits::default()
        };
        commits.deletes.retain(|name, _| !ignored.contains(name));
        for commit in all
            .writes
            .into_iter()
            .filter(|name| !ignored.contains(name))
        {
            let fragment = commit.strip_suffix(".wrt").and_then(StampedName::parse);
            let Some(fragment) = fragment else {
                let what = format!("a commit {commit:?} of an unknown kind");
                return Err(Fault::unsupported(what).at(&folder.place()));
            };
            if !vacuumed.contains(&fragment.name) {
                commits.fragments.push(fragment);
            }
        }
        commits.fragments.sort();
        Ok(commits)
    }
}

/// Parses a list of commits. A delete is followed by its condition.
fn consolidated(bytes: &[u8], all: &mut Consolidated) -> Checked<()> {
    let mut cursor = Cursor::new(bytes);
    while !cursor.rest().is_empty() {
        let end = cursor.rest().iter().position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| Fault::damaged("its last line does not end"))?;
        let line = std::str::from_utf8(cursor.take(end)?)
            .map_err(|_| Fault::damaged("a line is not UTF-8"))?;
        cursor.take(1)?;
        let name = base_name(line).to_string();
        if name.ends_with(".del") {
            let length = cursor.length64()?;
            all.deletes.insert(name, cursor.take(length)?.to_vec());
        } else {
            all.writes.insert(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn conditions_lie_between_lines() {
        let mut bytes = b"__commits/__1_1_a_22.wrt\n/x/__commits/__2_2_b_22.del\n".to_vec();
        bytes.extend(3u64.to_le_bytes());
        bytes.extend(b"\n\n\n__3_3_c_22.wrt\n");
        let mut all = Consolidated::default();
        consolidated(&bytes, &mut all).unwrap();
        assert_eq!(all.writes.len(), 2);
        assert_eq!(all.deletes["__2_2_b_22.del"], b"\n\n\n");
        assert!(consolidated(b"__1_1_a_22.wrt", &mut all).is_err());
        assert!(consolidated(b"__1_1_a_22.del\nxx", &mut all).is_err());
    }

    #[test]
    fn what_is_vacuumed_or_ignored_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let commits = root.path().join("__commits");
        std::fs::create_dir(&commits).unwrap();
        let write = |name: &str, text: &str| std::fs::write(commits.join(name), text).unwrap();
        for name in [
            "__1_1_a_22.wrt",
            "__2_2_b_22.wrt",
            "__3_3_c_22.wrt",
            "__1_2_d_22.wrt",
            ".DS_Store",
        ] {
            write(name, "");
        }
        write(
            "__1_2_d_22.vac",
            "__fragments/__1_1_a_22\n__fragments/__2_2_b_22\n",
        );
        write("__9_9_e_22.ign", "__commits/__3_3_c_22.wrt\n");
        let folder = Folder::local(root.path(), 1 << 20).unwrap();
        let read = Commits::read(&folder).unwrap();
        assert_eq!(read.fragments.len(), 1);
        assert_eq!(read.fragments[0].name, "__1_2_d_22");
        for (name, word) in [
            ("__4_4_f_22.upd", "update condition"),
            ("x.wrt", "unknown kind"),
        ] {
            write(name, "");
            let message = Commits::read(&folder).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
            std::fs::remove_file(commits.join(name)).unwrap();
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = consolidated(&bytes, &mut Consolidated::default());
        }
    }
}
