//! Members of a tar archive, as written by POSIX tar (ustar, pax) and GNU tar.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::content::{Content, START};

/// Block size in bytes; archives consist of such blocks.
pub(super) const BLOCK: usize = 512;

/// Maximum number of members listed, and maximum size in bytes of what may precede a member: its
/// name and its pax records.
const MOST_MEMBERS: usize = 100_000;
const LONGEST_RECORDS: u64 = 1 << 20;

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its path in the archive.
    pub name: String,
    /// Offset in the archive (after decompression, if that is compressed).
    pub at: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// What kind of file it is.
    pub content: Content,
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// Whether a file with this beginning is an archive, even if its first header is damaged.
pub(super) fn begins(start: &[u8]) -> bool {
    is_header(start) || (start.len() >= BLOCK && &start[257..262] == b"ustar")
}

/// Whether a block is the header of a member, according to its checksum.
fn is_header(block: &[u8]) -> bool {
    if block.len() < BLOCK || block[0] == 0 {
        return false;
    }
    // The checksum counts its own field as eight spaces.
    let sum: u64 = block[..BLOCK]
        .iter()
        .enumerate()
        .map(|(at, &byte)| u64::from(if (148..156).contains(&at) { b' ' } else { byte }))
        .sum();
    number(&block[148..156]) == Some(sum)
}

/// Parses a number in octal or, if it is too large for that, in binary.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        // A marker, zeros, and the last eight bytes as one number.
        let (first, last) = field.split_at(field.len().checked_sub(8)?);
        if first.first() != Some(&0x80) || first[1..].iter().any(|&byte| byte != 0) {
            return None;
        }
        return Some(u64::from_be_bytes(last.try_into().ok()?));
    }
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches([' ', '\0']);
    if text.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(text, 8).ok()
}

