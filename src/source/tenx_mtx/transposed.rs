//! Transposes matrices whose entries are not sorted by cell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::blocks::{Blocks, Segment};
use super::entries::{Fault, parse};
use super::header::{Field, Symmetry};
use super::matrix::MtxMatrix;
use super::rows::{Coordinates, Counterpart, Negate};
use super::value::Value;
use crate::source::transpose::{Entries, ExternalTranspose, Transposed};
use crate::source::{SourceError, TypedVec};

/// Typical number of bytes of text per entry.
const ENTRY_TEXT: u64 = 8;

impl MtxMatrix {
    /// Transposes the matrix if that has not been done yet.
    pub(super) fn transpose(
        &self,
        report: &(dyn Fn(u64) + Sync),
    ) -> Result<Arc<Transposed>, SourceError> {
        self.transposed.get_or_make(|| self.external(report))
    }

    fn external(&self, report: &(dyn Fn(u64) + Sync)) -> Result<Transposed, SourceError> {
        let external = ExternalTranspose::new(
            self.place.clone(),
            [self.bounds.cells, self.kept.kept(self.bounds.features)],
            self.entries(),
            self.number_type(),
            &self.options,
        )?;
        let (first, blocks) = self.beginning()?;
        let total = Arc::new(AtomicU64::new(0));
        let pieces = Pieces {
            first: Some(first),
            blocks,
            bytes: (external.block_entries().saturating_mul(ENTRY_TEXT)) as usize,
        };
        external.fill(pieces.map(|piece| {
            piece.map(|segments| {
                let total = total.clone();
                move || {
                    let (entries, lines) = self.coordinates(&segments)?;
                    total.fetch_add(lines, Ordering::Relaxed);
                    report(lines);
                    Ok(entries)
                }
            })
        }))?;
        self.check_count(Some(total.load(Ordering::Relaxed)))?;
        Ok(external.finish())
    }

    /// Parses the entries of a text in any order. Also returns the number of their lines.
    pub(super) fn coordinates(&self, segments: &[Segment]) -> Result<(Entries, u64), SourceError> {
        match self.header.field {
            Field::Integer => self.collect(segments, TypedVec::Int64),
            Field::Real => self.collect(segments, TypedVec::Float64),
            Field::Pattern => self.collect(segments, TypedVec::UInt8),
        }
    }

    fn collect<V: Value + Negate>(
        &self,
        segments: &[Segment],
        numbers: impl Fn(Vec<V>) -> TypedVec,
    ) -> Result<(Entries, u64), SourceError> {
        let counterpart = match self.header.symmetry {
            Symmetry::General => Counterpart::None,
            Symmetry::Symmetric => Counterpart::Same,
            Symmetry::Skew => Counterpart::Negative,
        };
        let bytes: usize = segments.iter().map(Segment::bytes).sum();
        let mut found = Coordinates::<V>::new(bytes / ENTRY_TEXT as usize, &self.kept, counterpart);
        let mut count = 0;
        for segment in segments {
            let parsed = parse::<V, _>(segment.text(), self.order, self.bounds, &mut found);
            count += parsed.map_err(|fault| match fault {
                Fault::Line(at, problem) => self.place.line(segment.line_at(at)).damaged(problem),
                Fault::Order => self.place.damaged("a value has no opposite in 64 bits"),
            })?;
        }
        let entries = Entries {
            rows: TypedVec::UInt32(found.cells),
            columns: found.genes,
            values: numbers(found.values),
        };
        Ok((entries, count))
    }
}

/// Groups the blocks of a file into pieces of about `bytes` bytes.
struct Pieces {
    first: Option<Segment>,
    blocks: Blocks,
    bytes: usize,
}

impl Iterator for Pieces {
    type Item = Result<Vec<Segment>, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut bytes = 0;
        while bytes < self.bytes {
            let next = match self.first.take() {
                Some(first) => Ok(Some(first)),
                None => self.blocks.next(),
            };
            match next {
                Ok(Some(segment)) => {
                    bytes += segment.bytes();
                    segments.push(segment);
                }
                Ok(None) => break,
                Err(error) => return Some(Err(error)),
            }
        }
        (!segments.is_empty()).then_some(Ok(segments))
    }
}
