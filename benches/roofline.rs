//! How fast the parts of a conversion are that nobody can leave out, each alone on one thread.
//!
//! ```text
//! roofline inflate FILE [PASSES]          read and inflate the chunks of data and indices, of X in an
//!                                         h5ad file or of the matrix of a 10x H5 file
//! roofline gunzip FILE.gz                 read and inflate a gzip file as a stream
//! roofline encode NNZ narrow|signed       write made-up rows with Lance's file writer
//! ```
//!
//! Prints one line of JSON. Time and processor seconds are those of the work alone, without the
//! start of the process and the making of rows.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch, UInt16Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use hdf5_metno::filters::Filter;
use lance_encoding::constants::{COMPRESSION_META_KEY, RLE_THRESHOLD_META_KEY};
use lance_file::versions::v2_1;
use lance_file::writer::FileWriterOptions;
use lance_io::object_store::ObjectStore;
use libdeflater::Decompressor;
use serde_json::{Value, json};
use zlib_rs::{Inflate, InflateFlush, Status};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome = Result<Value, Box<dyn Error>>;

/// Rows of a batch, as the expression table is written.
const BATCH_ROWS: usize = 1 << 18;

/// Batches that are made; they are written again and again.
const BATCHES: usize = 8;

const GENES: usize = 20_000;
const GENES_OF_A_CELL: usize = 1_600;

const USAGE: &str =
    "roofline inflate FILE [PASSES] | roofline gunzip FILE.gz | roofline encode NNZ narrow|signed";

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            println!("{}", encode(1 << 25, Kind::Narrow)?);
            println!("{}", encode(1 << 25, Kind::Signed)?);
        }
        ["inflate", file] => println!("{}", inflate(file.as_ref(), 1)?),
        ["inflate", file, passes] => println!("{}", inflate(file.as_ref(), passes.parse()?)?),
        ["gunzip", file] => println!("{}", gunzip(file.as_ref())?),
        ["encode", rows, "narrow"] => println!("{}", encode(rows.parse()?, Kind::Narrow)?),
        ["encode", rows, "signed"] => println!("{}", encode(rows.parse()?, Kind::Signed)?),
        _ => return Err(format!("usage: {USAGE}").into()),
    }
    Ok(())
}

// ---- inflate ----

/// Bytes of the file that are read at once.
#[derive(Clone, Copy)]
struct Stored {
    address: u64,
    size: usize,
    deflated: bool,
}

/// An array of the matrix.
struct Part {
    pieces: Vec<Stored>,
    /// Bytes of a piece once it is inflated.
    inflated: usize,
}

impl Part {
    fn of(dataset: &hdf5_metno::Dataset) -> Result<Self, Box<dyn Error>> {
        const CONTIGUOUS_PIECE: usize = 1 << 16;
        let element = dataset.dtype()?.size();
        let mut pieces = Vec::new();
        let Some(chunk) = dataset.chunk() else {
            let start = dataset.offset().ok_or("the array was never written")?;
            let bytes = dataset.size() * element;
            for at in (0..bytes).step_by(CONTIGUOUS_PIECE) {
                pieces.push(Stored {
                    address: start + at as u64,
                    size: CONTIGUOUS_PIECE.min(bytes - at),
                    deflated: false,
                });
            }
            return Ok(Part {
                pieces,
                inflated: CONTIGUOUS_PIECE,
            });
        };
        let filtered = match dataset.filters()[..] {
            [] => false,
            // What is shuffled is left so: this is about inflating.
            [Filter::Deflate(_)] | [Filter::Shuffle, Filter::Deflate(_)] => true,
            ref other => return Err(format!("{other:?} is not deflate alone").into()),
        };
        dataset.chunks_visit(|chunk| {
            pieces.push(Stored {
                address: chunk.addr,
                size: chunk.size as usize,
                deflated: filtered && chunk.filter_mask == 0,
            });
            0
        })?;
        pieces.sort_unstable_by_key(|piece| piece.address);
        Ok(Part {
            pieces,
            inflated: chunk.iter().product::<usize>() * element,
        })
    }
}

