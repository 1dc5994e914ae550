//! The matrix of a Matrix Market file, read by cells.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blocks::{BLOCK, Blocks, Segment};
use super::entries::{Bounds, Cell, Fault, Sink, parse};
use super::header::{Field, Header, Symmetry};
use super::line_chunker::LineChunker;
use super::rows::Rows;
use super::stream::{Stream, Tally};
use super::value::Value;
use crate::source::error::ErrorContext;
use crate::source::text::TextFile;
use crate::source::transpose::{TransposeOptions, TransposedOnce};
use crate::source::{
    ChunkBudget, Chunks, CsrChunk, Matrix, Reindex, SampledRows, ScalarType, SourceError, TypedVec,
};

/// Number of streams that are kept to continue with the cells that follow.
const MOST_PARKED: usize = 4;

/// A stream, and the cell it is positioned at.
struct Parked {
    cell: u64,
    stream: Stream,
}

/// The matrix of a Matrix Market file.
pub(super) struct MtxMatrix {
    pub(super) file: TextFile,
    pub(super) place: ErrorContext,
    pub(super) header: Header,
    pub(super) order: Cell,
    pub(super) bounds: Bounds,
    pub(super) kept: Arc<Reindex>,
    pub(super) options: TransposeOptions,
    block: usize,
    unsorted: AtomicBool,
    /// The whole file has been checked, and its entries are sorted.
    sorted: AtomicBool,
    parked: Mutex<Vec<Parked>>,
    pub(super) transposed: TransposedOnce,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MtxMatrix {
    /// Creates a matrix from a file whose header is known. `order` says whether its rows or its
    /// columns are cells.
    pub fn new(
        file: TextFile,
        header: Header,
        order: Cell,
        kept: Arc<Reindex>,
        options: TransposeOptions,
    ) -> Result<Self, SourceError> {
        let bounds = match order {
            Cell::First => Bounds {
                cells: header.rows,
                features: header.columns,
            },
            Cell::Second => Bounds {
                cells: header.columns,
                features: header.rows,
            },
        };
        let place = file.place();
        if bounds.features > 1 << 32 {
            return Err(place.unsupported(
                format!("a matrix of {} features", bounds.features),
                "split it: more than 4,294,967,296 have no place in a table",
            ));
        }
        Ok(MtxMatrix {
            file,
            place,
            order,
            bounds,
            kept,
            options,
            block: BLOCK,
            unsorted: AtomicBool::new(header.symmetry != Symmetry::General),
            sorted: AtomicBool::new(false),
            parked: Mutex::default(),
            transposed: TransposedOnce::default(),
            header,
        })
    }

    /// Changes the block size for reading.
    #[cfg(test)]
    pub fn in_blocks_of(self, block: usize) -> Self {
        MtxMatrix { block, ..self }
    }

    /// Type in which the values are read.
    pub fn number_type(&self) -> ScalarType {
        self.header.field.number_type()
    }

    /// Number of cells.
    pub fn cells(&self) -> u64 {
        self.bounds.cells
    }

    /// Returns the context for errors about the matrix.
    pub fn place(&self) -> &ErrorContext {
        &self.place
    }

    /// Memory that reading may use, in bytes, for all threads together.
    pub fn memory(&self) -> u64 {
        self.options.memory
    }

    /// Bytes per entry as read.
    pub fn entry_bytes(&self) -> u64 {
        4 + self.number_type().size() as u64
    }

    /// Number of stored entries: those the header announces, and their mirror images.
    pub fn entries(&self) -> u64 {
        match self.header.symmetry {
            Symmetry::General => self.header.entries,
            _ => self.header.entries.saturating_mul(2),
        }
    }

    /// Checks whether the entries are sorted in the first block, `first`, which follows the header.
    pub fn look(&self, first: &Segment) -> Result<(), SourceError> {
        if self.is_unsorted() {
            return Ok(());
        }
        let cells = 0..self.cells();
        // Checking the order only tracks the last cell, so the full range costs nothing.
        let found = match self.header.field {
            Field::Integer => {
                self.parse_into(first, &mut Ordered::new(&cells) as &mut Ordered<i64>)
            }
            Field::Real => self.parse_into(first, &mut Ordered::new(&cells) as &mut Ordered<f64>),
            Field::Pattern => self.parse_into(first, &mut Ordered::new(&cells) as &mut Ordered<u8>),
        };
        match found {
            Err(SourceError::OrderLost { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn look_through<V: Value>(&self) -> Result<(), SourceError> {
        let (first, mut blocks) = self.beginning()?;
        let mut ordered = Ordered::<V>::new(&(0..self.cells()));
        let mut entries = self.parse_into(&first, &mut ordered)?;
        while let Some(segment) = blocks.next()? {
            entries += self.parse_into(&segment, &mut ordered)?;
        }
        self.check_count(Some(entries))
    }

    /// Treats the entries as unsorted.
    pub fn assume_unsorted(&self) {
        self.noticed(self.place.order_lost());
    }

    /// Whether the entries are known to be in no particular order.
    pub fn is_unsorted(&self) -> bool {
        self.unsorted.load(Ordering::Acquire)
    }

    /// Remembers that the entries are unsorted if the error says so.
    pub fn noticed(&self, error: SourceError) -> SourceError {
        if matches!(error, SourceError::OrderLost { .. }) {
            self.unsorted.store(true, Ordering::Release);
            lock(&self.parked).clear();
        }
        error
    }

    /// Opens the text that follows the header.
    pub(super) fn beginning(&self) -> Result<(Segment, Blocks), SourceError> {
        let (header, first, blocks) = Blocks::open(&self.file, self.block)?;
        if header == self.header {
            Ok((first, blocks))
        } else {
            Err(self.place.damaged("it was changed while it was read"))
        }
    }

    /// Returns a stream positioned at the first entry of a cell: one that is there or before it, or
    /// a new one.
    pub fn stream(&self, cell: u64) -> Result<Stream, SourceError> {
        let parked = {
            let mut parked = lock(&self.parked);
            let nearest = (0..parked.len())
                .filter(|&at| parked[at].cell <= cell)
                .max_by_key(|&at| parked[at].cell);
            nearest.map(|at| parked.swap_remove(at).stream)
        };
        let mut stream = match parked {
            Some(stream) => stream,
            None => {
                let (first, blocks) = self.beginning()?;
                Stream::new(first, blocks, self.order, self.place.clone())
                    .map_err(|error| self.noticed(error))?
            }
        };
        stream.skip_to(cell).map_err(|error| self.noticed(error))?;
        Ok(stream)
    }

    /// Keeps a stream that is positioned at a cell.
    pub fn park(&self, cell: u64, stream: Stream) {
        let mut parked = lock(&self.parked);
        if parked.len() == MOST_PARKED {
            parked.remove(0);
        }
        parked.push(Parked { cell, stream });
    }

    /// Parses text into a sink.
    fn parse_into<V: Value, S: Sink<V>>(
        &self,
        segment: &Segment,
        sink: &mut S,
    ) -> Result<u64, SourceError> {
        let parsed = parse::<V, S>(segment.text(), self.order, self.bounds, sink);
        parsed.map_err(|fault| match fault {
            Fault::Line(at, problem) => self.place.line(segment.line_at(at)).damaged(problem),
            Fault::Order => self.noticed(self.place.order_lost()),
        })
    }

    /// Checks the number of entries once all have been read.
    pub fn check_count(&self, entries: Option<u64>) -> Result<(), SourceError> {
        match entries {
            Some(entries) if entries != self.header.entries => Err(self.place.damaged(format!(
                "its header promises {} entries, but there are {entries}",
                self.header.entries
            ))),
            _ => Ok(()),
        }
    }

    /// Parses the text of a range of cells that has about `entries` entries.
    pub fn read(
        &self,
        cells: Range<u64>,
        segments: &[Segment],
        entries: usize,
        tally: &Tally,
    ) -> Result<CsrChunk, SourceError> {
        match self.header.field {
            Field::Integer => self.rows(cells, segments, entries, tally, TypedVec::Int64),
            Field::Real => self.rows(cells, segments, entries, tally, TypedVec::Float64),
            Field::Pattern => self.rows(cells, segments, entries, tally, TypedVec::UInt8),
        }
    }

    fn rows<V: Value>(
        &self,
        cells: Range<u64>,
        segments: &[Segment],
        entries: usize,
        tally: &Tally,
        numbers: impl Fn(Vec<V>) -> TypedVec,
    ) -> Result<CsrChunk, SourceError> {
        let mut rows = Rows::<V>::new(cells.clone(), entries, &self.kept);
        let mut count = 0;
        for segment in segments {
            count += self.parse_into(segment, &mut rows)?;
        }
        rows.finish();
        self.check_count(tally.done(count))?;
        Ok(CsrChunk {
            rows: cells,
            indptr: rows.indptr,
            indices: TypedVec::UInt32(rows.genes),
            data: numbers(rows.values),
            strays: 0,
        })
    }
}

impl Matrix for MtxMatrix {
    fn n_rows(&self) -> u64 {
        self.cells()
    }

    fn prepare(&self, report: &(dyn Fn(u64) + Sync)) -> Result<(), SourceError> {
        if self.is_unsorted() {
            self.transpose(report)?;
        }
        Ok(())
    }

    /// Reads the whole file, unless it is already known whether its entries are sorted.
    fn check_order(&self) -> Result<(), SourceError> {
        if self.is_unsorted() || self.sorted.load(Ordering::Acquire) {
            return Ok(());
        }
        let looked = match self.header.field {
            Field::Integer => self.look_through::<i64>(),
            Field::Real => self.look_through::<f64>(),
            Field::Pattern => self.look_through::<u8>(),
        };
        match looked {
            Ok(()) => self.sorted.store(true, Ordering::Release),
            Err(SourceError::OrderLost { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Only known after reading the file.
    fn offsets(&self, _: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        Ok(None)
    }

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        super::sample::pieces(&self.file, self.block, &mut |segment| {
            let (entries, _) = self.coordinates(std::slice::from_ref(segment))?;
            visit(&entries.values);
            Ok(())
        })
    }

    fn sample_rows(&self, visit: &mut dyn FnMut(SampledRows<'_>)) -> Result<(), SourceError> {
        super::sample::pieces(&self.file, self.block, &mut |segment| {
            let (entries, _) = self.coordinates(std::slice::from_ref(segment))?;
            visit(SampledRows::Entries {
                rows: &entries.rows,
                values: &entries.values,
            });
            Ok(())
        })
    }

    fn chunks(&self, cells: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        if self.is_unsorted() {
            return Ok(self.transpose(&|_| ())?.chunks(cells, budget));
        }
        Ok(Box::new(LineChunker::new(self, cells, budget)))
    }
}

/// Checks whether entries are sorted.
struct Ordered<V> {
    cell: u64,
    value: std::marker::PhantomData<V>,
}

impl<V> Ordered<V> {
    fn new(cells: &Range<u64>) -> Self {
        Ordered {
            cell: cells.start,
            value: std::marker::PhantomData,
        }
    }
}

impl<V> Sink<V> for Ordered<V> {
    fn add(&mut self, cell: u64, _: u32, _: V) -> bool {
        let sorted = cell >= self.cell;
        self.cell = cell;
        sorted
    }
}
