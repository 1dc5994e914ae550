//! What is wrong with a dataset.

use std::collections::HashMap;
use std::convert::Infallible;

use serde::Serialize;

use super::VerifyError;
use crate::dataset::DatasetError;
use crate::table::TableError;

/// Something that is not as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The table or the file.
    pub place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gene: Option<String>,
    /// What is wrong.
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl Problem {
    /// A problem of a table or a file.
    pub fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Problem {
            place: place.into(),
            what: what.into(),
            ..Problem::default()
        }
    }

    /// With what should be there and what is.
    pub fn differing(mut self, expected: impl ToString, found: impl ToString) -> Self {
        self.expected = Some(expected.to_string());
        self.found = Some(found.to_string());
        self
    }

    /// At a cell.
    pub fn at_cell(mut self, cell: impl Into<String>) -> Self {
        self.cell = Some(cell.into());
        self
    }

    /// At a gene.
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

/// Examples that are kept of each kind of problem at each place, and of all together.
const EXAMPLES: u64 = 10;
const MOST: usize = 2000;

/// All problems, of which a few of each kind are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// How many there are.
    #[serde(rename = "problems")]
    pub count: u64,
    #[serde(rename = "examples")]
    list: Vec<Problem>,
    /// By place and kind, how many there are.
    #[serde(skip)]
    kinds: HashMap<String, HashMap<String, u64>>,
}

impl Problems {
    /// Notes a problem.
    pub fn add(&mut self, problem: Problem) {
        if self.is_example(&problem.place, &problem.what) {
            self.list.push(problem);
        }
    }

    /// Notes a problem of a kind that there may be very many of: only for the few that are kept it
    /// is asked what there is to be told.
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

    /// Likewise where nothing can go wrong.
    pub fn note_at(&mut self, place: &str, what: &str, details: impl FnOnce(Problem) -> Problem) {
        let noted: Result<(), Infallible> = self.note(place, what, |problem| Ok(details(problem)));
        let Ok(()) = noted;
    }

    /// Counts a problem. Whether it is to be kept.
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
            // What is not kept needs no count of its own.
            None if self.list.len() >= MOST => return false,
            None => {
                let kinds = self.kinds.entry(place.to_string()).or_default();
                kinds.insert(what.to_string(), 1);
                0
            }
        };
        before < EXAMPLES && self.list.len() < MOST
    }

    /// Notes a problem unless two things are the same.
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

    /// Notes what cannot be read as a problem of the dataset, and passes on other failures.
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
                self.add(Problem::new(place, crate::error::in_one_line(&error)));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds others.
    pub(super) fn extend(&mut self, others: Problems) {
        let kept = others.list.len() as u64;
        for problem in others.list {
            self.add(problem);
        }
        self.count += others.count - kept;
    }

    /// Some of the problems, at least one of each kind.
    pub fn examples(&self) -> &[Problem] {
        &self.list
    }

    /// Whether there is none.
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
