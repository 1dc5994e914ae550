//! The folders of Cell Ranger since version 3: matrix.mtx.gz, barcodes.tsv.gz and features.tsv.gz.
//!
//! Files are written as gzip members one after the other, which are compressed on all threads.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use libdeflater::{CompressionLvl, Compressor};

use super::hdf5::Filters;
use super::tenx::{FeatureColumns, Features, check_line, left_out};
use super::{Encode, FrameBlock, MatrixSink, Outline, Rows, Sink, SinkError, WriteChunk};
use crate::parallel::WorkerFault;
use crate::source::{Axis, MatrixDescription, MatrixName, Note, ScalarType, TypedVec};

/// Bytes of the text of the header, which is written again when the number of entries is known.
const HEADER: usize = 256;

/// Writes a folder of 10x files.
pub struct TenxMtxSink {
    folder: PathBuf,
    name: PathBuf,
    level: CompressionLvl,
    beside: bool,
    shape: [u64; 2],
    columns: FeatureColumns,
    barcodes: Option<GzipFile>,
    features: Option<GzipFile>,
}

/// A file of gzip members.
struct GzipFile {
    file: File,
    name: PathBuf,
    level: CompressionLvl,
}

impl GzipFile {
    fn create(
        folder: &Path,
        named: &Path,
        name: &str,
        level: CompressionLvl,
    ) -> Result<Self, SinkError> {
        let named = named.join(name);
        let file = File::create(folder.join(name));
        Ok(GzipFile {
            file: file.map_err(|error| SinkError::io("create", &named, error))?,
            name: named,
            level,
        })
    }

    /// Writes bytes as a member of its own.
    fn text(&mut self, text: &str) -> Result<(), SinkError> {
        let member = member(text.as_bytes(), self.level, &self.name)?;
        self.write(&member)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| SinkError::io("write", &self.name, error))
    }

    fn sync(&self) -> Result<(), SinkError> {
        let synced = self.file.sync_all();
        synced.map_err(|error| SinkError::io("sync", &self.name, error))
    }
}

/// Bytes as a gzip member; `name` is the file they are for.
fn member(bytes: &[u8], level: CompressionLvl, name: &Path) -> Result<Vec<u8>, SinkError> {
    let mut compressor = Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    // The room is as large as the result can be, so this fails where the compressor is at fault.
    let length = compressor.gzip_compress(bytes, &mut out).map_err(|error| {
        SinkError::by_text(name, "", format!("it cannot be compressed: {error}"))
    })?;
    out.truncate(length);
    Ok(out)
}

impl TenxMtxSink {
    /// Files in `folder`, which is called `name` in messages. `beside` tells whether obs is written
    /// beside them.
    pub fn new(folder: &Path, name: &Path, filters: Filters, beside: bool) -> Self {
        let level = match filters {
            // Their names end in .gz; this makes the fastest of them.
            Filters::None => 1,
            Filters::Gzip(level) => level,
        };
        TenxMtxSink {
            folder: folder.to_path_buf(),
            name: name.to_path_buf(),
            level: CompressionLvl::new(level.into()).unwrap_or_default(),
            beside,
            shape: [0; 2],
            columns: FeatureColumns::default(),
            barcodes: None,
            features: None,
        }
    }

    fn file(&self, name: &str) -> Result<GzipFile, SinkError> {
        GzipFile::create(&self.folder, &self.name, name, self.level)
    }
}

impl Sink for TenxMtxSink {
    fn begin(&mut self, outline: &Outline) -> Result<Vec<Note>, SinkError> {
        let about = &outline.description;
        self.shape = [about.n_obs, about.n_vars];
        self.columns = FeatureColumns::of(&about.var);
        self.barcodes = Some(self.file("barcodes.tsv.gz")?);
        self.features = Some(self.file("features.tsv.gz")?);
        let mut notes = left_out(outline, self.beside);
        if about.var.iter().any(|column| column.name == "genome") {
            notes.push(Note::new(
                "var/genome",
                "lists of features have no room for it",
            ));
        }
        Ok(notes)
    }

