//! Throughput of the indispensable parts of a conversion, each on its own on one thread.
//!
//! ```text
//! roofline inflate FILE [PASSES]          read and inflate the chunks of data and indices, of X in an
//!                                         h5ad file or of the matrix of a 10x H5 file
//! roofline gunzip FILE.gz                 read and inflate a gzip file as a stream
//! roofline encode NNZ narrow|signed [N]   write made-up rows with Lance's file writer, or N of them
//! ```
//!
//! Prints one line of JSON. Wall and CPU times are those of the work alone, without process startup
//! and the generation of rows.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

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

#[path = "measured/clock.rs"]
mod clock;
#[path = "measured/rows.rs"]
mod rows;

use clock::Clock;
use rows::{BATCH_ROWS, Maker, Rows};

/// Same allocator as the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome = Result<Value, Box<dyn Error>>;

/// Number of batches that are generated; they are written repeatedly.
const BATCHES: usize = 8;

const USAGE: &str = "roofline inflate FILE [PASSES] | roofline gunzip FILE.gz | roofline encode NNZ narrow|signed [N]";

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds a flag.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            println!("{}", encode(1 << 25, Kind::Narrow, 1)?);
            println!("{}", encode(1 << 25, Kind::Signed, 1)?);
        }
        ["inflate", file] => println!("{}", inflate(file.as_ref(), 1)?),
        ["inflate", file, passes] => println!("{}", inflate(file.as_ref(), passes.parse()?)?),
        ["gunzip", file] => println!("{}", gunzip(file.as_ref())?),
        ["encode", rows, kind] => println!("{}", encode(rows.parse()?, Kind::named(kind)?, 1)?),
        ["encode", rows, kind, writers] => {
            let outcome = encode(rows.parse()?, Kind::named(kind)?, writers.parse()?)?;
            println!("{outcome}");
        }
        _ => return Err(format!("usage: {USAGE}").into()),
    }
    Ok(())
}

// ---- inflate ----

/// Number of bytes of the file that are read at a time.
#[derive(Clone, Copy)]
struct Stored {
    address: u64,
    size: usize,
    deflated: bool,
}

/// An array of the matrix.
struct Part {
    pieces: Vec<Stored>,
    /// Size of a piece in bytes after decompression.
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
            // The shuffle is not undone, as only inflating is measured.
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

/// Decompresses a gzip file with one member as a stream, in blocks of 256 KiB.
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

/// Column types of `slaf convert --dtypes`.
#[derive(Clone, Copy)]
enum Kind {
    /// uint32, uint16 and uint16, bit-packed.
    Narrow,
    /// int32, int32 and float32, with zstd.
    Signed,
}

impl Kind {
    fn named(name: &str) -> Result<Self, String> {
        match name {
            "narrow" => Ok(Kind::Narrow),
            "signed" => Ok(Kind::Signed),
            _ => Err(format!("usage: {USAGE}")),
        }
    }

    fn schema(self) -> Schema {
        let field = |name: &str, data_type| {
            let mut metadata = HashMap::new();
            if let Kind::Signed = self {
                metadata.insert(COMPRESSION_META_KEY.to_string(), "zstd".to_string());
            }
            // Only cells have long runs; trying run-length encoding elsewhere takes Lance longer
            // than encoding.
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

fn encode(non_zeros: usize, kind: Kind, writers: usize) -> Outcome {
    let schema = Arc::new(kind.schema());
    let mut maker = Maker::new();
    let batches = (0..BATCHES)
        .map(|_| RecordBatch::try_new(schema.clone(), kind.columns(&maker.batch())))
        .collect::<Result<Vec<_>, _>>()?;
    let folder = tempfile::tempdir()?;
    let folder_uri = folder.path().to_str().ok_or("the folder is not UTF-8")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(writers)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let schema = lance_core::datatypes::Schema::try_from(&*schema)?;
        let (store, base) = ObjectStore::from_uri(folder_uri).await?;
        let mut open = Vec::new();
        for number in 0..writers {
            let name = format!("rows-{number}.lance");
            let output = store.create(&base.clone().join(name.as_str())).await?;
            let options = FileWriterOptions::default();
            open.push(v2_1::Writer::try_new(output, schema.clone(), options)?);
        }
        let clock = Clock::start()?;
        let rows = non_zeros.div_ceil(writers);
        let tasks = open.into_iter().map(|mut writer| {
            let batches = batches.clone();
            tokio::spawn(async move {
                let mut left = rows;
                for batch in batches.iter().cycle() {
                    let length = left.min(BATCH_ROWS);
                    if length == 0 {
                        break;
                    }
                    writer.write_batch(&batch.slice(0, length)).await?;
                    left -= length;
                }
                writer.finish().await
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut bytes = 0;
        for task in tasks {
            bytes += task.await??.size_bytes;
        }
        clock.stop(json!({
            "part": "encode",
            "kind": match kind { Kind::Narrow => "narrow", Kind::Signed => "signed" },
            "non_zeros": rows * writers,
            "writers": writers,
            "bytes_out": bytes,
        }))
    })
}
