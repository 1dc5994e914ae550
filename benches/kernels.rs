//! Steps that every non-zero passes through, each on its own.
//!
//! ```text
//! kernels [FILTER]         how fast each is
//! kernels NAME ROUNDS      one of them, so often; for callgrind, see instructions.py
//! kernels --list           their names
//! ```

use std::error::Error;
use std::hint::black_box;
use std::path::Path;

use divan::counter::ItemsCount;
use slaf::chunk::{CooBatch, CooSpec, IdHash, LayersBatch};
use slaf::plan::IdType;
use slaf::source::{self, ChunkBudget, CsrChunk, MatrixName, OpenOptions, Reindex, TypedVec};
use slaf::survey::ValueType;

#[path = "measured/rows.rs"]
mod rows;

use rows::Maker;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Does its work once and returns the number of entries processed.
type Kernel = Box<dyn Fn() -> Outcome<usize>>;

fn main() -> Outcome<()> {
    // Cargo adds a flag.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--list"] => names().for_each(|name| println!("{name}")),
        [wanted, rounds] => {
            let kernel = named(wanted)?;
            let mut entries = 0;
            for _ in 0..rounds.parse()? {
                entries += measured(&kernel)?;
            }
            println!("{entries}");
        }
        _ => divan::main(),
    }
    Ok(())
}

/// Measures the throughput of a kernel in entries.
#[divan::bench(args = names(), sample_count = 15, sample_size = 1)]
fn kernels(bencher: divan::Bencher<'_, '_>, name: &str) {
    let kernel = named(name).expect("a kernel that can be made");
    let entries = kernel().expect("a kernel that works");
    bencher
        .counter(ItemsCount::new(entries))
        .bench_local(|| measured(&kernel).expect("a kernel that works"));
}

fn names() -> impl Iterator<Item = &'static str> {
    all().into_iter().map(|(name, _)| name)
}

fn named(wanted: &str) -> Outcome<Kernel> {
    let mut kernels = all().into_iter();
    let found = kernels.find(|(name, _)| *name == wanted);
    let (_, make) = found.ok_or_else(|| format!("there is no {wanted}"))?;
    make()
}

/// The function whose instructions callgrind counts.
#[inline(never)]
fn measured(kernel: &Kernel) -> Outcome<usize> {
    black_box(kernel())
}

fn all() -> Vec<(&'static str, fn() -> Outcome<Kernel>)> {
    vec![
        ("float32-to-uint16", || {
            expand(
                ValueType::UInt16,
                IdType::UInt16,
                Order::Sorted,
                Genes::Same,
            )
        }),
        ("float32-to-float32", || {
            expand(
                ValueType::Float32,
                IdType::Int32,
                Order::Sorted,
                Genes::Same,
            )
        }),
        ("moved-genes", || {
            expand(
                ValueType::UInt16,
                IdType::UInt16,
                Order::Sorted,
                Genes::Moved,
            )
        }),
        ("unsorted", || {
            expand(
                ValueType::UInt16,
                IdType::UInt16,
                Order::Reversed,
                Genes::Same,
            )
        }),
        ("unite-layers", unite),
        ("read-gzip", || read("demo.h5ad")),
    ]
}

enum Order {
    Sorted,
    Reversed,
}

enum Genes {
    Same,
    /// The dataset has one more gene, before all others.
    Moved,
}

/// Makes cells with generated counts, in the types that anndata stores.
fn chunk(order: &Order) -> CsrChunk {
    let rows = Maker::new().batch();
    let mut indptr = vec![0];
    indptr.extend((1..rows.cells.len()).filter(|&row| rows.cells[row] != rows.cells[row - 1]));
    indptr.push(rows.cells.len());
    let mut genes: Vec<i32> = rows.genes.iter().map(|&gene| i32::from(gene)).collect();
    let mut values: Vec<f32> = rows.values.iter().map(|&value| f32::from(value)).collect();
    if let Order::Reversed = order {
        for row in indptr.windows(2) {
            genes[row[0]..row[1]].reverse();
            values[row[0]..row[1]].reverse();
        }
    }
    CsrChunk {
        rows: 0..indptr.len() as u64 - 1,
        indptr,
        indices: TypedVec::Int32(genes),
        data: TypedVec::Float32(values),
        strays: 0,
    }
}

fn hashes(count: usize) -> Vec<IdHash> {
    (0..count).map(|id| IdHash::of(&id.to_string())).collect()
}

fn spec<'a>(columns: &'a Reindex, gene_hashes: &'a [IdHash]) -> CooSpec<'a> {
    CooSpec {
        path: "made.h5ad".into(),
        matrix: "X".into(),
        first_cell: 0,
        genes: rows::GENES as u64,
        columns,
        dataset_genes: gene_hashes.len() as u64,
        cell_type: IdType::UInt32,
        gene_type: IdType::UInt16,
        value_type: ValueType::UInt16,
        gene_hashes: gene_hashes.into(),
        identities: None,
    }
}

fn expand(value_type: ValueType, gene_type: IdType, order: Order, genes: Genes) -> Outcome<Kernel> {
    let chunk = chunk(&order);
    let cells = hashes(chunk.indptr.len() - 1);
    let (columns, gene_hashes) = match genes {
        Genes::Same => (Reindex::Identity, hashes(rows::GENES)),
        Genes::Moved => (
            Reindex::Moved((1..=u32::try_from(rows::GENES)?).collect()),
            hashes(rows::GENES + 1),
        ),
    };
    Ok(Box::new(move || {
        let spec = CooSpec {
            gene_type,
            value_type,
            ..spec(&columns, &gene_hashes)
        };
        Ok(CooBatch::new(&chunk, &cells, &spec)?.rows())
    }))
}

/// Unites two layers, the second of which lacks every other entry.
fn unite() -> Outcome<Kernel> {
    let whole = chunk(&Order::Sorted);
    let (TypedVec::Int32(genes), TypedVec::Float32(values)) = (&whole.indices, &whole.data) else {
        return Err("the chunk has other types".into());
    };
    let half = CsrChunk {
        rows: whole.rows.clone(),
        indptr: whole.indptr.iter().map(|end| end.div_ceil(2)).collect(),
        indices: TypedVec::Int32(genes.iter().copied().step_by(2).collect()),
        data: TypedVec::Float32(values.iter().copied().step_by(2).collect()),
        strays: 0,
    };
    let gene_hashes = hashes(rows::GENES);
    let cells = hashes(whole.indptr.len() - 1);
    let spec = spec(&Reindex::Identity, &gene_hashes);
    let layers = [
        CooBatch::new(&whole, &cells, &spec)?,
        CooBatch::new(&half, &cells, &spec)?,
    ];
    Ok(Box::new(move || {
        let layers = layers.iter().map(|layer| vec![layer.clone()]).collect();
        let types = [ValueType::UInt16; 2];
        let united = LayersBatch::unite(layers, IdType::UInt16, IdType::UInt32, &types)?;
        Ok(united.gene_ids.len())
    }))
}

/// Reads a matrix of a fixture from the file to chunks.
fn read(name: &str) -> Outcome<Kernel> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/h5ad")
        .join(name);
    let source = source::open(&path, &OpenOptions::default())?;
    let budget = ChunkBudget {
        bytes: 1 << 20,
        cells: u64::MAX,
    };
    Ok(Box::new(move || {
        let cells = source.description().n_obs;
        let mut entries = 0;
        for chunk in source.matrix(&MatrixName::X)?.chunks(0..cells, budget)? {
            entries += chunk?.read()?.data.len();
        }
        Ok(entries)
    }))
}
