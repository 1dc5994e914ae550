//! Cost of each encoding of a column: size, write time and read time, one column at a time.
//!
//! `encodings [ROWS]` prints a Markdown table. Times are CPU seconds.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float32Array, Int32Array, RecordBatch, UInt16Array, UInt32Array,
};
use arrow::datatypes::{Field, Schema};
use futures::StreamExt;
use lance_core::cache::LanceCache;
use lance_encoding::decoder::{DecoderPlugins, FilterExpression};
use lance_file::reader::{FileReader, FileReaderOptions};
use lance_file::versions::v2_1;
use lance_file::writer::FileWriterOptions;
use lance_io::ReadBatchParams;
use lance_io::object_store::ObjectStore;
use lance_io::scheduler::{ScanScheduler, SchedulerConfig};
use lance_io::utils::CachedFileSize;
use serde_json::{Value, json};

#[path = "measured/clock.rs"]
mod clock;
#[path = "measured/rows.rs"]
mod rows;

use clock::Clock;
use rows::{BATCH_ROWS, Maker, Rows};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Number of batches that are generated; they are written repeatedly.
const BATCHES: usize = 8;

/// Number of rows of a batch when reading.
const READ_ROWS: u32 = 1 << 16;

/// Field metadata, without the prefix "lance-encoding:".
type Options = &'static [(&'static str, &'static str)];

const ZSTD: Options = &[("compression", "zstd"), ("rle-threshold", "0.05")];
const ZSTD_1: Options = &[
    ("compression", "zstd"),
    ("compression-level", "1"),
    ("rle-threshold", "0.05"),
];
const ZSTD_FAST: Options = &[
    ("compression", "zstd"),
    ("compression-level", "-3"),
    ("rle-threshold", "0.05"),
];
const ZSTD_WHOLE: Options = &[
    ("compression", "zstd"),
    ("bss", "off"),
    ("rle-threshold", "0.05"),
];
const ZSTD_SPLIT: Options = &[
    ("compression", "zstd"),
    ("bss", "on"),
    ("rle-threshold", "0.05"),
];
const ZSTD_SPLIT_1: Options = &[
    ("compression", "zstd"),
    ("compression-level", "1"),
    ("bss", "on"),
    ("rle-threshold", "0.05"),
];
const LZ4: Options = &[("compression", "lz4"), ("rle-threshold", "0.05")];
const RAW: Options = &[("compression", "none")];
const RUNS: Options = &[("bss", "off")];
const RUNS_ZSTD: Options = &[("compression", "zstd"), ("bss", "off")];
const RAREST: Options = &[("rle-threshold", "0.05")];
const RARE: Options = &[("rle-threshold", "0.25")];
const SMALL_BLOCKS: Options = &[("rle-threshold", "0.05"), ("minichunk-size", "1024")];

