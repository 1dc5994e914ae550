//! What becomes of the raw matrix.

use super::super::frame::{Frame, rows_of};
use super::super::matrix::open;
use super::super::members::Members;
use super::{Contents, RAW};
use crate::remedy::{Remedy, Setting};
use crate::source::raw;
use crate::source::{MainMatrix, MatrixDescription, MatrixName, Note, Part, RawUse, SourceError};

impl Contents<'_> {
    /// Handles the raw matrix if it does not become X.
    pub fn raw_layer(
        &mut self,
        shape: [u64; 2],
        var: &Frame,
        layers: &mut Vec<MatrixDescription>,
    ) -> Result<(), SourceError> {
        let Some(paths) = &self.raw else {
            return Ok(());
        };
        let (x, raw_var, varm) = (paths.x, paths.var, paths.varm);
        self.leave_out_members(varm, "it belongs to the genes of raw")?;
        if self.options.raw == RawUse::LeaveOut {
            let reason =
                "keep it with --raw-as-layer, or convert it instead of X with --matrix raw";
            self.left_out.push(Note::new(x, reason));
            return Ok(());
        }
        if layers.iter().any(|layer| layer.name.key() == RAW) {
            return Err(self.file.place(x).refuses(
                Setting::any("raw-as-layer"),
                "the file has a layer \"raw\" already",
                [Remedy::omit("raw-as-layer"), Remedy::skip("layers", RAW)],
            ));
        }
        let frame = Frame::open(self.file, raw_var, Part::Var, &self.options.selection)?;
        let genes = raw::positions(
            &self.file.place(x),
            &frame.ids(0..frame.rows())?,
            &var.ids(0..var.rows())?,
        )?;
        let stored = open(self.file, x, shape)?;
        self.converted
            .push(Note::new(x, "became the layer \"raw\""));
        layers.push(self.add(MatrixName::Layer(RAW.into()), x, shape[0], stored));
        if let Some(matrix) = self.matrices.get_mut(&MatrixName::Layer(RAW.into())) {
            matrix.genes = genes;
        }
        Ok(())
    }

    /// Warns if X is normalised and the raw matrix is not, since most users want the counts.
    pub fn warn_of_raw_counts(
        &mut self,
        main: &MatrixDescription,
        cells: u64,
    ) -> Result<(), SourceError> {
        if self.matrix != MainMatrix::Own || main.entries == Some(0) {
            return Ok(());
        }
        let Some(raw) = &self.raw else { return Ok(()) };
        let (x, raw_var) = (raw.x, raw.var);
        // A raw matrix that cannot be read was not requested, so this is not an error.
        let counts = || -> Result<bool, SourceError> {
            let members = Members::of(self.file, raw_var)?;
            let genes = rows_of(self.file, raw_var, &members.index)?;
            let raw = open(self.file, x, [cells, genes])?;
            raw::holds_counts(|visit| raw.sample(visit))
        };
        let Some(main) = self.matrices.get(&MatrixName::X) else {
            return Ok(());
        };
        if counts().unwrap_or(false) && !raw::holds_counts(|visit| main.stored.sample(visit))? {
            self.warnings
                .push(format!("{x} holds counts and X does not: {}", raw::ADVICE));
        }
        Ok(())
    }
}
