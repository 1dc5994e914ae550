//! 10x Genomics' HDF5 files, as Cell Ranger writes them since version 3: a group `matrix` with
//! features × barcodes by column, which is cells × genes by row.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use super::h5ad::{CompressedMatrix, Parts};
use super::hdf5::{ArrayOptions, Element, Filters, Group, Hdf5Writer, Headers};
use super::tenx::{FeatureColumns, Features, left_out};
use super::{FrameBlock, MatrixSink, Outline, Sink, SinkError};
use crate::parallel::WorkerFault;
use crate::source::{Axis, MatrixDescription, MatrixName, Note, ScalarType, SourceError, TypedVec};

/// Names that are written at a time.
const BLOCK: usize = 1 << 14;

/// Writes a 10x HDF5 file.
pub struct TenxH5Sink {
    path: PathBuf,
    name: PathBuf,
    filters: Filters,
    scratch: PathBuf,
    beside: bool,
    file: Option<Hdf5Writer>,
    columns: FeatureColumns,
    features: Features,
    barcodes: Option<Barcodes>,
}

/// Names of cells, kept in a temporary file until the longest is known.
struct Barcodes {
    file: BufWriter<File>,
    count: u64,
    longest: usize,
    is_ascii: bool,
}

impl TenxH5Sink {
    /// A file at `path`, which is called `name` in messages. `beside` tells whether obs is written
    /// beside it, and `scratch` is a folder for a temporary file.
    pub fn new(path: &Path, name: &Path, filters: Filters, scratch: &Path, beside: bool) -> Self {
        TenxH5Sink {
            path: path.to_path_buf(),
            name: name.to_path_buf(),
            filters,
            scratch: scratch.to_path_buf(),
            beside,
            file: None,
            columns: FeatureColumns::default(),
            features: Features::default(),
            barcodes: None,
        }
    }

    fn group(&self) -> Result<Group, SinkError> {
        match &self.file {
            Some(file) => file.root()?.open("matrix"),
            None => Err(SinkError::Workers(WorkerFault::Died)),
        }
    }

    fn scratch_error(&self, source: std::io::Error) -> SinkError {
        let path = self.scratch.clone();
        SourceError::Scratch { path, source }.into()
    }

    /// Writes texts as arrays of fixed length, which is how scanpy expects them.
    fn texts<'a>(
        &self,
        group: &Group,
        name: &str,
        texts: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), SinkError> {
        let longest = texts.clone().map(str::len).max().unwrap_or(0).max(1);
        let ascii = texts.clone().all(str::is_ascii);
        let array = group.array(name, fixed(longest, ascii, self.filters))?;
        let mut bytes = Vec::new();
        for text in texts {
            bytes.extend_from_slice(text.as_bytes());
            bytes.resize(bytes.len() + longest - text.len(), 0);
        }
        array.push_bytes(&bytes)?;
        array.finish().map(|_| ())
    }

    fn write_barcodes(&self, group: &Group, barcodes: Barcodes) -> Result<(), SinkError> {
        let longest = barcodes.longest.max(1);
        let array = group.array("barcodes", fixed(longest, barcodes.is_ascii, self.filters))?;
        let file = barcodes
            .file
            .into_inner()
            .map_err(|error| error.into_error());
        let mut file = file.map_err(|error| self.scratch_error(error))?;
        file.rewind().map_err(|error| self.scratch_error(error))?;
        let mut lines = BufReader::new(file).split(0);
        loop {
            let mut bytes = Vec::new();
            for line in lines.by_ref().take(BLOCK) {
                let line = line.map_err(|error| self.scratch_error(error))?;
                bytes.extend_from_slice(&line);
                bytes.resize(bytes.len() + longest - line.len(), 0);
            }
            if bytes.is_empty() {
                break;
            }
            array.push_bytes(&bytes)?;
        }
        let written = array.finish()?;
        debug_assert_eq!(written, barcodes.count);
        Ok(())
    }
}

fn fixed(bytes: usize, ascii: bool, filters: Filters) -> ArrayOptions {
    ArrayOptions {
        element: Element::Fixed { bytes, ascii },
        width: None,
        filters,
        kind: ["", ""],
    }
}

impl Sink for TenxH5Sink {
    fn begin(&mut self, outline: &Outline) -> Result<Vec<Note>, SinkError> {
        let about = &outline.description;
        let file = Hdf5Writer::create(&self.path, &self.name, Headers::Oldest)?;
        let root = file.root()?;
        root.text("filetype", "matrix")?;
        root.text(
            "software_version",
            concat!("slaf ", env!("CARGO_PKG_VERSION")),
        )?;
        let version = &mut TypedVec::Int64(vec![2]);
        root.numbers("version", &[], version)?;
        let group = root.group("matrix")?;
        let shape = [about.n_vars, about.n_obs].map(u64::cast_signed);
        group.whole(
            "shape",
            &[2],
            &mut TypedVec::Int64(shape.to_vec()),
            ["", ""],
        )?;
        self.file = Some(file);
        self.columns = FeatureColumns::of(&about.var);
        let scratch = tempfile::tempfile_in(&self.scratch);
        self.barcodes = Some(Barcodes {
            file: BufWriter::new(scratch.map_err(|error| self.scratch_error(error))?),
            count: 0,
            longest: 0,
            is_ascii: true,
        });
        Ok(left_out(outline, self.beside))
    }

    fn rows(&mut self, axis: Axis, block: &FrameBlock) -> Result<(), SinkError> {
        if axis == Axis::Genes {
            return self.features.add(block, self.columns, &self.name);
        }
        let Some(barcodes) = &mut self.barcodes else {
            return Err(SinkError::Workers(WorkerFault::Died));
        };
        let mut written = Ok(());
        for name in block.names.iter().flatten() {
            if name.contains('\0') {
                let what = format!("the name {name:?} has a NUL, which texts in HDF5 cannot have");
                return Err(SinkError::unsupported(&self.name, what, "rename the cell"));
            }
            barcodes.longest = barcodes.longest.max(name.len());
            barcodes.is_ascii &= name.is_ascii();
            barcodes.count += 1;
            let file = &mut barcodes.file;
            written = written.and_then(|()| file.write_all(name.as_bytes()));
            written = written.and_then(|()| file.write_all(&[0]));
        }
        written.map_err(|error| self.scratch_error(error))
    }

    fn matrix<'a>(
        &'a self,
        matrix: &MatrixDescription,
    ) -> Result<Option<Box<dyn MatrixSink + 'a>>, SinkError> {
        if matrix.name != MatrixName::X {
            return Ok(None);
        }
        // Signed, as Cell Ranger has them.
        let parts = Parts {
            data: ScalarType::Int32,
            indices: ScalarType::Int64,
            indptr: ScalarType::Int64,
        };
        let matrix = CompressedMatrix::create(&self.group()?, parts, self.filters)?;
        Ok(Some(Box::new(matrix)))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let group = self.group()?;
        if let Some(barcodes) = self.barcodes.take() {
            self.write_barcodes(&group, barcodes)?;
        }
        let features = group.group("features")?;
        for (name, texts) in [
            ("id", &self.features.ids),
            ("name", &self.features.names),
            ("feature_type", &self.features.types),
            ("genome", &self.features.genomes),
        ] {
            self.texts(&features, name, texts.iter().map(String::as_str))?;
        }
        self.texts(&features, "_all_tag_keys", std::iter::once("genome"))?;
        drop((group, features));
        match self.file.take() {
            Some(file) => file.close(),
            None => Ok(()),
        }
    }
}
