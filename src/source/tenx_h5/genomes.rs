//! The matrix of a file: a single group, or the groups of several genomes side by side.

use std::ops::Range;
use std::sync::Arc;

use super::layout::Groups;
use crate::remedy::Remedy;
use crate::source::error::ErrorContext;
use crate::source::features::options::GENOME;
use crate::source::hdf5::matrix::CompressedMatrix;
use crate::source::hdf5::{Attribute, Hdf5File, Kind};
use crate::source::row_chunker::{StoredRows, row_chunks};
use crate::source::{
    ChunkBudget, Chunks, CsrChunk, Matrix, Reindex, ScalarType, SourceError, TypedVec,
};
use crate::with_numbers;

/// Budget without limits, to read a range of cells in one chunk.
const WHOLE: ChunkBudget = ChunkBudget {
    bytes: u64::MAX,
    cells: u64::MAX,
};

/// Number of cells whose offsets are read at once.
const BLOCK: u64 = 1 << 14;

/// Bytes per entry while it is read and joined.
const ENTRY_BYTES: u64 = 48;

/// Matrices of the same cells whose features are concatenated.
pub(super) struct GenomesMatrix {
    place: ErrorContext,
    parts: Vec<Part>,
    cells: u64,
    kept: Arc<Reindex>,
}

struct Part {
    matrix: CompressedMatrix,
    /// Position of its first feature among all features.
    first: u64,
    features: u64,
}

impl GenomesMatrix {
    /// Opens the groups, which must have the same number of cells.
    pub fn open(file: &Hdf5File, groups: &Groups) -> Result<Self, SourceError> {
        let mut parts: Vec<Part> = Vec::new();
        let mut first = 0;
        let mut sizes = Vec::new();
        for group in groups.names() {
            let [features, cells] = shape(file, &group, groups)?;
            let matrix = CompressedMatrix::open(file, &group, cells)?;
            parts.push(Part {
                matrix,
                first,
                features,
            });
            first += features;
            sizes.push((group, cells));
        }
        let cells = sizes[0].1;
        if sizes.iter().any(|(_, other)| *other != cells) {
            return Err(different(file, &sizes));
        }
        let types: Vec<ScalarType> = parts.iter().map(|part| part.matrix.number_type()).collect();
        if let Some(other) = types.iter().find(|other| **other != types[0]) {
            let from = sizes.into_iter().map(|(genome, _)| genome).collect();
            return Err(file.place("").unsupported(
                format!(
                    "genomes whose counts are of different types ({}, {other})",
                    types[0]
                ),
                Remedy::Choose {
                    option: GENOME.name,
                    from,
                },
            ));
        }
        Ok(GenomesMatrix {
            place: file.place(&groups.object()),
            parts,
            cells,
            kept: Arc::default(),
        })
    }

    /// Returns the matrix without the features that are not kept.
    pub fn keeping(self, kept: Arc<Reindex>) -> Self {
        GenomesMatrix { kept, ..self }
    }

    /// Number of cells.
    pub fn cells(&self) -> u64 {
        self.cells
    }

    /// Number of features of each genome.
    pub fn features(&self) -> Vec<u64> {
        self.parts.iter().map(|part| part.features).collect()
    }

    /// Stored type of the values.
    pub fn number_type(&self) -> ScalarType {
        self.parts[0].matrix.number_type()
    }

    /// Number of stored entries, for all features.
    pub fn entries(&self) -> u64 {
        self.parts.iter().map(|part| part.matrix.entries()).sum()
    }

    fn all_offsets(&self, cells: Range<u64>) -> Result<Vec<u64>, SourceError> {
        let mut sums = self.parts[0].matrix.offsets(cells.clone())?;
        for part in &self.parts[1..] {
            let offsets = part.matrix.offsets(cells.clone())?;
            sums.iter_mut()
                .zip(offsets)
                .for_each(|(sum, offset)| *sum += offset);
        }
        Ok(sums)
    }

