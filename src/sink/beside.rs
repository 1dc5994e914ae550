//! A sink, and tables of obs and obsm beside it.

use super::{FrameBlock, MatrixSink, MetadataFiles, Outline, Sink, SinkError};
use std::path::PathBuf;

use crate::source::{Axis, MatrixDescription, Note, Uns};

/// Writes to a sink, and obs and obsm to files beside it.
pub struct WithMetadata<S> {
    sink: S,
    paths: Vec<PathBuf>,
    files: Option<MetadataFiles>,
}

impl<S: Sink> WithMetadata<S> {
    /// Files at `paths`, for the names of [`MetadataFiles::names`]; none if there are no paths.
    pub fn new(sink: S, paths: Vec<PathBuf>) -> Self {
        WithMetadata {
            sink,
            paths,
            files: None,
        }
    }
}

impl<S: Sink> Sink for WithMetadata<S> {
    fn begin(&mut self, outline: &Outline) -> Result<Vec<Note>, SinkError> {
        if !self.paths.is_empty() {
            self.files = Some(MetadataFiles::create(outline, &self.paths)?);
        }
        self.sink.begin(outline)
    }

    fn rows(&mut self, axis: Axis, block: &FrameBlock) -> Result<(), SinkError> {
        if axis == Axis::Cells
            && let Some(files) = &mut self.files
        {
            files.push(block)?;
        }
        self.sink.rows(axis, block)
    }

    fn matrix<'a>(
        &'a self,
        matrix: &MatrixDescription,
    ) -> Result<Option<Box<dyn MatrixSink + 'a>>, SinkError> {
        self.sink.matrix(matrix)
    }

    fn uns(&mut self, uns: &Uns) -> Result<Vec<Note>, SinkError> {
        self.sink.uns(uns)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        if let Some(files) = self.files.take() {
            files.finish()?;
        }
        self.sink.finish()
    }
}
