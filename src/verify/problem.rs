//! Problems of a dataset.

use std::collections::HashMap;
use std::convert::Infallible;

use serde::Serialize;

use super::VerifyError;
use crate::dataset::DatasetError;
use crate::table::TableError;

/// A problem of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Table or file that has the problem.
    pub place: String,
    /// The cell concerned, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// The gene concerned, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gene: Option<String>,
    /// What is wrong.
    pub what: String,
    /// Value that was expected, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// Value that was found, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl Problem {
    /// Creates a problem of a table or a file.
    pub fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Problem {
            place: place.into(),
            what: what.into(),
            ..Problem::default()
        }
    }

    /// Adds the expected and the actual value.
    pub fn differing(mut self, expected: impl ToString, found: impl ToString) -> Self {
        self.expected = Some(expected.to_string());
        self.found = Some(found.to_string());
        self
    }

    /// Adds a cell.
    pub fn at_cell(mut self, cell: impl Into<String>) -> Self {
        self.cell = Some(cell.into());
        self
    }

    /// Adds a gene.
    pub fn at_gene(mut self, gene: impl Into<String>) -> Self {
        self.gene = Some(gene.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.place)?;
        if let Some(cell) = &self.cell {
            write!(f, ", cell {cell}")?;
        }
        if let Some(gene) = &self.gene {
            write!(f, ", gene {gene}")?;
        }
        write!(f, ": {}", self.what)?;
        if let (Some(expected), Some(found)) = (&self.expected, &self.found) {
            write!(f, ": expected {expected}, found {found}")?;
        }
        Ok(())
    }
}

/// Maximum number of examples kept of each kind of problem at each place, and in total.
const EXAMPLES: u64 = 10;
const MOST: usize = 2000;

/// All problems, with a few examples of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problems {
    /// Number of problems.
    #[serde(rename = "problems")]
    pub count: u64,
    #[serde(rename = "examples")]
    list: Vec<Problem>,
    /// Number of problems by place and kind.
    #[serde(skip)]
    kinds: HashMap<String, HashMap<String, u64>>,
}

impl Problems {
    /// Adds a problem.
    pub fn add(&mut self, problem: Problem) {
        if self.is_example(&problem.place, &problem.what) {
            self.list.push(problem);
        }
    }

    /// Adds a problem of a kind that may be very frequent: `details` is called only for the few
    /// examples that are kept.
    ///
    /// # Errors
    /// Those of `details`.
    pub fn note<E>(
        &mut self,
        place: &str,
        what: &str,
        details: impl FnOnce(Problem) -> Result<Problem, E>,
    ) -> Result<(), E> {
        if self.is_example(place, what) {
            self.list.push(details(Problem::new(place, what))?);
        }
        Ok(())
    }

    /// Like [`Problems::note`], for details that cannot fail.
    pub fn note_at(&mut self, place: &str, what: &str, details: impl FnOnce(Problem) -> Problem) {
        let noted: Result<(), Infallible> = self.note(place, what, |problem| Ok(details(problem)));
        let Ok(()) = noted;
    }

    /// Counts a problem. Returns whether to keep it as an example.
    fn is_example(&mut self, place: &str, what: &str) -> bool {
        self.count += 1;
        let known = self
            .kinds
            .get_mut(place)
            .and_then(|kinds| kinds.get_mut(what));
        let before = match known {
            Some(count) => {
                *count += 1;
                *count - 1
            }
            // Once the list is full, new kinds need no count.
            None if self.list.len() >= MOST => return false,
            None => {
                let kinds = self.kinds.entry(place.to_string()).or_default();
                kinds.insert(what.to_string(), 1);
                0
            }
        };
        before < EXAMPLES && self.list.len() < MOST
    }

    /// Adds a problem unless both values are equal.
    pub fn expect<T: PartialEq + ToString>(
        &mut self,
        place: &str,
        what: &str,
        expected: T,
        found: T,
    ) {
        if expected != found {
            self.add(Problem::new(place, what).differing(expected, found));
        }
    }

    /// Reports data that cannot be read as a problem of the dataset, and passes on other errors.
    pub(super) fn unread<T>(
        &mut self,
        place: &str,
        result: Result<T, VerifyError>,
    ) -> Result<Option<T>, VerifyError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(
                error @ (VerifyError::Table(
                    TableError::Damaged { .. }
                    | TableError::Lance { .. }
                    | TableError::Arrow { .. },
                )
                | VerifyError::Dataset(DatasetError::Table(TableError::Damaged { .. }))),
            ) => {
                self.add(Problem::new(place, crate::failure::in_one_line(&error)));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds all problems of another list.
    pub(super) fn extend(&mut self, others: Problems) {
        let kept = others.list.len() as u64;
        for problem in others.list {
            self.add(problem);
        }
        self.count += others.count - kept;
    }

    /// Returns examples of the problems, at least one of each kind.
    pub fn examples(&self) -> &[Problem] {
        &self.list
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_some_are_kept() {
        let mut problems = Problems::default();
        for row in 0..100 {
            problems.add(Problem::new("expression", "a zero").differing(row, 0));
        }
        problems.expect("cells", "rows", 3, 4);
        problems.expect("cells", "rows", 3, 3);
        assert_eq!((problems.count, problems.examples().len()), (101, 11));
        let last = problems.examples().last().unwrap().to_string();
        assert_eq!(last, "cells: rows: expected 3, found 4");
        let mut asked = 0;
        for row in 0..1000 {
            problems.note_at("layers", "another value", |problem| {
                asked += 1;
                problem.differing(row, 0)
            });
        }
        assert_eq!((asked, problems.count), (10, 1101));
    }
}