    /// Reads cells of all genomes; within a cell, the entries of the genomes follow each other.
    fn read_joined(&self, cells: Range<u64>) -> Result<CsrChunk, SourceError> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let chunk = part.matrix.chunks(cells.clone(), WHOLE).next();
            let chunk =
                chunk.ok_or_else(|| self.place.damaged("it has fewer cells than it says"))?;
            let shift = Reindex::shifted(part.first, part.features)
                .ok_or_else(|| self.place.damaged("it has more features than fit 32 bits"))?;
            let moved = shift.apply(chunk?.read()?);
            parts.push(
                moved.map_err(|outside| {
                    self.place.damaged(outside.among("features of its genome"))
                })?,
            );
        }
        let mut indptr = vec![0];
        let mut entries = 0;
        let mut rows = Vec::new();
        for cell in 0..(cells.end - cells.start) as usize {
            for (number, chunk) in parts.iter().enumerate() {
                let row = chunk.indptr[cell]..chunk.indptr[cell + 1];
                entries += row.len();
                rows.push((number, row));
            }
            indptr.push(entries);
        }
        let joined = |number_type: ScalarType, of: fn(&CsrChunk) -> &TypedVec| {
            let mut joined = TypedVec::zeroed(number_type, entries)
                .ok_or_else(|| self.place.damaged("a chunk is larger than the memory"))?;
            let mut out = joined.as_bytes_mut();
            for (number, row) in &rows {
                let bytes: &[u8] = with_numbers!(of(&parts[*number]), v => {
                    bytemuck::cast_slice(&v[row.clone()])
                });
                let (here, after) = out.split_at_mut(bytes.len());
                here.copy_from_slice(bytes);
                out = after;
            }
            Ok(joined)
        };
        Ok(CsrChunk {
            rows: cells,
            indptr,
            indices: joined(ScalarType::UInt32, |chunk| &chunk.indices)?,
            data: joined(self.number_type(), |chunk| &chunk.data)?,
            strays: 0,
        })
    }
}

impl StoredRows for &GenomesMatrix {
    fn entry_bytes(self) -> u64 {
        ENTRY_BYTES
    }

    fn step(self) -> u64 {
        BLOCK
    }

    fn offsets(self, rows: Range<u64>) -> Result<Vec<u64>, SourceError> {
        self.all_offsets(rows)
    }

    fn read(self, rows: Range<u64>, _: &[u64]) -> Result<CsrChunk, SourceError> {
        self.read_joined(rows)
    }
}

impl Matrix for GenomesMatrix {
    fn n_rows(&self) -> u64 {
        self.cells
    }

    fn offsets(&self, cells: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        if !self.kept.is_identity() {
            return Ok(None);
        }
        self.all_offsets(cells).map(Some)
    }

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        for part in &self.parts {
            if self.kept.is_identity() {
                part.matrix.sample(visit)?;
            } else {
                part.matrix.sample_entries(&mut |features, values| {
                    visit(&self.kept.kept_values(features, values));
                })?;
            }
        }
        Ok(())
    }

    fn chunks(&self, cells: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        let chunks = match &self.parts[..] {
            [part] => part.matrix.chunks(cells, budget),
            _ => {
                let cells_at_once = budget.cells.min(BLOCK);
                let budget = ChunkBudget {
                    cells: cells_at_once,
                    ..budget
                };
                row_chunks(self, cells, budget)
            }
        };
        Ok(self.kept.over(chunks, &self.place, "features"))
    }
}

/// Error for genomes that do not have the same cells.
pub(super) fn different(file: &Hdf5File, sizes: &[(String, u64)]) -> SourceError {
    let listed: Vec<String> = sizes
        .iter()
        .map(|(genome, cells)| format!("{genome} ({cells} cells)"))
        .collect();
    file.place("").unsupported(
        format!(
            "several genomes with different cells, {},",
            listed.join(" and ")
        ),
        Remedy::Choose {
            option: GENOME.name,
            from: Vec::new(),
        },
    )
}

/// Returns the number of features and of cells of a group: its shape or, if that is missing, the
/// lengths of its lists.
fn shape(file: &Hdf5File, group: &str, groups: &Groups) -> Result<[u64; 2], SourceError> {
    let object = format!("{group}/shape");
    if file.kind(&object)? == Kind::Dataset {
        let place = file.place(&object);
        // Writers in R store them as floats.
        let sides = Attribute::Number(file.flat_numbers(&object)?).integers();
        let sides = sides.ok_or_else(|| place.damaged("it is not of whole numbers"))?;
        return match sides[..] {
            [features, cells] if features >= 0 && cells >= 0 => Ok([features as u64, cells as u64]),
            _ => Err(place.damaged(format!("{sides:?} is no shape of features × barcodes"))),
        };
    }
    let pointers = file.numbers(&format!("{group}/indptr"))?.rows();
    let Some(cells) = pointers.checked_sub(1) else {
        return Err(file.place(group).damaged("indptr is empty"));
    };
    let lists = match groups {
        Groups::Matrix => ["features/id", "features/name"],
        Groups::Genomes(_) => ["genes", "gene_names"],
    };
    for list in lists {
        let object = format!("{group}/{list}");
        if file.kind(&object)? == Kind::Dataset
            && let [features] = file.array(&object)?.shape[..]
        {
            return Ok([features, cells]);
        }
    }
    Err(file.place(group).unsupported(
        "a matrix with neither a shape nor a list of features",
        "give a matrix that Cell Ranger wrote",
    ))
}
