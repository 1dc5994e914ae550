//! Groups: folders with members (format_spec/group.md; that lengths have 8 bytes and that members
//! have their own names is only documented in libtiledb's source).

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::fault::{Checked, Fault};
use super::files::Folder;
use super::metadata;
use super::metadata::{Metadata, stamped_files};
use super::tile::whole_file;
use crate::source::SourceError;

/// The file that marks a folder as a group.
pub(in crate::source::soma) const MARK: &str = "__tiledb_group.tdb";

/// Metadata and members of a group.
pub(in crate::source::soma) struct Group {
    /// Folder of the group.
    pub folder: Folder,
    /// Metadata of the group.
    pub metadata: Metadata,
    /// Folders of the members, by name.
    pub members: BTreeMap<String, Folder>,
}

/// A member as listed in a group's file.
#[derive(Debug, PartialEq)]
struct Member {
    name: String,
    uri: String,
    relative: bool,
    deleted: bool,
}

impl Group {
    /// Opens the group in a folder.
    pub fn open(folder: &Folder) -> Result<Self, SourceError> {
        let details = folder.child("__group");
        let mut files = stamped_files(&details)?;
        // A file of the first version, which has no version in its name, lists all members; later
        // ones are applied on top of each other.
        if let Some(last) = files.iter().rposition(|file| file.version.is_none()) {
            files.drain(..last);
        }
        let mut members = BTreeMap::new();
        for file in files {
            let content = whole_file(&details, &file.name)?;
            let place = details.place_of(&file.name);
            for member in parse(&content).map_err(|fault| fault.at(&place))? {
                if member.deleted {
                    members.remove(&member.name);
                    continue;
                }
                let place = folder.member(&member.name, &member.uri, member.relative)?;
                members.insert(member.name, place);
            }
        }
        Ok(Group {
            metadata: metadata::read(folder)?,
            folder: folder.clone(),
            members,
        })
    }

    /// Returns the folder of a member by name.
    pub fn member(&self, name: &str) -> Option<&Folder> {
        self.members.get(name)
    }
}

/// Parses the content of a group file.
fn parse(bytes: &[u8]) -> Checked<Vec<Member>> {
    let mut cursor = Cursor::new(bytes);
    let count = match cursor.u32()? {
        1 => cursor.u32()?.into(),
        2 => cursor.u64()?,
        other => return Err(Fault::unsupported(format!("version {other} of a group"))),
    };
    let count = cursor.count(count, 15)?;
    let members = (0..count).map(|_| Member::parse(&mut cursor));
    let members = members.collect::<Checked<Vec<_>>>()?;
    cursor.finish("the members of a group")?;
    Ok(members)
}

impl Member {
    fn parse(cursor: &mut Cursor<'_>) -> Checked<Self> {
        let version = cursor.u32()?;
        if !(1..=2).contains(&version) {
            return Err(Fault::unsupported(format!(
                "version {version} of a group's member"
            )));
        }
        match cursor.u8()? {
            1 | 2 => {}
            other => return Err(Fault::unsupported(format!("a member of the type {other}"))),
        }
        let relative = cursor.flag("whether a member's path is relative")?;
        let uri = cursor.text64()?;
        let name = if cursor.flag("whether a member has a name")? {
            cursor.text64()?
        } else {
            uri.clone()
        };
        Ok(Member {
            name,
            uri,
            relative,
            deleted: version >= 2 && cursor.flag("whether a member is deleted")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..100), version in 1u32..3) {
            let _ = parse(&bytes);
            let _ = parse(&[version.to_le_bytes().to_vec(), bytes].concat());
        }
    }
}