fn main() -> Outcome<()> {
    // Cargo adds a flag.
    let rows = std::env::args().skip(1).find(|word| word != "--bench");
    let rows: usize = rows.map_or(Ok(1 << 24), |rows| rows.parse())?;
    let mut maker = Maker::new();
    let made: Vec<Rows> = (0..BATCHES).map(|_| maker.batch()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    println!(
        "| column | encoding | bytes a value | M values written / CPU s | M values read / CPU s |"
    );
    println!("|---|---|---:|---:|---:|");
    for column in Column::ALL {
        let arrays: Vec<ArrayRef> = made.iter().map(|rows| column.array(rows)).collect();
        for (name, options) in column.encodings() {
            let measured = runtime.block_on(measure(&arrays, options, rows))?;
            let [bytes, written, read] = measured;
            println!(
                "| {} | {name} | {bytes:.3} | {written:.0} | {read:.0} |",
                column.name()
            );
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Column {
    CellUnsigned,
    CellSigned,
    GeneNarrow,
    GeneSigned,
    CountNarrow,
    CountFloat,
    LogFloat,
}

impl Column {
    const ALL: [Column; 7] = [
        Column::CellUnsigned,
        Column::CellSigned,
        Column::GeneNarrow,
        Column::GeneSigned,
        Column::CountNarrow,
        Column::CountFloat,
        Column::LogFloat,
    ];

    fn name(self) -> &'static str {
        match self {
            Column::CellUnsigned => "cell, uint32",
            Column::CellSigned => "cell, int32",
            Column::GeneNarrow => "gene, uint16",
            Column::GeneSigned => "gene, int32",
            Column::CountNarrow => "count, uint16",
            Column::CountFloat => "count, float32",
            Column::LogFloat => "log-normalised, float32",
        }
    }

    fn array(self, rows: &Rows) -> ArrayRef {
        let Rows {
            cells,
            genes,
            values,
        } = rows;
        // Cells with total counts of 2,000 to 6,000, scaled to 10,000.
        let scaled = |(&cell, &value): (&u32, &u16)| {
            let total = 2_000 + cell.wrapping_mul(2_654_435_761) % 4_000;
            (f64::from(value) * 1e4 / f64::from(total)).ln_1p() as f32
        };
        match self {
            Column::CellUnsigned => Arc::new(UInt32Array::from(cells.clone())),
            Column::CellSigned => Arc::new(cells.iter().map(|&x| x as i32).collect::<Int32Array>()),
            Column::GeneNarrow => Arc::new(UInt16Array::from(genes.clone())),
            Column::GeneSigned => {
                Arc::new(genes.iter().map(|&x| i32::from(x)).collect::<Int32Array>())
            }
            Column::CountNarrow => Arc::new(UInt16Array::from(values.clone())),
            Column::CountFloat => Arc::new(
                values
                    .iter()
                    .map(|&x| f32::from(x))
                    .collect::<Float32Array>(),
            ),
            Column::LogFloat => Arc::new(
                cells
                    .iter()
                    .zip(values)
                    .map(scaled)
                    .collect::<Float32Array>(),
            ),
        }
    }

    fn encodings(self) -> &'static [(&'static str, Options)] {
        match self {
            Column::CellUnsigned => &[
                ("plain", RAW),
                ("runs", RUNS),
                ("bit-packed", &[("rle-threshold", "0")]),
                ("runs, zstd", RUNS_ZSTD),
            ],
            Column::CellSigned => &[
                ("plain", RAW),
                ("runs", RUNS),
                ("runs, zstd", RUNS_ZSTD),
                ("zstd, split if Lance thinks so", ZSTD),
                ("lz4", LZ4),
            ],
            Column::GeneNarrow | Column::CountNarrow => &[
                ("plain", RAW),
                ("by default (runs looked for)", &[]),
                ("bit-packed, runs below 0.25", RARE),
                ("bit-packed, runs below 0.05", RAREST),
                ("bit-packed, smaller blocks", SMALL_BLOCKS),
                ("zstd", ZSTD),
                ("lz4", LZ4),
            ],
            Column::GeneSigned | Column::CountFloat | Column::LogFloat => &[
                ("plain", RAW),
                ("by default (runs looked for)", &[]),
                ("bit-packed, runs below 0.05", RAREST),
                ("zstd, split if Lance thinks so", ZSTD),
                ("zstd 1, split if Lance thinks so", ZSTD_1),
                ("zstd -3, split if Lance thinks so", ZSTD_FAST),
                ("zstd, whole", ZSTD_WHOLE),
                ("zstd, split", ZSTD_SPLIT),
                ("zstd 1, split", ZSTD_SPLIT_1),
                ("lz4, split if Lance thinks so", LZ4),
            ],
        }
    }
}

/// Bytes per value, and millions of values written and read per second.
async fn measure(arrays: &[ArrayRef], options: Options, rows: usize) -> Outcome<[f64; 3]> {
    let metadata: HashMap<String, String> = options
        .iter()
        .map(|(key, value)| (format!("lance-encoding:{key}"), value.to_string()))
        .collect();
    let field = Field::new("column", arrays[0].data_type().clone(), true).with_metadata(metadata);
    let schema = Arc::new(Schema::new(vec![field]));
    let folder = tempfile::tempdir()?;
    let uri = folder.path().to_str().ok_or("the folder is not UTF-8")?;
    let (store, base) = ObjectStore::from_uri(uri).await?;
    let path = base.join("column.lance");
    let output = store.create(&path).await?;
    let lance_schema = lance_core::datatypes::Schema::try_from(&*schema)?;
    let mut writer = v2_1::Writer::try_new(output, lance_schema, FileWriterOptions::default())?;
    let seconds = |outcome: &Value| outcome["cpu_s"].as_f64().unwrap_or(0.0).max(1e-3);

    let clock = Clock::start()?;
    let mut left = rows;
    for array in arrays.iter().cycle() {
        let length = left.min(BATCH_ROWS).min(array.len());
        if length == 0 {
            break;
        }
        let batch = RecordBatch::try_new(schema.clone(), vec![array.slice(0, length)])?;
        writer.write_batch(&batch).await?;
        left -= length;
    }
    let bytes = writer.finish().await?.size_bytes;
    let written = seconds(&clock.stop(json!({}))?);

    let scheduler = ScanScheduler::new(store.clone(), SchedulerConfig::max_bandwidth(&store));
    let file = scheduler
        .open_file(&path, &CachedFileSize::unknown())
        .await?;
    let clock = Clock::start()?;
    let reader = FileReader::try_open(
        file,
        None,
        Arc::<DecoderPlugins>::default(),
        &LanceCache::no_cache(),
        FileReaderOptions::default(),
    )
    .await?;
    let everything = ReadBatchParams::RangeFull;
    let no_filter = FilterExpression::no_filter();
    let mut stream = reader
        .read_stream(everything, READ_ROWS, 2, no_filter)
        .await?;
    let mut found = 0;
    while let Some(batch) = stream.next().await {
        found += batch?.num_rows();
    }
    let read = seconds(&clock.stop(json!({}))?);
    if found != rows {
        return Err(format!("{found} of {rows} rows were read").into());
    }
    let rate = |seconds| rows as f64 / 1e6 / seconds;
    Ok([bytes as f64 / rows as f64, rate(written), rate(read)])
}
