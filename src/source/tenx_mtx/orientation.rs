//! Determines whether the rows of a matrix are cells or features.
//!
//! Cell Ranger and STARsolo write features × cells; kallisto, alevin-fry and others write cells ×
//! features. The lengths of the lists tell which, except for square matrices, where only names do.

use super::ORIENTATION;
use super::entries::Cell;
use super::header::{Header, Symmetry};
use super::names::{Kind, is_conventional, rows_by_lists, rows_by_name};
use crate::remedy::{Remedy, Setting};
use crate::source::text::TextFile;
use crate::source::{OpenOptions, SourceError};

/// What the rows and the columns of a matrix are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Orientation {
    /// As kallisto, alevin-fry and Parse Biosciences write.
    CellsByGenes,
    /// As Cell Ranger and STARsolo write.
    GenesByCells,
}

impl Orientation {
    const ALL: [Orientation; 2] = [Orientation::GenesByCells, Orientation::CellsByGenes];

    /// What the user says.
    pub fn asked(options: &OpenOptions) -> Option<Self> {
        let asked = options.own.text(&ORIENTATION)?;
        Self::ALL.into_iter().find(|one| one.to_string() == asked)
    }
}

impl std::fmt::Display for Orientation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Orientation::CellsByGenes => "cells-by-genes",
            Orientation::GenesByCells => "genes-by-cells",
        })
    }
}

/// What is known about a matrix and its lists.
pub(super) struct Oriented<'a> {
    /// The file of the matrix.
    pub matrix: &'a TextFile,
    /// Its header.
    pub header: &'a Header,
    /// Name of the barcodes file, and whether its first line is a header (which is not counted).
    pub cells: (String, bool),
    /// Name of the features file, and whether its first line is a header.
    pub features: (String, bool),
    /// Number of cells and of features listed.
    pub counts: [u64; 2],
    /// The orientation given by the user.
    pub asked: Option<Orientation>,
}

impl Oriented<'_> {
    /// Returns which of a line's indices is the cell, and a warning if there is any doubt.
    pub fn order(&self) -> Result<(Cell, Option<String>), SourceError> {
        let [cells, features] = self.counts;
        let sizes = [self.header.rows, self.header.columns];
        let fits = |orientation| match orientation {
            Orientation::GenesByCells => sizes == [features, cells],
            Orientation::CellsByGenes => sizes == [cells, features],
        };
        let order = |orientation| match orientation {
            Orientation::GenesByCells => Cell::Second,
            Orientation::CellsByGenes => Cell::First,
        };
        let fitting: Vec<Orientation> = Orientation::ALL
            .into_iter()
            .filter(|one| fits(*one))
            .collect();
        match (self.asked, &fitting[..]) {
            (_, []) => Err(self.mismatch()),
            (Some(asked), _) if fits(asked) => Ok((order(asked), None)),
            (Some(asked), [one, ..]) => Err(self.matrix.place().refuses(
                Setting::of("orientation", asked),
                format!("the matrix is {one}, as the lengths of its lists tell"),
                Remedy::omit("orientation"),
            )),
            (None, [one]) => Ok((order(*one), None)),
            (None, _) => self.square(),
        }
    }

    /// Handles a matrix with as many cells as features.
    fn square(&self) -> Result<(Cell, Option<String>), SourceError> {
        // It would be the same when transposed.
        let all_the_same = self.header.symmetry == Symmetry::Symmetric || self.header.rows < 2;
        if all_the_same || self.header.entries == 0 {
            return Ok((Cell::Second, None));
        }
        let matrix = base(&self.matrix.name()).to_string();
        let [cells, features] = [base(&self.cells.0), base(&self.features.0)];
        let lists = format!("{cells} and {features}");
        let (rows, why) = if let Some(rows) = rows_by_name(&matrix) {
            (rows, matrix)
        } else if let Some(rows) = rows_by_lists(cells, features) {
            (rows, lists)
        } else if is_conventional(&matrix, cells, features) {
            (Kind::Features, format!("{matrix}, {lists}"))
        } else {
            let says = [Orientation::CellsByGenes, Orientation::GenesByCells];
            return Err(self.matrix.place().unsupported(
                format!(
                    "a square matrix of {} cells and as many features, of which neither sizes nor names tell what its rows are,",
                    self.header.rows
                ),
                says.map(|one| Remedy::using(Setting::of("orientation", one), "say so")),
            ));
        };
        let (order, rows, other) = match rows {
            Kind::Cells => (Cell::First, "cells", Orientation::GenesByCells),
            Kind::Features => (Cell::Second, "features", Orientation::CellsByGenes),
        };
        let other = Setting::of("orientation", other);
        let word = format!(
            "the matrix is square: its rows are taken for {rows}, by the names of its files ({why}); if they are not, use {other}"
        );
        Ok((order, Some(word)))
    }

    fn mismatch(&self) -> SourceError {
        let [cells, features] = self.counts;
        let Header { rows, columns, .. } = *self.header;
        // A header counts as one line too many.
        let close = |count: u64| [rows, columns].contains(&count.saturating_sub(1));
        let hint = if close(features) || close(cells) {
            "; if the first line of a list is a heading, remove it"
        } else {
            ""
        };
        let list = |(name, heading): &(String, bool)| match heading {
            true => format!("{name} (below its heading)"),
            false => name.clone(),
        };
        self.matrix.place().damaged(format!(
            "it is a matrix of {rows} × {columns}, but {} lists {features} features and {} lists {cells} cells{hint}",
            list(&self.features), list(&self.cells)
        ))
    }
}

/// Returns the name of a file without its folder.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
