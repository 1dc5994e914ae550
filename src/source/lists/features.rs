//! Features files.
//!
//! Cell Ranger writes identifier and symbol up to version 2 (`genes.tsv`), then also the type
//! (`features.tsv`) and, if chromatin is measured too, chromosome, start and end. Others write a
//! single column with symbols or identifiers.

use std::borrow::Cow;

use arrow::array::{StringArray, StringBuilder};

use super::feature_columns::{IDS, SYMBOLS, headed, listed, peaks};
use super::table::{Numbering, Separator, Table, fields};
use crate::source::SourceError;
use crate::source::features::FeatureList;
use crate::source::text::TextFile;

/// Reads a list, which must not have more than `most` lines; its text may take `memory` bytes.
pub(crate) fn read_features(
    file: &TextFile,
    most: u64,
    memory: u64,
) -> Result<FeatureList, SourceError> {
    let place = file.place();
    let headings = [&[""][..], IDS, SYMBOLS].concat();
    let mut table = Table::open(file, &headings)?;
    let mut columns: Vec<StringBuilder> = Vec::new();
    let mut numbering = Numbering::default();
    let (mut count, mut bytes) = (0u64, 0u64);
    let name = file.name();
    let is_bed = name.strip_suffix(".gz").unwrap_or(&name).ends_with(".bed");
    // The columns that identify a feature must be present in every line.
    let needed = if is_bed { 3 } else { 2 };
    let separator = table.separator();
    let heading: Option<Vec<String>> = table.heading().map(<[String]>::to_vec);
    if let Some(heading) = &heading {
        columns.resize_with(heading.len(), StringBuilder::new);
    }
    while let Some((number, line)) = table.next()? {
        if is_bed && line.starts_with('#') {
            continue;
        }
        if count == most {
            return Err(place.damaged(format!(
                "it lists more than {most} features, which is more than the matrix has of anything"
            )));
        }
        bytes += line.len() as u64;
        // Text in Arrow has 32-bit offsets.
        if bytes > memory.min(i32::MAX as u64) {
            return Err(place.too_large("a list of features", bytes, bytes.saturating_mul(8)));
        }
        let fields = fields(separator, line, number, &place)?;
        if separator != Separator::Tab {
            numbering.see(&fields[0]);
        }
        if count == 0 && heading.is_none() {
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
                Some(field) => column.append_value(field),
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
    table.finish()?;
    numbering.check(columns.len(), &place)?;
    let columns: Vec<StringArray> = columns.iter_mut().map(StringBuilder::finish).collect();
    let count = count as usize;
    if !is_bed || columns.is_empty() {
        let mut list = match &heading {
            Some(heading) => headed(heading, columns, count),
            None => listed(columns, count, separator),
        };
        list.heading = heading.is_some();
        list.split = table.split_note(match &heading {
            Some(_) => "its columns are called as its first line says",
            None => "the first column is the identifier, the second the symbol",
        });
        return Ok(list);
    }
    match <[StringArray; 3]>::try_from(columns) {
        Ok(columns) => Ok(peaks(columns, count)),
        Err(columns) => Err(place.damaged(format!(
            "it has {} columns where chromosome, start and end are expected",
            columns.len()
        ))),
    }
}

/// Removes the quotes that R and spreadsheets write.
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

    fn read_csv(text: &str) -> Result<FeatureList, SourceError> {
        let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
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

    #[test]
    fn lists_with_commas() {
        let parse = read_csv("gene_id,gene_name,genome\nE1,A,hg38\nE2,\"B,2\",hg38\n").unwrap();
        assert_eq!(parse.count, 2);
        assert_eq!(texts(&parse.ids), ["E1", "E2"]);
        assert_eq!(texts(&parse.symbols), ["A", "B,2"]);
        assert_eq!(texts(&parse.genomes), ["hg38", "hg38"]);
        assert_eq!(parse.others[0].name, "genome");
        assert!(parse.types.is_none() && parse.split.unwrap().contains("gene_id,gene_name"));
        // Without a header line, the third column may be anything.
        let bare = read_csv("E1,A,hg38\nE2,B,hg38\n").unwrap();
        assert_eq!(
            (texts(&bare.ids), bare.others[0].name.as_str()),
            (vec!["E1", "E2"], "feature_column_3")
        );
        let typed = read_csv("E1;A;Peaks\nE2;B;Gene Expression\n").unwrap();
        assert_eq!(texts(&typed.types), ["Peaks", "Gene Expression"]);
        // An index without a name, as pandas writes it.
        let index = read_csv(",gene_ids,n_cells\nA,E1,3\nB,E2,4\n").unwrap();
        assert_eq!(
            (texts(&index.symbols), texts(&index.ids)),
            (vec!["A", "B"], vec!["E1", "E2"])
        );
        let named = read_csv("\"\",\"gene_name\"\nE1,A\n").unwrap();
        assert_eq!(
            (texts(&named.symbols), texts(&named.ids)),
            (vec!["A"], vec!["E1"])
        );
        for (text, mention) in [
            ("\"\",\"x\"\n1,A\n2,B\n", "numbers its lines"),
            ("E1,A\nE2\n", "line 2"),
            ("gene_id,gene_name\nE1,A,x\n", "line 2"),
            ("E1,\"A\n", "quote"),
        ] {
            let message = read_csv(text).unwrap_err().to_string();
            assert!(message.contains(mention), "{message}");
        }
    }

    #[test]
    fn commas_without_a_word_are_no_names() {
        for (text, mention) in [
            ("E1,A\nE2,B\n", "commas"),
            ("E1;A;x\nE2;B;x\n", "semicolons"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(
                message.contains(mention) && message.contains(".csv"),
                "{message}"
            );
        }
        for text in [
            "A,1\nB\n",
            "\"A,1\"\n\"B,1\"\n",
            "E1\tA,1\nE2\tB,1\n",
            "A,1\nB,1,2\n",
        ] {
            assert_eq!(read(text).unwrap().count, 2, "{text}");
        }
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
            // A byte order mark is not part of the text.
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
