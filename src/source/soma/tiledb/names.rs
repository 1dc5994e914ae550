//! Timestamped names: `__t1_t2_uuid[_version]` (format_spec/timestamped_name.md).

/// A parsed name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StampedName {
    /// Time of the first write it contains, in milliseconds since 1970.
    pub first: u64,
    /// Time of the last write.
    pub last: u64,
    /// The complete name without extension.
    pub name: String,
    /// The format version, if the name has one.
    pub version: Option<u32>,
}

impl StampedName {
    /// Parses a name; `None` if it is not timestamped.
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

/// Returns the last path component of a URI.
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
