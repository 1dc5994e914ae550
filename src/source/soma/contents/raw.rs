//! What becomes of the raw matrix.

use std::sync::Arc;

use super::super::frame::Frame;
use super::super::matrix::{Axes, Columns, StoredMatrix};
use super::super::measurement::RAW;
use super::{Contents, VAR_INDEX};
use crate::remedy::{Remedy, Setting};
use crate::source::raw;
use crate::source::{MainMatrix, MatrixDescription, MatrixName, Note, Part, RawUse, SourceError};

impl Contents<'_> {
    /// Handles the raw matrix if it does not become X.
    pub fn raw_layer(
        &mut self,
        main: &MatrixDescription,
        var: &Frame,
        layers: &mut Vec<MatrixDescription>,
    ) -> Result<(), SourceError> {
        let Some(measurement) = self.raw.take() else {
            return Ok(());
        };
        for (name, folder) in &measurement.group.members {
            if name != "X" && name != "var" {
                let reason = "it belongs to the genes of raw";
                self.left_out.push(Note::new(folder.object(), reason));
            }
        }
        let own = measurement.own_layer().ok().flatten();
        for (name, folder) in measurement.layers() {
            if folder.object() == main.object {
                continue;
            }
            let is_own = own.is_some_and(|(own, _)| own == name);
            if self.options.raw == RawUse::LeaveOut || !is_own {
                let reason =
                    "keep it with --raw-as-layer, or convert it instead of X with --matrix raw";
                let reason = if is_own {
                    reason
                } else {
                    "another layer of raw"
                };
                self.left_out.push(Note::new(folder.object(), reason));
                continue;
            }
            if layers.iter().any(|layer| layer.name.key() == RAW) {
                return Err(folder.place().refuses(
                    Setting::any("raw-as-layer"),
                    "the measurement has a layer \"raw\" already",
                    [Remedy::omit("raw-as-layer"), Remedy::skip("layers", RAW)],
                ));
            }
            let frame = Frame::open(
                measurement.var()?,
                &VAR_INDEX,
                Part::Var,
                &self.options.selection,
            )?;
            let genes = raw::positions(
                &frame.place(),
                &frame.ids(0..frame.len())?,
                &var.ids(0..var.len())?,
            )?;
            let axes = Axes {
                rows: self.cells.clone(),
                columns: Columns::Joined(Arc::new(frame.joinids().clone())),
            };
            let stored = StoredMatrix::open(folder, axes)?;
            self.converted
                .push(Note::new(folder.object(), "became the layer \"raw\""));
            let name = MatrixName::Layer(RAW.into());
            layers.push(self.add(name.clone(), folder.object(), stored));
            if let Some(matrix) = self.matrices.get_mut(&name) {
                matrix.genes = genes;
            }
        }
        self.raw = Some(measurement);
        Ok(())
    }

    /// Warns if X is normalised and the raw matrix is not, since most users want the counts.
    pub fn warn_of_raw_counts(&mut self, main: &MatrixDescription) -> Result<(), SourceError> {
        if self.matrix != MainMatrix::Own || main.entries == Some(0) {
            return Ok(());
        }
        let Some(raw) = &self.raw else { return Ok(()) };
        let Ok(Some((_, folder))) = raw.own_layer() else {
            return Ok(());
        };
        let frame = Frame::open(raw.var()?, &VAR_INDEX, Part::Var, &self.options.selection)?;
        let axes = Axes {
            rows: self.cells.clone(),
            columns: Columns::Joined(Arc::new(frame.joinids().clone())),
        };
        // A raw matrix that cannot be read was not asked for, so this is not an error.
        let Ok(stored) = StoredMatrix::open(folder, axes) else {
            return Ok(());
        };
        let Some(own) = self.matrices.get(&MatrixName::X) else {
            return Ok(());
        };
        if raw::holds_counts(|visit| stored.sample(visit))?
            && !raw::holds_counts(|visit| own.stored.sample(visit))?
        {
            self.warnings.push(format!(
                "{} holds counts and {} does not: {}",
                folder.object(),
                main.object,
                raw::ADVICE
            ));
        }
        Ok(())
    }
}
