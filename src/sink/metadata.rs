//! obs and embeddings as tables of text, beside formats that have no room for them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::csv::{Writer, WriterBuilder};
use arrow::datatypes::{DataType, Field, Schema};

use super::{FrameBlock, Outline, SinkError};
use crate::parallel::WorkerFault;
use crate::with_numbers;

/// Tables that are being written: `metadata.tsv`, and one for each embedding of cells.
pub struct MetadataFiles {
    obs: (Writer<BufWriter<File>>, PathBuf),
    embeddings: Vec<(BufWriter<File>, PathBuf)>,
}

impl MetadataFiles {
    /// The names of the files.
    pub fn names(outline: &Outline) -> Vec<String> {
        let obsm = outline.description.obsm.iter();
        // A name is no path.
        let embeddings = obsm.map(|e| format!("{}.tsv", e.name.replace(['/', '\0'], "_")));
        std::iter::once("metadata.tsv".to_string())
            .chain(embeddings)
            .collect()
    }

    /// Begins files at these paths, for the names of [`MetadataFiles::names`].
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn create(outline: &Outline, paths: &[PathBuf]) -> Result<Self, SinkError> {
        let create = |path: &Path| -> Result<BufWriter<File>, SinkError> {
            let file = File::create(path).map_err(|error| SinkError::io("create", path, error))?;
            Ok(BufWriter::with_capacity(1 << 16, file))
        };
        let Some((first, others)) = paths.split_first() else {
            return Err(SinkError::Workers(WorkerFault::Died));
        };
        let builder = WriterBuilder::new().with_delimiter(b'\t').with_header(true);
        let mut embeddings = Vec::new();
        for (path, embedding) in others.iter().zip(&outline.description.obsm) {
            let mut file = create(path)?;
            let columns = match &embedding.columns {
                Some(names) => names.clone(),
                None => {
                    let numbers = 1..=embedding.width;
                    let name = embedding.name.trim_start_matches("X_").to_uppercase();
                    numbers.map(|number| format!("{name}_{number}")).collect()
                }
            };
            let line = format!("cell_id\t{}\n", columns.join("\t"));
            let written = file.write_all(line.as_bytes());
            written.map_err(|error| SinkError::io("write", path, error))?;
            embeddings.push((file, path.clone()));
        }
        Ok(MetadataFiles {
            obs: (builder.build(create(first)?), first.clone()),
            embeddings,
        })
    }

    /// Writes the next cells.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn push(&mut self, block: &FrameBlock) -> Result<(), SinkError> {
        let name = Field::new("cell_id", DataType::Utf8, false);
        let schema = block.columns.schema();
        let fields = schema.fields().iter().map(|field| (**field).clone());
        let schema = Schema::new(std::iter::once(name).chain(fields).collect::<Vec<_>>());
        let names: ArrayRef = Arc::new(block.names.clone());
        let columns = std::iter::once(names).chain(block.columns.columns().iter().cloned());
        let (writer, path) = &mut self.obs;
        let odd = |error: arrow::error::ArrowError| match error {
            arrow::error::ArrowError::IoError(_, source) => SinkError::io("write", path, source),
            // The writer wraps errors of the system in those of its own.
            other => SinkError::by_text(path, "", other.to_string()),
        };
        let batch = RecordBatch::try_new(Arc::new(schema), columns.collect()).map_err(odd)?;
        writer.write(&batch).map_err(odd)?;
        for ((file, path), numbers) in self.embeddings.iter_mut().zip(&block.embeddings) {
            let width = numbers.len() / block.names.len().max(1);
            let mut text = String::new();
            with_numbers!(numbers, values => {
                for (row, values) in values.chunks(width.max(1)).enumerate() {
                    text.push_str(block.names.value(row));
                    for value in values {
                        text.push('\t');
                        text.push_str(&value.to_string());
                    }
                    text.push('\n');
                }
            });
            let written = file.write_all(text.as_bytes());
            written.map_err(|error| SinkError::io("write", path, error))?;
        }
        Ok(())
    }

    /// Ends the files.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn finish(self) -> Result<(), SinkError> {
        let (writer, path) = self.obs;
        let obs = (writer.into_inner(), path);
        for (file, path) in std::iter::once(obs).chain(self.embeddings) {
            let file = file.into_inner().map_err(|error| error.into_error());
            file.and_then(|file| file.sync_all())
                .map_err(|error| SinkError::io("write", &path, error))?;
        }
        Ok(())
    }
}
