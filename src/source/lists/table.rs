//! Splits the lines of a list into fields, at tabs or, in files with the extension for it, at
//! commas.

use std::borrow::Cow;

use super::features::unquoted;
use crate::source::SourceError;
use crate::source::error::ErrorContext;
use crate::source::text::{Lines, TextFile};

/// Separates the fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Tab,
    Comma,
    Semicolon,
}

impl Separator {
    /// Returns the separator of a `.csv` file, judging by its first line.
    fn of_csv(first: &str) -> Self {
        let found = [Separator::Tab, Separator::Comma, Separator::Semicolon];
        let in_it = |separator: &Separator| outside_quotes(first, separator.byte()) > 0;
        found.into_iter().find(in_it).unwrap_or(Separator::Comma)
    }

    fn byte(self) -> u8 {
        match self {
            Separator::Tab => b'\t',
            Separator::Comma => b',',
            Separator::Semicolon => b';',
        }
    }

    /// Name for messages.
    pub fn plural(self) -> &'static str {
        match self {
            Separator::Tab => "tabs",
            Separator::Comma => "commas",
            Separator::Semicolon => "semicolons",
        }
    }

    /// Splits a line into fields and removes quotes; `None` if a quote is not closed. If fields are
    /// separated by tabs, an unclosed quote is part of the text.
    pub fn split(self, line: &str) -> Option<Vec<Cow<'_, str>>> {
        if self == Separator::Tab {
            return Some(line.split('\t').map(unquoted).collect());
        }
        let mut fields = Vec::new();
        let (mut start, mut quoted) = (0, false);
        for (at, byte) in line.bytes().enumerate() {
            if byte == b'"' {
                quoted = !quoted;
            } else if byte == self.byte() && !quoted {
                fields.push(unquoted(&line[start..at]));
                start = at + 1;
            }
        }
        fields.push(unquoted(&line[start..]));
        (!quoted).then_some(fields)
    }

    /// Returns the first field of a line, and the number of fields.
    pub fn first(self, line: &str) -> Option<(Cow<'_, str>, usize)> {
        if self == Separator::Tab {
            let mut fields = line.split('\t');
            let first = unquoted(fields.next().unwrap_or_default());
            return Some((first, 1 + fields.count()));
        }
        let mut fields = self.split(line)?;
        let count = fields.len();
        Some((fields.swap_remove(0), count))
    }
}

/// Counts how often a byte occurs in a line outside of quotes.
fn outside_quotes(line: &str, byte: u8) -> usize {
    let mut quoted = false;
    let outside = line.bytes().filter(|&found| {
        quoted ^= found == b'"';
        found == byte && !quoted
    });
    outside.count()
}

/// A list that is read line by line.
pub(super) struct Table {
    lines: Lines,
    place: ErrorContext,
    separator: Separator,
    /// Whether the file name says that it contains comma-separated values.
    is_csv: bool,
    heading: Option<Vec<String>>,
    /// The first blank line, after which nothing may follow.
    blank: Option<u64>,
    /// Number of commas and of semicolons per line, as long as it is the same in all lines and
    /// there are no tabs.
    commas: [Option<usize>; 2],
    rows: u64,
}

impl Table {
    /// Opens a list. The first line of comma-separated values is a header if its first field is one
    /// of `headings`, compared in lower case.
    pub fn open(file: &TextFile, headings: &[&str]) -> Result<Self, SourceError> {
        let place = file.place();
        let name = file.name().to_lowercase();
        let mut table = Table {
            lines: Lines::new(file.open()?, place.clone()),
            place,
            separator: Separator::Tab,
            is_csv: name.strip_suffix(".gz").unwrap_or(&name).ends_with(".csv"),
            heading: None,
            blank: None,
            commas: [None; 2],
            rows: 0,
        };
        if table.is_csv {
            table.begin(headings)?;
        }
        Ok(table)
    }

    /// Separator of the fields.
    pub fn separator(&self) -> Separator {
        self.separator
    }

    /// Names of the columns, if the list has a header line.
    pub fn heading(&self) -> Option<&[String]> {
        self.heading.as_deref()
    }

    /// Returns the next line and its number.
    ///
    /// # Errors
    /// If the line cannot be read or follows a blank line.
    pub fn next(&mut self) -> Result<Option<(u64, &str)>, SourceError> {
        let Table {
            lines,
            place,
            blank,
            commas,
            rows,
            is_csv,
            ..
        } = self;
        loop {
            if !lines.advance()? {
                return Ok(None);
            }
            let (number, line) = lines.current();
            if !line.is_empty() {
                break;
            }
            *blank = blank.or(Some(number));
        }
        let (number, line) = lines.current();
        if let Some(number) = *blank {
            return Err(place
                .line(number)
                .damaged("it is empty, but the list goes on"));
        }
        if !*is_csv && (*rows == 0 || *commas != [None; 2]) {
            let has_tab = line.contains('\t');
            for (byte, commas) in [b',', b';'].into_iter().zip(commas) {
                let here = outside_quotes(line, byte);
                let alike = here > 0 && !has_tab && (*rows == 0 || *commas == Some(here));
                *commas = alike.then_some(here);
            }
        }
        *rows += 1;
        Ok(Some((number, line)))
    }