fn inflate(path: &Path, passes: u32) -> Outcome {
    let container = hdf5_metno::File::open(path)?;
    let group = if container.link_exists("X") {
        "X"
    } else {
        "matrix"
    };
    let (data, indices) = (
        container.dataset(&format!("{group}/data"))?,
        container.dataset(&format!("{group}/indices"))?,
    );
    let non_zeros = data.size();
    let parts = [Part::of(&indices)?, Part::of(&data)?];
    drop((data, indices, container));
    let file = File::open(path)?;
    let mut inflater = Decompressor::new();
    let (mut stored, mut inflated) = (Vec::new(), Vec::new());
    let (mut bytes_in, mut bytes_out) = (0, 0);
    let clock = Clock::start()?;
    for _ in 0..passes {
        for part in &parts {
            inflated.resize(part.inflated, 0);
            for piece in &part.pieces {
                if piece.deflated {
                    stored.resize(piece.size, 0);
                    file.read_exact_at(&mut stored, piece.address)?;
                    bytes_out += inflater.zlib_decompress(&stored, &mut inflated)?;
                } else {
                    file.read_exact_at(&mut inflated[..piece.size], piece.address)?;
                    bytes_out += piece.size;
                }
                bytes_in += piece.size;
            }
        }
    }
    clock.stop(json!({
        "part": "inflate",
        "non_zeros": non_zeros * passes as usize,
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
    }))
}

/// Inflates a gzip file of one member as a stream, in blocks of 256 KiB.
fn gunzip(path: &Path) -> Outcome {
    let mut file = File::open(path)?;
    let (mut stored, mut inflated) = (vec![0u8; 128 << 10], vec![0u8; 256 << 10]);
    let mut inflater = Inflate::new(true, 16 + 15);
    let (mut start, mut end) = (0, 0);
    let clock = Clock::start()?;
    loop {
        if start == end {
            (start, end) = (0, file.read(&mut stored)?);
        }
        let before = inflater.total_in();
        let status = inflater
            .decompress(&stored[start..end], &mut inflated, InflateFlush::NoFlush)
            .map_err(|error| error.as_str())?;
        start += usize::try_from(inflater.total_in() - before)?;
        match status {
            Status::StreamEnd => break,
            Status::BufError if end == 0 => return Err("the file was cut short".into()),
            _ => {}
        }
    }
    clock.stop(json!({
        "part": "gunzip",
        "bytes_in": inflater.total_in(),
        "bytes_out": inflater.total_out(),
    }))
}

// ---- encode ----

/// The column types that `slaf convert --dtypes` knows.
#[derive(Clone, Copy)]
enum Kind {
    /// uint32, uint16, uint16, bit-packed.
    Narrow,
    /// int32, int32, float32, with zstd.
    Signed,
}

impl Kind {
    fn schema(self) -> Schema {
        let field = |name: &str, data_type| {
            let mut metadata = HashMap::new();
            if let Kind::Signed = self {
                metadata.insert(COMPRESSION_META_KEY.to_string(), "zstd".to_string());
            }
            // Only cells come in runs; to look for them elsewhere takes Lance longer than to encode.
            if name != "cell_integer_id" {
                metadata.insert(RLE_THRESHOLD_META_KEY.to_string(), "0.05".to_string());
            }
            Field::new(name, data_type, true).with_metadata(metadata)
        };
        let [cell, gene, value] = match self {
            Kind::Narrow => [DataType::UInt32, DataType::UInt16, DataType::UInt16],
            Kind::Signed => [DataType::Int32, DataType::Int32, DataType::Float32],
        };
        Schema::new(vec![
            field("cell_integer_id", cell),
            field("gene_integer_id", gene),
            field("value", value),
        ])
    }

    fn columns(self, rows: &Rows) -> Vec<ArrayRef> {
        let Rows {
            cells,
            genes,
            values,
        } = rows;
        match self {
            Kind::Narrow => vec![
                Arc::new(UInt32Array::from(cells.clone())),
                Arc::new(UInt16Array::from(genes.clone())),
                Arc::new(UInt16Array::from(values.clone())),
            ],
            Kind::Signed => vec![
                Arc::new(cells.iter().map(|&x| x as i32).collect::<Int32Array>()),
                Arc::new(genes.iter().map(|&x| i32::from(x)).collect::<Int32Array>()),
                Arc::new(
                    values
                        .iter()
                        .map(|&x| f32::from(x))
                        .collect::<Float32Array>(),
                ),
            ],
        }
    }
}

