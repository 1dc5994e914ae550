//! The members of a tar archive, as POSIX (ustar, pax) and GNU tar write them.

use std::io::{self, Read};

/// Bytes of a block, in which everything is counted.
const BLOCK: usize = 512;

/// Members that are listed at most, and bytes that the name of one may have.
const MOST_MEMBERS: usize = 100_000;
const LONGEST_NAME: u64 = 1 << 16;

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its path in the archive.
    pub name: String,
    /// Where its bytes begin in the archive (inflated, where that is compressed), and how many.
    pub at: u64,
    pub bytes: u64,
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_string())
}

/// Whether a block is the header of a member: its checksum tells.
pub(super) fn is_header(block: &[u8]) -> bool {
    if block.len() < BLOCK || block[0] == 0 {
        return false;
    }
    // The checksum counts itself as eight spaces.
    let sum: u64 = block[..BLOCK]
        .iter()
        .enumerate()
        .map(|(at, &byte)| u64::from(if (148..156).contains(&at) { b' ' } else { byte }))
        .sum();
    number(&block[148..156]) == Some(sum)
}

/// A number in octal digits, or, where it is too large for them, in binary.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        // The mark, zeros, and the last eight bytes as one number.
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

/// Lists the files of an archive. `skip` passes over bytes of the input.
pub(crate) fn members<R: Read>(
    input: &mut R,
    skip: impl Fn(&mut R, u64) -> io::Result<()>,
) -> io::Result<Vec<Member>> {
    let mut members = Vec::new();
    let mut block = [0u8; BLOCK];
    let mut at = 0u64;
    let mut long_name: Option<String> = None;
    while read_block(input, &mut block)? {
        at += BLOCK as u64;
        if block.iter().all(|&byte| byte == 0) {
            break;
        }
        if !is_header(&block) {
            return Err(invalid("a header of the archive is damaged"));
        }
        let bytes =
            number(&block[124..136]).ok_or_else(|| invalid("a size in the archive is damaged"))?;
        let padded = bytes
            .checked_next_multiple_of(BLOCK as u64)
            .filter(|padded| at.checked_add(*padded).is_some())
            .ok_or_else(|| invalid("a size in the archive is absurd"))?;
        match block[156] {
            // A name for the next member.
            kind @ (b'L' | b'x') => {
                if bytes > LONGEST_NAME {
                    return Err(invalid("a name in the archive is absurdly long"));
                }
                let mut name = vec![0; padded as usize];
                input.read_exact(&mut name)?;
                name.truncate(bytes as usize);
                if kind == b'L' {
                    long_name = Some(text(&name));
                } else if let Some(path) = pax_path(&name) {
                    long_name = Some(path);
                }
            }
            kind => {
                let prefix = if &block[257..263] == b"ustar\0" {
                    text(&block[345..500])
                } else {
                    String::new()
                };
                let short = match prefix.as_str() {
                    "" => text(&block[..100]),
                    prefix => format!("{prefix}/{}", text(&block[..100])),
                };
                let name = long_name.take().unwrap_or(short);
                // Archives of a folder's contents begin every path with the folder.
                let name = name.trim_start_matches("./").to_string();
                if matches!(kind, b'0' | 0 | b'7') && !name.ends_with('/') {
                    if members.len() == MOST_MEMBERS {
                        return Err(invalid("the archive has more than 100,000 members"));
                    }
                    members.push(Member { name, at, bytes });
                }
                skip(input, padded)?;
            }
        }
        at += padded;
    }
    Ok(members)
}

/// The path among the records of a pax header, each `LENGTH KEY=VALUE\n`.
fn pax_path(records: &[u8]) -> Option<String> {
    let mut rest = records;
    let mut path = None;
    while !rest.is_empty() {
        let space = rest.iter().position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length.checked_sub(1)?)?;
        if let Some(value) = record.strip_prefix(b"path=") {
            path = Some(String::from_utf8_lossy(value).into_owned());
        }
        rest = rest.get(length..)?;
    }
    path
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
        let record = format!(" path={long}\n");
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
        assert!(is_header(&archive));
        let found = list(&archive).unwrap();
        assert_eq!(found[0].name, "folder/genes.tsv");
        assert_eq!(&archive[found[0].at as usize..][..5], b"hello");
        assert_eq!(
            (found[1].name.as_str(), found[1].bytes),
            (long.as_str(), 600)
        );
        assert_eq!(archive[found[1].at as usize], 7);
        assert_eq!(found.len(), 3);
        assert_eq!(found[2].name, long);
        assert_eq!(archive[found[2].at as usize], b'x');
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
                // Damage that the checksum does not show.
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
