//! Takes everything from a source to a sink.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::rows::Of;
use super::{FrameBlock, MatrixSink, Outline, Rows, Sink, SinkError};
use crate::chunk::{Digest, IdHash};
use crate::parallel::{OrderedWork, Steps};
use crate::progress::{Event, Progress};
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::transpose::{Entries, ExternalTranspose, TransposeOptions};
use crate::source::{
    Axis, CellSource, ChunkBudget, Chunks, ErrorContext, MatrixDescription, MatrixName, Note,
    SourceError, TypedVec,
};

/// Memory that the program takes apart from chunks.
const BASE: u64 = 160 << 20;
/// Bytes of a chunk, as readers count them.
const LARGEST_CHUNK: u64 = 12 << 20;
const SMALLEST_CHUNK: u64 = 256 << 10;

/// What an export may use.
#[derive(Debug, Clone)]
pub struct Resources {
    /// Memory, in bytes.
    pub memory: u64,
    /// Number of threads.
    pub threads: usize,
    /// Rows of a chunk, at most.
    pub chunk_cells: u64,
    /// Folder for temporary files.
    pub scratch: PathBuf,
}

/// Which of its sides a matrix of cells × genes is stored by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MatrixLayout {
    /// Compressed sparse rows, cell by cell.
    #[default]
    Csr,
    /// Compressed sparse columns, gene by gene.
    Csc,
}

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Non-zeros of X.
    pub nonzeros: u64,
    /// The digest of X, as that of a dataset made from the output.
    pub digest: Digest,
    /// What was not written, or not as it was.
    pub notes: Vec<Note>,
}

/// Genes that are read once for several outputs.
#[derive(Debug, Clone, Default)]
pub struct Genes {
    blocks: Vec<FrameBlock>,
    hashes: Vec<IdHash>,
}

impl Genes {
    /// Reads var and varm.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read(source: &dyn CellSource, outline: &Outline) -> Result<Self, SinkError> {
        let mut genes = Genes::default();
        frame(source, outline, Axis::Genes, &mut |block| {
            genes.hashes.extend(IdHash::of_all(&block.names));
            genes.blocks.push(block.clone());
            Ok(())
        })?;
        Ok(genes)
    }
}

