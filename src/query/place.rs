//! Places in the text of a query.

use std::fmt;

use datafusion::common::Span;

/// A place in a query: line and column, from 1, and how many characters it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u64,
    /// Column of the first character, from 1.
    pub column: u64,
    /// Number of characters, at least 1.
    pub length: u64,
}

impl Place {
    /// A place as the planner tells it.
    pub(super) fn of_span(span: Span) -> Option<Self> {
        let length = if span.start.line == span.end.line {
            span.end.column.saturating_sub(span.start.column).max(1)
        } else {
            1
        };
        (span.start.line > 0).then_some(Place {
            line: span.start.line,
            column: span.start.column,
            length,
        })
    }

    /// Finds a place in a message of the parser, which ends with `at Line: 1, Column: 15`. Returns the
    /// message without it.
    pub(super) fn in_message(message: &str) -> (String, Option<Self>) {
        let Some((said, place)) = message.rsplit_once(" at Line: ") else {
            return (message.to_string(), None);
        };
        let Some((line, column)) = place.split_once(", Column: ") else {
            return (message.to_string(), None);
        };
        let digits: String = column.chars().take_while(char::is_ascii_digit).collect();
        match (line.parse(), digits.parse()) {
            (Ok(line), Ok(column)) => {
                let length = 1;
                (
                    said.to_string(),
                    Some(Place {
                        line,
                        column,
                        length,
                    }),
                )
            }
            _ => (message.to_string(), None),
        }
    }

    /// The place after the last character of a query.
    pub(super) fn end_of(sql: &str) -> Self {
        let text = sql.trim_end();
        let last = text.lines().last().unwrap_or_default();
        Place {
            line: text.lines().count().max(1) as u64,
            column: last.chars().count() as u64 + 1,
            length: 1,
        }
    }

    /// The first place of a word in a query, as a whole word.
    pub(super) fn of_word(sql: &str, word: &str) -> Option<Self> {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        for (number, line) in (1u64..).zip(sql.lines()) {
            for (at, _) in line.match_indices(word) {
                let before = line[..at].chars().next_back();
                let after = line[at + word.len()..].chars().next();
                if !before.is_some_and(part) && !after.is_some_and(part) {
                    return Some(Place {
                        line: number,
                        column: line[..at].chars().count() as u64 + 1,
                        length: word.chars().count().max(1) as u64,
                    });
                }
            }
        }
        None
    }

    /// The line of the query with a mark below the place.
    pub fn shown(&self, sql: &str) -> Option<String> {
        const WIDEST: usize = 120;
        let line = sql
            .lines()
            .nth(usize::try_from(self.line).ok()?.checked_sub(1)?)?;
        let column = usize::try_from(self.column).ok()?.checked_sub(1)?;
        // Of a long line, the part around the place.
        let skipped = column.saturating_sub(WIDEST / 2);
        let part: String = line.chars().skip(skipped).take(WIDEST).collect();
        let part: String = part
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let before = column - skipped;
        let room = part.chars().count().saturating_sub(before).max(1);
        let marks = usize::try_from(self.length).map_or(1, |length| length.clamp(1, room));
        Some(format!(
            "  {part}\n  {}{}",
            " ".repeat(before),
            "^".repeat(marks)
        ))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_below_its_line() {
        let sql = "SELECT a,\n  cell_tpe FROM cells";
        let place = Place::of_word(sql, "cell_tpe").unwrap();
        assert_eq!(place.to_string(), "line 2, column 3");
        assert_eq!(
            place.shown(sql).unwrap(),
            "    cell_tpe FROM cells\n    ^^^^^^^^"
        );
        assert_eq!(Place::of_word(sql, "cell"), None);
        let (said, place) = Place::in_message("Expected: x, found: y at Line: 1, Column: 8");
        assert_eq!(
            (said.as_str(), place.unwrap().column),
            ("Expected: x, found: y", 8)
        );
    }
}
