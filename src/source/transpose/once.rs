//! A matrix that is transposed when it is first needed.

use std::sync::{Arc, Mutex, PoisonError};

use super::Transposed;
use crate::source::SourceError;

/// A matrix that is transposed when it is first needed.
#[derive(Default)]
pub(crate) struct TransposedOnce(Mutex<Option<Arc<Transposed>>>);

impl TransposedOnce {
    /// Returns the transposed matrix, which `transpose` makes if that has not been done yet.
    pub fn get_or_make(
        &self,
        transpose: impl FnOnce() -> Result<Transposed, SourceError>,
    ) -> Result<Arc<Transposed>, SourceError> {
        // Held while the matrix is transposed, so that others that need it wait.
        let mut transposed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transposed) = &*transposed {
            return Ok(transposed.clone());
        }
        Ok(transposed.insert(Arc::new(transpose()?)).clone())
    }
}
