//! The header of a Matrix Market file.
//!
//! The format is described by NIST ("Text File Formats", math.nist.gov/MatrixMarket/formats.html):
//! a banner, comments, a line with the dimensions, then one line per entry, with indices starting
//! at 1.

use super::integer::whole;
use crate::source::error::ErrorContext;
use crate::source::{ScalarType, SourceError};

/// Type of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Integer,
    Real,
    /// No values: every entry is 1.
    Pattern,
}

impl Field {
    /// Number type that can hold every value.
    pub fn number_type(self) -> ScalarType {
        match self {
            Field::Integer => ScalarType::Int64,
            Field::Real => ScalarType::Float64,
            Field::Pattern => ScalarType::UInt8,
        }
    }
}

/// Which entries are omitted because others imply them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symmetry {
    General,
    /// Each entry off the diagonal also stands for its mirror image.
    Symmetric,
    /// Likewise, with the opposite sign.
    Skew,
}

/// Header of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub field: Field,
    pub symmetry: Symmetry,
    pub rows: u64,
    pub columns: u64,
    /// Number of lines with entries.
    pub entries: u64,
    /// JSON that Cell Ranger writes into a comment.
    pub metadata: Option<String>,
}

/// Parses the header line by line.
#[derive(Debug, Default)]
pub(super) struct HeaderReader {
    banner: Option<(Field, Symmetry)>,
    metadata: Option<String>,
}

/// What precedes the JSON in Cell Ranger's comment.
const METADATA: &str = "metadata_json:";

/// Longer metadata are discarded.
const LONGEST_METADATA: usize = 1 << 16;

impl HeaderReader {
    /// Takes the next line, located at `place`. Returns the header if it was the last one.
    pub fn add(
        &mut self,
        line: &[u8],
        place: &ErrorContext,
    ) -> Result<Option<Header>, SourceError> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        let text = match self.banner {
            None => text.trim_start_matches('\u{feff}').trim(),
            Some(_) => text,
        };
        if text.is_empty() {
            return Ok(None);
        }
        let Some((field, symmetry)) = self.banner else {
            self.banner = Some(banner(text, place)?);
            return Ok(None);
        };
        if let Some(comment) = text.strip_prefix('%') {
            let json = comment
                .trim_start_matches('%')
                .trim()
                .strip_prefix(METADATA);
            if let Some(json) = json.filter(|json| json.len() <= LONGEST_METADATA) {
                self.metadata = Some(json.trim().to_string());
            }
            return Ok(None);
        }
        let sizes = text.split_whitespace().map(size);
        let sizes: Option<Vec<u64>> = sizes.collect();
        let Some([rows, columns, entries]) =
            sizes.and_then(|sizes| <[u64; 3]>::try_from(sizes).ok())
        else {
            return Err(place.damaged(format!(
                "{:?} is not a line of three sizes: rows, columns and entries",
                excerpt(text)
            )));
        };
        if entries > 0 && (rows == 0 || columns == 0) {
            return Err(place.damaged(format!(
                "it promises {entries} entries in a matrix of {rows} × {columns}"
            )));
        }
        if symmetry != Symmetry::General && rows != columns {
            return Err(place.damaged(format!("a matrix of {rows} × {columns} is not symmetric")));
        }
        Ok(Some(Header {
            field,
            symmetry,
            rows,
            columns,
            entries,
            metadata: self.metadata.take(),
        }))
    }
}

/// Parses a dimension: an integer, which R may write as `1e+05`, but without any sign.
fn size(text: &str) -> Option<u64> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    u64::try_from(whole(text).ok()?).ok()
}

/// Returns the beginning of a text, for messages.
pub(super) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// Whether text begins like a Matrix Market file.
pub(super) fn is_banner(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let word = start.trim_ascii_start();
    let word = &word[..word.len().min(14)];
    word.eq_ignore_ascii_case(b"%%MatrixMarket")
        || word
            .get(..13)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"%MatrixMarket"))
}

