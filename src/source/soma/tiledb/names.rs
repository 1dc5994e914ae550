//! Names with the times of what they name: `__t1_t2_uuid[_version]`
//! (format_spec/timestamped_name.md).

/// A name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StampedName {
    /// Milliseconds since 1970 of the first write that it holds.
    pub first: u64,
    /// Of the last.
    pub last: u64,
    /// The whole name, without an extension.
    pub name: String,
    pub version: Option<u32>,
}

impl StampedName {
    /// `None` where it is not such a name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("__")?.split('_');
        let first = parts.next()?.parse().ok()?;
        let last = parts.next()?.parse().ok()?;
        let uuid = parts.next()?;
        let version = match parts.next() {
            Some(version) => Some(version.parse().ok()?),
            None => None,
        };
        let sound = !uuid.is_empty()
            && uuid.bytes().all(|byte| byte.is_ascii_hexdigit())
            && parts.next().is_none()
            && first <= last;
        sound.then(|| StampedName {
            first,
            last,
            name: name.to_string(),
            version,
        })
    }
}

/// The last part of a URI.
pub(super) fn base_name(uri: &str) -> &str {
    let uri = uri.trim_end_matches('/');
    uri.rsplit_once('/').map_or(uri, |(_, name)| name)
}

/// Whether a file is one that operating systems and copying tools leave behind.
pub(super) fn is_foreign(name: &str) -> bool {
    name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = StampedName::parse("__17_19_0f69fa6c_22").unwrap();
        assert_eq!((name.first, name.last, name.version), (17, 19, Some(22)));
        assert_eq!(StampedName::parse("__17_19_0f").unwrap().version, None);
        for wrong in [
            "",
            "__",
            "17_19_0f",
            "__19_17_0f",
            "__17_19_0f_22_1",
            "__17_19_xy",
            "__a_19_0f",
        ] {
            assert_eq!(StampedName::parse(wrong), None, "{wrong}");
        }
        assert_eq!(base_name("file:///a/__fragments/b/"), "b");
    }
}
