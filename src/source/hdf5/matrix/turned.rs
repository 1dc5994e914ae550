//! Compressed sparse columns, read as rows.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::CompressedMatrix;
use crate::source::turn::{TurnOptions, Turned, Turner};
use crate::source::{ChunkBudget, Chunks, NumberType, Numbers, SampledRows, SourceError};

/// A matrix that lies column after column. It is turned as a whole when its first rows are wanted.
pub(crate) struct TurnedMatrix {
    columns: CompressedMatrix,
    shape: [u64; 2],
    options: TurnOptions,
    turned: Mutex<Option<Arc<Turned>>>,
}

impl TurnedMatrix {
    /// A matrix of `shape`, rows × columns, whose columns are compressed.
    pub fn new(columns: CompressedMatrix, shape: [u64; 2], options: TurnOptions) -> Self {
        TurnedMatrix {
            columns,
            shape,
            options,
            turned: Mutex::new(None),
        }
    }

    pub fn number_type(&self) -> NumberType {
        self.columns.number_type()
    }

    pub fn entries(&self) -> u64 {
        self.columns.entries()
    }

    /// Shows values from the whole length of the matrix.
    pub fn sample(&self, visit: &mut dyn FnMut(&Numbers)) -> Result<(), SourceError> {
        self.columns.sample(visit)
    }

    /// Shows entries from the whole length of the matrix with their rows.
    pub fn sample_entries(
        &self,
        visit: &mut dyn FnMut(SampledRows<'_>),
    ) -> Result<(), SourceError> {
        self.columns.sample_entries(&mut |rows, values| {
            visit(SampledRows::Entries {
                rows,
                values: &values,
            });
        })
    }

    /// Turns the matrix, if that was not done yet.
    pub fn turn(&self, report: &(dyn Fn(u64) + Sync)) -> Result<Arc<Turned>, SourceError> {
        // Held while the matrix is turned: who else wants it must wait.
        let mut turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turned) = &*turned {
            return Ok(turned.clone());
        }
        let turner = Turner::new(
            self.columns.place().clone(),
            self.shape,
            self.columns.entries(),
            self.columns.number_type(),
            &self.options,
        )?;
        let pieces = self.columns.pieces(turner.block_entries());
        turner.fill(pieces.map(|piece| {
            piece.map(|piece| {
                move || {
                    report(piece.entries());
                    self.columns.read_piece(&piece)
                }
            })
        }))?;
        Ok(turned.insert(Arc::new(turner.finish())).clone())
    }

    /// Chunks of rows; see [`crate::source::CellSource::chunks`].
    pub fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        Ok(self.turn(&|_| ())?.chunks(rows, budget))
    }
}