fn text(field: &[u8]) -> String {
    let end = field
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn read_block(input: &mut dyn Read, block: &mut [u8; BLOCK]) -> io::Result<bool> {
    let mut length = 0;
    while length < BLOCK {
        match input.read(&mut block[length..])? {
            0 if length == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
    }
    Ok(true)
}

/// What the blocks before a member's header say about it.
#[derive(Debug, Default)]
struct Before {
    name: Option<String>,
    target: Option<String>,
    size: Option<u64>,
}

impl Before {
    /// Adds the contents of a pax or GNU tar header.
    fn add(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        match kind {
            b'L' => self.name = Some(text(body)),
            b'K' => self.target = Some(text(body)),
            _ => {
                for (key, value) in pax_records(body)? {
                    let value_text = || String::from_utf8_lossy(value).into_owned();
                    match key {
                        b"path" => self.name = Some(value_text()),
                        b"linkpath" => self.target = Some(value_text()),
                        b"size" => {
                            let size = value_text().parse();
                            let size =
                                size.map_err(|_| invalid("a size in the archive is damaged"))?;
                            self.size = Some(size);
                        }
                        key if key.starts_with(b"GNU.sparse.") => return Err(sparse()),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

fn sparse() -> io::Error {
    invalid("the archive stores a file with holes (sparse), which is not read; unpack it: tar xf")
}

/// Lists the files of an archive. `skip` skips bytes of the input.
pub(crate) fn members<R: Read>(
    input: &mut R,
    skip: impl Fn(&mut R, u64) -> io::Result<()>,
) -> io::Result<Vec<Member>> {
    let mut members = Members::default();
    let mut block = [0u8; BLOCK];
    let mut at = 0u64;
    let mut before = Before::default();
    while read_block(input, &mut block)? {
        at += BLOCK as u64;
        if block.iter().all(|&byte| byte == 0) {
            break;
        }
        if !is_header(&block) {
            return Err(invalid("a header of the archive is damaged"));
        }
        let kind = block[156];
        let is_before = matches!(kind, b'L' | b'K' | b'x' | b'X' | b'g');
        let bytes = match kind {
            // Links, devices and folders have no content, whatever their size field says.
            b'1'..=b'6' => 0,
            _ if is_before => size_of(&block)?,
            _ => match before.size {
                // The header field is too small for files of 8 GiB and more.
                Some(size) => size,
                None => size_of(&block)?,
            },
        };
        let padded = bytes
            .checked_next_multiple_of(BLOCK as u64)
            .filter(|padded| at.checked_add(*padded).is_some())
            .ok_or_else(|| invalid("a size in the archive is absurd"))?;
        if is_before {
            if bytes > LONGEST_RECORDS {
                return Err(invalid("a name in the archive is absurdly long"));
            }
            let mut body = vec![0; padded as usize];
            input.read_exact(&mut body)?;
            body.truncate(bytes as usize);
            if kind == b'g' {
                // Applies to all members; only comments make sense here.
                let mut all = Before::default();
                all.add(kind, &body)?;
                if all.name.is_some() || all.target.is_some() || all.size.is_some() {
                    return Err(invalid(
                        "a header of the archive gives all members one name or size",
                    ));
                }
            } else {
                before.add(kind, &body)?;
            }
            at += padded;
            continue;
        }
        let said = std::mem::take(&mut before);
        let name = said.name.unwrap_or_else(|| short_name(&block));
        match kind {
            b'1' => {
                let target = said.target.unwrap_or_else(|| text(&block[157..257]));
                members.link(&name, &target)?;
            }
            // Symbolic links lead to something that is listed itself; folders and devices have no
            // content. Labels, folder listings and extended attributes are not files.
            b'2'..=b'6' | b'V' | b'D' | b'N' | b'A' | b'E' => skip(input, padded)?,
            b'S' => return Err(sparse()),
            b'M' => {
                return Err(invalid(
                    "the archive is a volume of several; unpack them together: tar xMf",
                ));
            }
            _ => {
                let there = usize::try_from(bytes).map_or(START, |bytes| bytes.min(START));
                let mut start = vec![0; there];
                input.read_exact(&mut start)?;
                skip(input, padded - there as u64)?;
                let content = Content::of(&start);
                members.add(&name, at, bytes, content)?;
            }
        }
        at += padded;
    }
    Ok(members.list)
}

fn size_of(header: &[u8; BLOCK]) -> io::Result<u64> {
    number(&header[124..136]).ok_or_else(|| invalid("a size in the archive is damaged"))
}

/// Returns the name in a header.
fn short_name(header: &[u8; BLOCK]) -> String {
    let prefix = if &header[257..263] == b"ustar\0" {
        text(&header[345..500])
    } else {
        String::new()
    };
    match prefix.as_str() {
        "" => text(&header[..100]),
        prefix => format!("{prefix}/{}", text(&header[..100])),
    }
}

/// Members in the order of the archive, each name once: a later one replaces an earlier one, as it
/// does when an archive is unpacked.
#[derive(Debug, Default)]
struct Members {
    list: Vec<Member>,
    places: BTreeMap<String, usize>,
}

impl Members {
    fn add(&mut self, name: &str, at: u64, bytes: u64, content: Content) -> io::Result<()> {
        // Archives of a folder's contents may begin every path with `./`.
        let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
        let path = parts.collect::<Vec<_>>().join("/");
        if name.ends_with('/') || path.is_empty() {
            return Ok(());
        }
        let member = Member {
            name: path.clone(),
            at,
            bytes,
            content,
        };
        match self.places.get(&path) {
            Some(&place) => self.list[place] = member,
            None if self.list.len() == MOST_MEMBERS => {
                return Err(invalid("the archive has more than 100,000 members"));
            }
            None => {
                self.places.insert(path, self.list.len());
                self.list.push(member);
            }
        }
        Ok(())
    }

    /// Adds another name of an earlier member.
    fn link(&mut self, name: &str, target: &str) -> io::Result<()> {
        let parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
        let path = parts.collect::<Vec<_>>().join("/");
        // If the target's name was replaced later, its original content is no longer known, not
        // even to tar.
        let Some(&place) = self.places.get(&path) else {
            return Err(invalid(format!(
                "{name} is a link to {target}, which the archive does not have"
            )));
        };
        let Member {
            at, bytes, content, ..
        } = self.list[place];
        self.add(name, at, bytes, content)
    }
}

/// Parses the records of a pax header, each `LENGTH KEY=VALUE\n`.
fn pax_records(records: &[u8]) -> io::Result<Vec<(&[u8], &[u8])>> {
    let damaged = || invalid("a pax header of the archive is damaged");
    let mut found = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let space = rest.iter().position(|&byte| byte == b' ');
        let space = space.ok_or_else(damaged)?;
        let length = std::str::from_utf8(&rest[..space]).ok();
        let length: usize = length
            .and_then(|length| length.parse().ok())
            .ok_or_else(damaged)?;
        let (record, others) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let record = record.get(space + 1..).ok_or_else(damaged)?;
        let record = record.strip_suffix(b"\n").ok_or_else(damaged)?;
        let equals = record.iter().position(|&byte| byte == b'=');
        let (key, value) = record.split_at(equals.ok_or_else(damaged)?);
        found.push((key, &value[1..]));
        rest = others;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(name: &str, kind: u8, bytes: usize) -> Vec<u8> {
        let mut block = vec![0u8; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{bytes:011o}").as_bytes());
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].copy_from_slice(b"        ");
        let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn member(name: &str, kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = header(name, kind, body.len());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn list(bytes: &[u8]) -> io::Result<Vec<Member>> {
        members(&mut &*bytes, |input, count| {
            let copied = io::copy(&mut input.take(count), &mut io::sink())?;
            if copied == count {
                Ok(())
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        })
    }

    #[test]
    fn files_are_listed_with_long_names() {
        let long = format!("{}/matrix.mtx", "d".repeat(200));
        let record = format!(" path={long}.gz\n");
        let pax = format!("{}{record}", record.len() + 3);
        let archive = [
            member("folder/", b'5', b""),
            member("folder/genes.tsv", b'0', b"hello"),
            member("././@LongLink", b'L', long.as_bytes()),
            member("short", b'0', &[7; 600]),
            member("pax", b'x', pax.as_bytes()),
            member("short", 0, b"x"),
            vec![0; 1024],
        ]
        .concat();
        assert!(begins(&archive));
        let found = list(&archive).unwrap();
        assert_eq!(found[0].name, "folder/genes.tsv");
        assert_eq!(&archive[found[0].at as usize..][..5], b"hello");
        assert_eq!(
            (found[1].name.as_str(), found[1].bytes),
            (long.as_str(), 600)
        );
        assert_eq!(archive[found[1].at as usize], 7);
        assert_eq!(found.len(), 3);
        assert_eq!(found[2].name, format!("{long}.gz"));
        assert_eq!(archive[found[2].at as usize], b'x');
    }

    #[test]
    fn what_comes_later_counts_and_links_are_followed() {
        let mut link = member("b", b'1', b"");
        link[157..160].copy_from_slice(b"./a");
        link[148..156].copy_from_slice(b"        ");
        let sum: u64 = link.iter().map(|&byte| u64::from(byte)).sum();
        link[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let first = member("a", b'0', b"first");
        let later = member("./a", b'0', b"later");
        let archive = [first.clone(), link.clone(), later].concat();
        let found = list(&archive).unwrap();
        let text = |member: &Member| &archive[member.at as usize..][..member.bytes as usize];
        assert_eq!(found[0].name, "a");
        assert_eq!(text(&found[0]), b"later");
        assert_eq!(
            (found[1].name.as_str(), text(&found[1])),
            ("b", &b"first"[..])
        );
        assert!(list(&link).is_err(), "what it leads to is missing");
        for kind in [b'S', b'M'] {
            let message = list(&member("a", kind, b"")).unwrap_err().to_string();
            assert!(message.contains("unpack"), "{message}");
        }
        let all = member("g", b'g', b"9 size=1\n");
        assert!(list(&[all, first.clone()].concat()).is_err());
        for damaged in [&b"9 size=x\n"[..], b"99 size=1\n", b"9 size=1 ", b"size"] {
            let header = member("x", b'x', damaged);
            assert!(list(&[header, first.clone()].concat()).is_err());
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_end_in_an_answer(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            mend in any::<bool>(),
        ) {
            let mut archive = [member("a/genes.tsv", b'0', &[b'x'; 700]), member("n", b'L', b"long"), member("b", b'0', b"y")].concat();
            for (at, byte) in damage {
                let at = at.index(archive.len());
                archive[at] = byte;
            }
            if mend {
                // Damage that the checksum does not reveal.
                archive[148..156].copy_from_slice(b"        ");
                let sum: u64 = archive[..BLOCK].iter().map(|&byte| u64::from(byte)).sum();
                archive[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            }
            for member in list(&archive).unwrap_or_default() {
                prop_assert!(member.at + member.bytes <= archive.len() as u64);
            }
        }
    }

    #[test]
    fn damage_is_noticed() {
        let archive = member("genes.tsv", b'0', b"hello");
        assert!(list(&archive[..700]).is_err());
        let mut damaged = archive.clone();
        damaged[3] ^= 1;
        assert!(list(&damaged).is_err());
        assert!(!is_header(b"short") && !is_header(&[0; 512]));
    }
}