    /// Examines the first line of comma-separated values.
    fn begin(&mut self, headings: &[&str]) -> Result<(), SourceError> {
        if !self.lines.advance()? {
            return Ok(());
        }
        let (number, line) = self.lines.current();
        self.separator = Separator::of_csv(line);
        let fields = fields(self.separator, line, number, &self.place)?;
        let first = fields[0].trim().to_lowercase();
        if !line.is_empty() && headings.contains(&first.as_str()) {
            self.heading = Some(fields.into_iter().map(Cow::into_owned).collect());
        } else {
            self.lines.again();
        }
        Ok(())
    }

    /// Note for the user on a list that was not split at tabs.
    pub fn split_note(&self, names: &str) -> Option<String> {
        let split = format!("it was split at {}: {names}", self.separator.plural());
        let heading = self.heading.as_ref().map(|heading| {
            let separator = char::from(self.separator.byte()).to_string();
            format!(
                "; its first line, {:?}, is a heading",
                heading.join(&separator)
            )
        });
        self.is_csv.then(|| split + &heading.unwrap_or_default())
    }

    /// Refuses a list in which all lines look as if they had columns separated by commas, although
    /// nothing indicates that they do, since then the names cannot be identified.
    pub fn finish(&self) -> Result<(), SourceError> {
        let [commas, semicolons] = self.commas;
        let separators = [(commas, "commas"), (semicolons, "semicolons")];
        match separators.iter().find(|(count, _)| count.is_some()) {
            Some((_, what)) if !self.is_csv && self.rows > 0 => Err(self.place.unsupported(
                format!("a list whose lines have {what}, but no tabs,"),
                format!(
                    "if the {what} separate columns, write tabs for them or call the file .csv; if they belong to the names, put these in quotes"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Splits a line of a list into fields.
pub(super) fn fields<'l>(
    separator: Separator,
    line: &'l str,
    number: u64,
    place: &ErrorContext,
) -> Result<Vec<Cow<'l, str>>, SourceError> {
    let fields = separator.split(line);
    fields.ok_or_else(|| unclosed(place, number))
}

/// Error for a line with an unclosed quote.
pub(super) fn unclosed(place: &ErrorContext, number: u64) -> SourceError {
    place.line(number).damaged("a quote in it is not closed")
}

/// Detects whether the first fields merely number the lines, as R and pandas write them.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    lines: u64,
    /// The first line's number; `None` once a field is not the expected number.
    first: Option<u64>,
}

impl Numbering {
    /// Examines the first field of the next line.
    pub fn see(&mut self, field: &str) {
        if self.lines == 0 {
            self.first = field.parse().ok().filter(|first| *first < 2);
        } else if let Some(first) = self.first
            && field.parse() != Ok(first + self.lines)
        {
            self.first = None;
        }
        self.lines += 1;
    }

    /// Refuses a list of several columns if the first one numbers its lines.
    pub fn check(&self, columns: usize, place: &ErrorContext) -> Result<(), SourceError> {
        if self.lines > 1 && columns > 1 && self.first.is_some() {
            return Err(place.unsupported(
                "a list whose first column numbers its lines",
                "give a list whose first column is the name",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_separate_nothing() {
        let split = |line| Separator::Comma.split(line).unwrap();
        assert_eq!(split("a,b,c"), ["a", "b", "c"]);
        assert_eq!(
            split("\"a,1\",\"x \"\"y\"\"\",,z"),
            ["a,1", "x \"y\"", "", "z"]
        );
        assert_eq!(split(""), [""]);
        assert_eq!(Separator::Comma.split("a,\"b"), None);
        assert_eq!(Separator::Comma.first("a;b,c"), Some(("a;b".into(), 2)));
        assert_eq!(Separator::Tab.first("\"a\tb"), Some(("\"a".into(), 2)));
        assert_eq!(Separator::of_csv("a;b"), Separator::Semicolon);
        assert_eq!(Separator::of_csv("a,b;c"), Separator::Comma);
        assert_eq!(Separator::of_csv("a,b\tc"), Separator::Tab);
        assert_eq!(Separator::of_csv("a"), Separator::Comma);
    }

    #[test]
    fn numbers_of_lines_are_no_names() {
        let refused = |fields: &[&str], columns| {
            let mut numbering = Numbering::default();
            fields.iter().for_each(|field| numbering.see(field));
            let place = ErrorContext::whole("x.csv".as_ref());
            numbering.check(columns, &place).is_err()
        };
        assert!(refused(&["0", "1", "2"], 2) && refused(&["1", "2"], 3));
        assert!(!refused(&["1", "2"], 1) && !refused(&["1", "3"], 2) && !refused(&["a", "b"], 2));
        assert!(!refused(&["0"], 2) && !refused(&[], 2) && !refused(&["7", "8"], 2));
    }
}