/// Which part of a source is written.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// All of it.
    Everything,
    /// All of it; its genes are known already.
    WithGenes(&'a Genes),
    /// What belongs to genes alone: var, varm, varp, and uns.
    OfGenes(&'a Genes),
    /// The rest.
    OfCells(&'a Genes),
}

impl Scope<'_> {
    /// Whether what belongs to genes alone is written.
    pub fn has_genes(self) -> bool {
        !matches!(self, Scope::OfCells(_))
    }

    /// Whether what belongs to cells is written.
    pub fn has_cells(self) -> bool {
        !matches!(self, Scope::OfGenes(_))
    }
}

/// Writes a source to a sink.
///
/// # Errors
/// If the source cannot be read, or the sink cannot hold or write it.
pub fn write(
    source: &dyn CellSource,
    sink: &mut dyn Sink,
    outline: &Outline,
    scope: Scope<'_>,
    resources: &Resources,
    progress: &dyn Progress,
) -> Result<Written, SinkError> {
    let mut written = Written {
        notes: sink.begin(outline)?,
        ..Written::default()
    };
    let mut read = Vec::new();
    let genes: &[IdHash] = match scope {
        Scope::Everything => {
            frame(source, outline, Axis::Genes, &mut |block| {
                read.extend(IdHash::of_all(&block.names));
                sink.rows(Axis::Genes, block)
            })?;
            &read
        }
        Scope::WithGenes(genes) | Scope::OfGenes(genes) => {
            for block in &genes.blocks {
                sink.rows(Axis::Genes, block)?;
            }
            &genes.hashes
        }
        Scope::OfCells(genes) => &genes.hashes,
    };
    if scope.has_cells() {
        frame(source, outline, Axis::Cells, &mut |block| {
            sink.rows(Axis::Cells, block)
        })?;
    }
    let drive = Drive {
        source,
        outline,
        resources,
        progress,
        genes,
    };
    for matrix in outline.description.matrices() {
        let of_genes = matches!(matrix.name, MatrixName::Varp(_));
        let is_wanted = if of_genes {
            scope.has_genes()
        } else {
            scope.has_cells()
        };
        if !matrix.is_readable() || !is_wanted {
            continue;
        }
        let Some(to) = sink.matrix(matrix)? else {
            continue;
        };
        let (nonzeros, digest) = drive.matrix(matrix, &*to)?;
        to.finish()?;
        if matrix.name == MatrixName::X {
            (written.nonzeros, written.digest) = (nonzeros, digest);
        }
    }
    if outline.description.uns && scope.has_genes() {
        let uns = source.uns()?;
        written.notes.extend(uns.converted.clone());
        written.notes.extend(uns.left_out.clone());
        written.notes.extend(sink.uns(&uns)?);
    }
    sink.finish()?;
    Ok(written)
}

/// Reads obs and obsm, or var and varm, block by block.
pub(super) fn frame(
    source: &dyn CellSource,
    outline: &Outline,
    axis: Axis,
    take: &mut dyn FnMut(&FrameBlock) -> Result<(), SinkError>,
) -> Result<(), SinkError> {
    let about = &outline.description;
    let (rows, columns, embeddings) = match axis {
        Axis::Cells => (about.n_obs, &about.obs, &about.obsm),
        Axis::Genes => (about.n_vars, &about.var, &about.varm),
    };
    let width = embeddings.iter().map(|e| e.width).sum::<u64>();
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    let mut blocks = RowBlocks::new(0..rows, columns.len().saturating_add(width));
    let read = |rows: std::ops::Range<u64>| -> Result<FrameBlock, SourceError> {
        let numbers = embeddings
            .iter()
            .map(|e| source.embedding(axis, &e.name, rows.clone()));
        Ok(FrameBlock {
            names: match axis {
                Axis::Cells => source.obs_names(rows.clone())?,
                Axis::Genes => source.var_names(rows.clone())?,
            },
            columns: match axis {
                Axis::Cells => source.obs(rows.clone())?,
                Axis::Genes => source.var(rows.clone())?,
            },
            embeddings: numbers.collect::<Result<_, _>>()?,
            rows,
        })
    };
    let mut some = false;
    while let Some((_, block)) = blocks.read(read)? {
        let numbers = block.embeddings.iter();
        let numbers = numbers.map(|n| (n.len() * n.number_type().size()) as u64);
        let names = block.names.values().len() as u64;
        blocks.held(bytes_of(block.columns.columns()) + numbers.sum::<u64>() + names);
        take(&block)?;
        some = true;
    }
    if !some {
        // What kinds of columns there are is known by none of their rows, too.
        take(&read(0..0)?)?;
    }
    Ok(())
}

struct Drive<'a> {
    source: &'a dyn CellSource,
    outline: &'a Outline,
    resources: &'a Resources,
    progress: &'a dyn Progress,
    genes: &'a [IdHash],
}

