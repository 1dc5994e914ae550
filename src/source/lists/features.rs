//! Lists of features.
//!
//! Cell Ranger writes identifier and symbol up to version 2 (`genes.tsv`), then also the type
//! (`features.tsv`), and, where chromatin is measured too, chromosome, start and end. Others write
//! one column, of symbols or identifiers.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, StringBuilder};

use crate::source::features::{FeatureList, OtherColumn};
use crate::source::text::{Lines, TextFile};
use crate::source::{ColumnKind, SourceError};

/// Reads a list, which must not have more than `most` lines; its text may take `memory` bytes.
pub(crate) fn read_features(
    file: &TextFile,
    most: u64,
    memory: u64,
) -> Result<FeatureList, SourceError> {
    let place = file.place();
    let mut lines = Lines::new(file.open()?, place.clone());
    let mut columns: Vec<StringBuilder> = Vec::new();
    let (mut count, mut bytes, mut blank) = (0u64, 0u64, None);
    let name = file.name();
    let is_bed = name.strip_suffix(".gz").unwrap_or(&name).ends_with(".bed");
    // What identifies a feature must be in every line.
    let needed = if is_bed { 3 } else { 2 };
    while let Some((number, line)) = lines.next()? {
        if is_bed && line.starts_with('#') {
            continue;
        }
        if line.is_empty() {
            blank = blank.or(Some(number));
            continue;
        }
        if let Some(number) = blank {
            return Err(place
                .line(number)
                .damaged("it is empty, but the list goes on"));
        }
        if count == most {
            return Err(place.damaged(format!(
                "it lists more than {most} features, which is more than the matrix has of anything"
            )));
        }
        bytes += line.len() as u64;
        // Arrow's texts have 32-bit offsets.
        if bytes > memory.min(i32::MAX as u64) {
            return Err(place.too_large("a list of features", bytes, bytes.saturating_mul(8)));
        }
        let fields: Vec<&str> = line.split('\t').collect();
        if count == 0 {
            columns.resize_with(fields.len(), StringBuilder::new);
        }
        if fields.len() > columns.len() {
            return Err(place.line(number).damaged(format!(
                "it has {} columns where the first line has {}",
                fields.len(),
                columns.len()
            )));
        }
        for (at, column) in columns.iter_mut().enumerate() {
            match fields.get(at) {
                Some(field) => column.append_value(unquoted(field)),
                None if at < needed => {
                    return Err(place.line(number).damaged(format!(
                        "it has {} columns where the first line has {}",
                        fields.len(),
                        columns.len()
                    )));
                }
                None => column.append_null(),
            }
        }
        count += 1;
    }
    let columns: Vec<StringArray> = columns.iter_mut().map(StringBuilder::finish).collect();
    let count = count as usize;
    if !is_bed || columns.is_empty() {
        return Ok(listed(columns, count));
    }
    match <[StringArray; 3]>::try_from(columns) {
        Ok(columns) => Ok(peaks(columns, count)),
        Err(columns) => Err(place.damaged(format!(
            "it has {} columns where chromosome, start and end are expected",
            columns.len()
        ))),
    }
}

/// Peaks, which have no names: they are called by their places, as Cell Ranger calls them in HDF5.
fn peaks(columns: [StringArray; 3], count: usize) -> FeatureList {
    let text = |column: usize, row: usize| columns[column].value(row);
    let names = (0..count).map(|row| format!("{}:{}-{}", text(0, row), text(1, row), text(2, row)));
    let ids = StringArray::from_iter_values(names);
    let others = ["chrom", "start", "end"].into_iter().zip(columns);
    FeatureList {
        count,
        ids: Some(ids),
        types: Some(StringArray::from(vec!["Peaks"; count])),
        others: others
            .map(|(name, column)| OtherColumn {
                name: name.into(),
                kind: ColumnKind::Text,
                values: Arc::new(column),
            })
            .collect(),
        ..FeatureList::default()
    }
}

