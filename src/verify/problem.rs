//! What is wrong with a dataset.

use serde::Serialize;

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

/// Examples that are kept of each kind of problem at each place.
const EXAMPLES: usize = 10;

/// All problems, of which a few of each kind are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// How many there are.
    #[serde(rename = "problems")]
    pub count: u64,
    #[serde(rename = "examples")]
    list: Vec<Problem>,
}

impl Problems {
    /// Notes a problem.
    pub fn add(&mut self, problem: Problem) {
        self.count += 1;
        let alike = |other: &&Problem| other.place == problem.place && other.what == problem.what;
        if self.list.iter().filter(alike).count() < EXAMPLES {
            self.list.push(problem);
        }
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
    }
}