#[derive(Default)]
struct Rows {
    cells: Vec<u32>,
    genes: Vec<u16>,
    values: Vec<u16>,
}

/// Makes rows that look like counts: few genes of each cell, most of them counted once or twice,
/// and some much more often.
struct Maker {
    random: u64,
    /// How often a gene is counted where it is counted at all, on average.
    means: Vec<f64>,
    cell: u32,
    gene: usize,
}

impl Maker {
    fn new() -> Self {
        let mut maker = Maker {
            random: 0x9e37_79b9_7f4a_7c15,
            means: Vec::new(),
            // In the middle of a dataset: as many bits as most of its cells have.
            cell: 10_000,
            gene: 0,
        };
        maker.means = (0..GENES)
            .map(|_| {
                let normal = (0..12).map(|_| maker.uniform()).sum::<f64>() - 6.0;
                1.0 + 0.25 * (1.7 * normal).exp()
            })
            .collect();
        maker
    }

    /// Between 0 and 1, by Marsaglia's xorshift.
    fn uniform(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// At least 1, with this mean.
    fn geometric(&mut self, mean: f64) -> usize {
        1 + (self.uniform().ln() / (-1.0 / mean).ln_1p()) as usize
    }

    fn batch(&mut self) -> Rows {
        let mut rows = Rows::default();
        while rows.cells.len() < BATCH_ROWS {
            self.gene += self.geometric(GENES as f64 / GENES_OF_A_CELL as f64);
            if self.gene > GENES {
                self.gene = 0;
                self.cell += 1;
                continue;
            }
            let gene = self.gene - 1;
            let value = self.geometric(self.means[gene]);
            rows.cells.push(self.cell);
            rows.genes.push(gene as u16);
            rows.values.push(value.min(usize::from(u16::MAX)) as u16);
        }
        rows
    }
}

fn encode(non_zeros: usize, kind: Kind) -> Outcome {
    let schema = Arc::new(kind.schema());
    let mut maker = Maker::new();
    let batches = (0..BATCHES)
        .map(|_| RecordBatch::try_new(schema.clone(), kind.columns(&maker.batch())))
        .collect::<Result<Vec<_>, _>>()?;
    let folder = tempfile::tempdir()?;
    let folder_uri = folder.path().to_str().ok_or("the folder is not UTF-8")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let schema = lance_core::datatypes::Schema::try_from(&*schema)?;
        let (store, base) = ObjectStore::from_uri(folder_uri).await?;
        let output = store.create(&base.join("rows.lance")).await?;
        let mut writer = v2_1::Writer::try_new(output, schema, FileWriterOptions::default())?;
        let clock = Clock::start()?;
        let mut left = non_zeros;
        for batch in batches.iter().cycle() {
            let rows = left.min(BATCH_ROWS);
            if rows == 0 {
                break;
            }
            writer.write_batch(&batch.slice(0, rows)).await?;
            left -= rows;
        }
        let bytes = writer.finish().await?.size_bytes;
        clock.stop(json!({
            "part": "encode",
            "kind": match kind { Kind::Narrow => "narrow", Kind::Signed => "signed" },
            "non_zeros": non_zeros,
            "bytes_out": bytes,
        }))
    })
}

// ---- measuring ----

/// What Linux tells about this process.
struct Clock {
    started: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Result<Self, Box<dyn Error>> {
        Ok(Clock {
            cpu: cpu_seconds()?,
            started: Instant::now(),
        })
    }

    /// The outcome with what it took.
    fn stop(self, mut outcome: Value) -> Outcome {
        outcome["wall_s"] = self.started.elapsed().as_secs_f64().into();
        outcome["cpu_s"] = (cpu_seconds()? - self.cpu).into();
        outcome["peak_rss"] = peak_rss()?.into();
        Ok(outcome)
    }
}

/// User and system seconds of all threads, in steps of a hundredth.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    // Linux shows these times in hundredths on every processor it runs on.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the name in brackets, which may hold spaces; the times are 14 and 15.
    let (_, fields) = stat.rsplit_once(") ").ok_or("odd /proc/self/stat")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    let mut next = || times.next().ok_or("short /proc/self/stat");
    Ok((next()?? + next()??) / TICKS)
}

/// Bytes.
fn peak_rss() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("no VmHWM")?.trim().parse::<u64>()? * 1024)
}