/// The columns by what they hold.
fn listed(columns: Vec<StringArray>, count: usize) -> FeatureList {
    let mut list = FeatureList {
        count,
        ..FeatureList::default()
    };
    let width = columns.len();
    let place_of_genes = width == 6
        && columns[4..]
            .iter()
            .all(|column| column.iter().flatten().all(is_position));
    for (at, column) in columns.into_iter().enumerate() {
        match (at, width) {
            (0, 1) => list.symbols = Some(column),
            (0, _) => list.ids = Some(column),
            (1, _) => list.symbols = Some(column),
            (2, _) => list.types = Some(column),
            _ => list.others.push(OtherColumn {
                name: match (at, place_of_genes) {
                    (3, true) => "chrom".into(),
                    (4, true) => "start".into(),
                    (5, true) => "end".into(),
                    _ => format!("feature_column_{}", at + 1),
                },
                kind: ColumnKind::Text,
                values: Arc::new(column) as ArrayRef,
            }),
        }
    }
    if list.symbols.is_none() {
        // An empty list.
        list.symbols = Some(StringArray::from(Vec::<String>::new()));
    }
    list
}

fn is_position(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A field without the quotes that R and spreadsheets write.
pub(super) fn unquoted(field: &str) -> Cow<'_, str> {
    let inner = field
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if inner.contains('"') => inner.replace("\"\"", "\"").into(),
        Some(inner) => inner.into(),
        None => field.into(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<FeatureList, SourceError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_features(&TextFile::new(file.path()), 100, 1 << 20)
    }

    fn texts(array: &Option<StringArray>) -> Vec<&str> {
        let array = array.as_ref().unwrap();
        array.iter().map(|text| text.unwrap_or("null")).collect()
    }

    #[test]
    fn columns_by_their_number() {
        let one = read("A\nB").unwrap();
        assert_eq!(texts(&one.symbols), ["A", "B"]);
        assert!(one.ids.is_none());
        let two = read("E1\t\"A\"\r\nE2\tB \"x\"\r\n\r\n").unwrap();
        assert_eq!(
            (texts(&two.ids), texts(&two.symbols)),
            (vec!["E1", "E2"], vec!["A", "B \"x\""])
        );
        let six = read("E1\tA\tPeaks\tchr1\t1\t2\nE2\tB\tPeaks\n").unwrap();
        let names: Vec<&str> = six.others.iter().map(|other| other.name.as_str()).collect();
        assert_eq!(names, ["chrom", "start", "end"]);
        assert_eq!(six.others[0].values.null_count(), 1);
        let four = read("E1\tA\tx\ty\n").unwrap();
        assert_eq!(four.others[0].name, "feature_column_4");
        assert_eq!(read("").unwrap().count, 0);
    }

    proptest! {
        #[test]
        fn any_text_ends_in_an_answer(bytes in prop::collection::vec(prop_oneof![
            Just(b'\t'), Just(b'\n'), Just(b'\r'), Just(b'"'), Just(b'a'), any::<u8>()
        ], 0..100)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            if let Ok(list) = read_features(&TextFile::new(file.path()), 20, 1 << 20) {
                prop_assert!(list.count <= 20);
                prop_assert_eq!(list.symbols.unwrap().len(), list.count);
            }
        }

        #[test]
        fn fields_come_back(rows in prop::collection::vec(prop::array::uniform3("[^\t\r\n\"]{1,9}"), 1..20), crlf in any::<bool>()) {
            let end = if crlf { "\r\n" } else { "\n" };
            let text: String = rows.iter().map(|row| row.join("\t") + end).collect();
            let list = read(&text);
            // A mark of the byte order is no part of the text.
            prop_assume!(!text.starts_with('\u{feff}'));
            let list = list.unwrap();
            for (at, column) in [&list.ids, &list.symbols, &list.types].into_iter().enumerate() {
                let wanted: Vec<&str> = rows.iter().map(|row| row[at].as_str()).collect();
                prop_assert_eq!(texts(column), wanted);
            }
        }
    }

    #[test]
    fn peaks_are_called_by_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peaks.bed");
        std::fs::write(&path, "# made up\nchr1\t10\t20\nchrX\t5\t9\n").unwrap();
        let list = read_features(&TextFile::new(&path), 9, 1 << 20).unwrap();
        assert_eq!(texts(&list.ids), ["chr1:10-20", "chrX:5-9"]);
        assert_eq!(texts(&list.types), ["Peaks", "Peaks"]);
        std::fs::write(&path, "chr1\t10\n").unwrap();
        assert!(read_features(&TextFile::new(&path), 9, 1 << 20).is_err());
    }

    #[test]
    fn uneven_lines_are_refused() {
        for (text, mention) in [
            ("a\tb\nc", "line 2"),
            ("a\nc\td", "line 2"),
            ("a\n\nb", "line 2"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(mention), "{message}");
        }
    }
}
