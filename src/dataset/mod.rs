//! A SLAF dataset on disk: its `config.json`, the checkpoint of a job that is writing it, and a
//! summary of what it holds.

mod checkpoint;
mod config;
mod config_file;
mod error;
mod info;
mod open;

pub use checkpoint::{Checkpoint, ShardRecord, Status};
pub use config::{
    ColumnDtype, ColumnNote, DatasetConfig, ExpressionStats, Metadata, MultiFile, Optimizations,
    SourceFile, SourceNote, ValueNote, Writer, timestamp,
};
pub use config_file::{CONFIG, ConfigFile};
pub use error::DatasetError;
pub use info::{Info, Progress, TableInfo};
pub use open::Dataset;