    fn rows(&mut self, axis: Axis, block: &FrameBlock) -> Result<(), SinkError> {
        let mut text = String::new();
        let file = match axis {
            Axis::Cells => {
                for name in block.names.iter().flatten() {
                    check_line(&self.name, &[name])?;
                    text.push_str(name);
                    text.push('\n');
                }
                &mut self.barcodes
            }
            Axis::Genes => {
                let mut features = Features::default();
                features.add(block, self.columns, &self.name)?;
                let rows = features
                    .ids
                    .iter()
                    .zip(&features.names)
                    .zip(&features.types);
                for ((id, name), kind) in rows {
                    check_line(&self.name, &[id, name, kind])?;
                    text.push_str(&format!("{id}\t{name}\t{kind}\n"));
                }
                &mut self.features
            }
        };
        match file {
            Some(file) => file.text(&text),
            None => Err(SinkError::Workers(WorkerFault::Died)),
        }
    }

    fn matrix<'a>(
        &'a self,
        matrix: &MatrixDescription,
    ) -> Result<Option<Box<dyn MatrixSink + 'a>>, SinkError> {
        if matrix.name != MatrixName::X {
            return Ok(None);
        }
        let mut file = self.file("matrix.mtx.gz")?;
        let begin = header(self.shape, 0, &file.name)?;
        file.write(&begin)?;
        Ok(Some(Box::new(MtxMatrix {
            name: file.name.clone(),
            shape: self.shape,
            level: self.level,
            written: Mutex::new((file, 0)),
        })))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        for file in [self.barcodes.take(), self.features.take()]
            .into_iter()
            .flatten()
        {
            file.sync()?;
        }
        Ok(())
    }
}

/// The header as a gzip member that is not compressed, and therefore always of one size.
fn header([cells, genes]: [u64; 2], entries: u64, name: &Path) -> Result<Vec<u8>, SinkError> {
    let version = env!("CARGO_PKG_VERSION");
    let begin = format!(
        "%%MatrixMarket matrix coordinate integer general\n%metadata_json: {{\"software_version\": \"slaf {version}\", \"format_version\": 2}}\n%"
    );
    let end = format!("\n{genes} {cells} {entries}\n");
    let room = HEADER.saturating_sub(begin.len() + end.len());
    let text = format!("{begin}{}{end}", " ".repeat(room));
    let stored = CompressionLvl::new(0).unwrap_or_default();
    member(text.as_bytes(), stored, name)
}

/// A matrix that is being written, and how many entries it has.
struct MtxMatrix {
    name: PathBuf,
    shape: [u64; 2],
    level: CompressionLvl,
    written: Mutex<(GzipFile, u64)>,
}

impl MatrixSink for MtxMatrix {
    fn value_type(&self) -> ScalarType {
        ScalarType::Int64
    }

    fn take<'a>(&'a self, rows: Rows) -> Result<Encode<'a>, SinkError> {
        Ok(Box::new(move || {
            let TypedVec::Int64(values) = &rows.data else {
                return Err(SinkError::Workers(WorkerFault::Died));
            };
            let mut text = Vec::with_capacity(rows.indices.len() * 16);
            for (cell, ends) in rows.rows.clone().zip(rows.indptr.windows(2)) {
                for entry in ends[0]..ends[1] {
                    let (gene, value) = (u64::from(rows.indices[entry]) + 1, values[entry]);
                    // Writing to a vector cannot fail.
                    let _ = writeln!(text, "{gene} {} {value}", cell + 1);
                }
            }
            let bytes = member(&text, self.level, &self.name)?;
            let entries = values.len() as u64;
            Ok(Box::new(move || {
                let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
                if entries > 0 {
                    written.0.write(&bytes)?;
                    written.1 += entries;
                }
                Ok(())
            }) as WriteChunk<'a>)
        }))
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        let written = self.written.into_inner();
        let (mut file, entries) = written.unwrap_or_else(PoisonError::into_inner);
        let begin = file.file.seek(SeekFrom::Start(0));
        begin.map_err(|error| SinkError::io("write", &file.name, error))?;
        let begin = header(self.shape, entries, &file.name)?;
        file.write(&begin)?;
        file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_of_one_size() {
        let sizes = [[0, 0], [7, 1_000_000], [u64::MAX, u64::MAX]];
        let sizes = sizes.map(|shape| header(shape, shape[0], Path::new("m")).unwrap().len());
        assert!(sizes.iter().all(|&size| size == sizes[0]), "{sizes:?}");
    }
}