fn banner(text: &str, place: &ErrorContext) -> Result<(Field, Symmetry), SourceError> {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let (kind, field, symmetry) = match words[..] {
        [
            "%%matrixmarket" | "%matrixmarket",
            "matrix",
            kind,
            field,
            symmetry,
        ] => (kind, field, symmetry),
        ["%%matrixmarket" | "%matrixmarket", "vector", ..] => {
            return Err(place.unsupported("a Matrix Market vector", "a matrix is needed"));
        }
        _ => {
            return Err(place.damaged(format!(
                "{:?} is not the first line of a Matrix Market file (%%MatrixMarket matrix coordinate …)",
                excerpt(text)
            )));
        }
    };
    match kind {
        "coordinate" => {}
        "array" => {
            return Err(place.unsupported(
                "a dense Matrix Market file (array)",
                "write it as coordinates, for example with scipy.io.mmwrite of a sparse matrix",
            ));
        }
        other => return Err(place.damaged(format!("the kind {:?} is unknown", excerpt(other)))),
    }
    let field = match field {
        "integer" | "unsigned-integer" => Field::Integer,
        // STARsolo writes "float".
        "real" | "double" | "float" => Field::Real,
        "pattern" => Field::Pattern,
        "complex" => {
            return Err(place.unsupported("a matrix of complex numbers", "real ones are needed"));
        }
        other => return Err(place.damaged(format!("the field {:?} is unknown", excerpt(other)))),
    };
    let symmetry = match symmetry {
        "general" => Symmetry::General,
        // For real numbers, these are the same.
        "symmetric" | "hermitian" => Symmetry::Symmetric,
        "skew-symmetric" if field != Field::Pattern => Symmetry::Skew,
        other => return Err(place.damaged(format!("the symmetry {:?} is unknown", excerpt(other)))),
    };
    Ok((field, symmetry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Header>, SourceError> {
        let mut reader = HeaderReader::default();
        for (number, line) in (1..).zip(text.lines()) {
            let place = ErrorContext::whole("x.mtx".as_ref()).line(number);
            if let Some(header) = reader.add(line.as_bytes(), &place)? {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    #[test]
    fn cell_ranger_and_free_forms() {
        let text =
            "%%MatrixMarket matrix coordinate integer general\n%metadata_json: {\"a\": 2}\n3 4 5\n";
        let header = read(text).unwrap().unwrap();
        assert_eq!((header.rows, header.columns, header.entries), (3, 4, 5));
        assert_eq!(header.metadata.as_deref(), Some("{\"a\": 2}"));
        let text = " %MatrixMarket  MATRIX    Coordinate    Real Symmetric\r\n\r\n% c\n\n   5  5         8 ";
        let header = read(text).unwrap().unwrap();
        assert_eq!(
            (header.field, header.symmetry),
            (Field::Real, Symmetry::Symmetric)
        );
        assert_eq!(
            read("%%MatrixMarket matrix coordinate real general\n%\n").unwrap(),
            None
        );
        let text = "\u{feff}\n \n%%MatrixMarket\tmatrix\tcoordinate \tfloat\u{a0}general \t\n%\n1e+05\t5 2.0\n";
        let header = read(text).unwrap().unwrap();
        assert_eq!(header.field, Field::Real);
        assert_eq!(
            (header.rows, header.columns, header.entries),
            (100_000, 5, 2)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let banner = "%%MatrixMarket matrix coordinate real general\n";
        for (text, mention) in [
            ("%%Other matrix coordinate real general", "line 1"),
            ("%%MatrixMarket vector coordinate real general", "vector"),
            ("%%MatrixMarket matrix array real general", "array"),
            (
                "%%MatrixMarket matrix coordinate complex general",
                "complex",
            ),
            ("%%MatrixMarket matrix coordinate ___ general", "___"),
            (&format!("{banner}-3 3 3"), "-3 3 3"),
            (&format!("{banner}3 3"), "line 2"),
            (&format!("{banner}3 3 1.5"), "1.5"),
            (&format!("{banner}99999999999999999999 3 1"), "999"),
            (&format!("{banner}0 3 1"), "0 × 3"),
            (
                "%%MatrixMarket matrix coordinate real symmetric\n3 4 1",
                "3 × 4",
            ),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(mention), "{message}");
        }
    }

    #[test]
    fn banners_are_known() {
        assert!(is_banner(b"%%MatrixMarket matrix") && is_banner(b"  %matrixmarket x"));
        assert!(!is_banner(b"%%Matrix") && !is_banner(b"") && !is_banner(b"hello"));
    }
}