impl Drive<'_> {
    /// The chunks of a matrix, with one more in memory than there are threads, so that none idles while
    /// another waits for its turn.
    fn work(&self) -> OrderedWork {
        OrderedWork::new("slaf-export", self.resources.threads).window(self.workers())
    }

    fn workers(&self) -> usize {
        match self.resources.threads {
            0 | 1 => 1,
            threads => threads + 1,
        }
    }

    fn budget(&self) -> ChunkBudget {
        let share = self.resources.memory.saturating_sub(BASE) / (self.workers() as u64 * 3);
        ChunkBudget {
            bytes: share.clamp(SMALLEST_CHUNK, LARGEST_CHUNK),
            cells: self.resources.chunk_cells.clamp(1, 1 << 20),
        }
    }

    /// Writes a matrix. Returns the number of its non-zeros, and its digest if it is X.
    fn matrix(
        &self,
        about: &MatrixDescription,
        to: &dyn MatrixSink,
    ) -> Result<(u64, Digest), SinkError> {
        let matrix = self.source.matrix(&about.name)?;
        let name = about.name.to_string();
        matrix.prepare(&|entries| {
            self.progress.report(Event::Transposed {
                matrix: &name,
                entries,
            });
        })?;
        matrix.check_order()?;
        let [rows, columns] = self.outline.shape(&about.name);
        let path = &self.outline.description.path;
        let of = |columns| Of {
            path,
            matrix: &about.object,
            columns,
        };
        let of_cells = matches!(about.name, MatrixName::X | MatrixName::Layer(_));
        if of_cells && self.outline.layout == super::MatrixLayout::Csc {
            let digest = Mutex::new(Digest::default());
            let transposed =
                self.transposed(about, matrix.chunks(0..rows, self.budget())?, &|chunk| {
                    let mut rows = Rows::of(chunk, of(columns))?;
                    let part = self.named(about, &mut rows)?;
                    digest
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(part);
                    Ok(rows)
                })?;
            let chunks = transposed.chunks(0..columns, self.budget());
            let count = self
                .chunks(chunks, of(rows), to, &|_| Ok(Digest::default()))?
                .0;
            let digest = digest.into_inner().unwrap_or_else(PoisonError::into_inner);
            return Ok((count, digest));
        }
        let chunks = matrix.chunks(0..rows, self.budget())?;
        self.chunks(chunks, of(columns), to, &|rows| self.named(about, rows))
    }

    /// Adds the names of the cells of rows of X, and returns their digest.
    fn named(&self, about: &MatrixDescription, rows: &mut Rows) -> Result<Digest, SinkError> {
        if about.name != MatrixName::X {
            return Ok(Digest::default());
        }
        let cells = self.source.obs_names(rows.rows.clone())?;
        let digest = rows.digest(&IdHash::of_all(&cells), self.genes);
        rows.names = Some(cells);
        Ok(digest)
    }

    fn chunks<'s>(
        &self,
        chunks: Chunks<'_>,
        of: Of<'_>,
        to: &'s dyn MatrixSink,
        digest: &(dyn Fn(&mut Rows) -> Result<Digest, SinkError> + Sync),
    ) -> Result<(u64, Digest), SinkError> {
        let all = Mutex::new(Digest::default());
        let count = AtomicU64::new(0);
        let steps = Steps {
            work: |pending: crate::source::PendingChunk<'_>| {
                let mut rows = Rows::of(pending.read()?, of)?;
                let part = digest(&mut rows)?;
                all.lock().unwrap_or_else(PoisonError::into_inner).add(part);
                rows.with_values(to.value_type(), of)
            },
            place: |rows: Rows| {
                let entries = rows.indices.len() as u64;
                Ok((entries, to.take(rows)?))
            },
            finish: |(entries, encode): (u64, super::Encode<'s>)| Ok((entries, encode()?)),
            take: |(entries, write): (u64, super::WriteChunk<'s>)| {
                write()?;
                count.fetch_add(entries, Ordering::Relaxed);
                self.progress.report(Event::Exported { entries });
                Ok(())
            },
        };
        let chunks = chunks.map(|chunk| chunk.map_err(SinkError::from));
        self.work().run_steps(chunks, steps)?;
        let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((count.into_inner(), all))
    }

    /// Transposes a matrix of cells × genes by way of a temporary file.
    fn transposed(
        &self,
        about: &MatrixDescription,
        chunks: Chunks<'_>,
        read: &(dyn Fn(crate::source::CsrChunk) -> Result<Rows, SinkError> + Sync),
    ) -> Result<Arc<crate::source::transpose::Transposed>, SinkError> {
        let [cells, genes] = self.outline.shape(&about.name);
        let path = &self.outline.description.path;
        let value_type = self.outline.value_type(about);
        let external = ExternalTranspose::new(
            ErrorContext::new(path, about.object.clone()),
            [genes, cells],
            about
                .entries
                .unwrap_or_else(|| cells.saturating_mul(genes) / 16),
            value_type,
            &TransposeOptions {
                memory: self.resources.memory.saturating_sub(BASE),
                threads: self.workers(),
                scratch: self.resources.scratch.clone(),
            },
        )?;
        let number = AtomicU64::new(0);
        let steps = Steps {
            work: |pending: crate::source::PendingChunk<'_>| {
                let of = Of {
                    path,
                    matrix: &about.object,
                    columns: genes,
                };
                read(pending.read()?)?.with_values(value_type, of)
            },
            place: |rows: Rows| Ok((number.fetch_add(1, Ordering::Relaxed), rows)),
            finish: |(number, rows): (u64, Rows)| {
                let entries = rows.indices.len() as u64;
                let mut columns = Vec::with_capacity(rows.indices.len());
                for (cell, ends) in rows.rows.clone().zip(rows.indptr.windows(2)) {
                    // The transpose has refused sides beyond 32 bits.
                    let cell = u32::try_from(cell).map_err(|_| {
                        ErrorContext::new(path, about.object.clone())
                            .damaged(format!("it has a row {cell}"))
                    })?;
                    columns.resize(columns.len() + ends[1] - ends[0], cell);
                }
                let laid = Entries {
                    rows: TypedVec::UInt32(rows.indices),
                    columns,
                    values: rows.data,
                };
                external.lay(number, &laid)?;
                Ok(entries)
            },
            take: |entries: u64| {
                let matrix = &about.object;
                self.progress.report(Event::Transposed { matrix, entries });
                Ok(())
            },
        };
        let chunks = chunks.map(|chunk| chunk.map_err(SinkError::from));
        self.work().run_steps(chunks, steps)?;
        Ok(Arc::new(external.finish()))
    }
}
