//! SLAF datasets on disk: `config.json`, the folder of a job that is writing to a dataset, and a
//! summary of its contents.

mod adopted_entries;
mod adopted_frames;
mod adoption;
mod as_source;
mod base;
mod base_columns;
mod category_list;
mod cell_hashes;
mod cell_ids;
mod changes;
mod checkpoint;
mod column_tally;
mod compared;
mod config;
mod config_file;
mod config_memory;
mod content_digest;
mod error;
mod gene_identities;
mod hash_file;
mod identifiers;
mod info;
mod job_folder;
mod job_summary;
mod job_validation;
mod open;
mod order;
mod python_json;
mod recorded_sums;
mod recount;
mod recounted;
mod redescribed;
mod scales;
mod tally;
mod uns;

pub use adoption::Adoption;
pub(crate) use as_source::{numbers_of, open as open_as_source};
pub use category_list::CategoryList;
pub use cell_hashes::{CELL_HASHES, CellHashes, ContentHashes};
pub(crate) use cell_hashes::{
    CellHashWriter, IdHasher, contents_file, hash_of_file, id_hashes, remove_unnamed_hashes,
    unnamed_hashes,
};
pub(crate) use cell_ids::CellIds;
pub use changes::{AddedColumn, Changes, Known, TableChange};
pub use checkpoint::{
    Checkpoint, CountsFile, FrameRecord, MatrixRecord, PartRecord, ShardRecord, Status,
};
pub use config::{
    ColumnDtype, ColumnNote, DatasetConfig, ExpressionStats, Keys, LayerNote, Metadata, MultiFile,
    Optimizations, SourceFile, SourceNote, ValueNote, Writer, matrix_key, timestamp,
};
pub use config_file::{CONFIG, ConfigFile, UNS};
pub use config_memory::ConfigUse;
pub use content_digest::content_digest;
pub use error::DatasetError;
pub(crate) use gene_identities::{gene_hashes, gene_identities};
pub(crate) use hash_file::{HashFile, HashFileWriter, read_hashes};
pub use info::{Info, Progress, TableInfo};
pub use job_folder::JobState;
pub(crate) use job_folder::{JOB_FOLDER, JobFolder};
pub use job_summary::JobSummary;
pub use job_validation::BrokenJob;
pub use open::Dataset;
pub(crate) use order::RowOrder;
pub(crate) use recounted::Starts;
pub use recounted::{Recounted, RecountedRange, UNNAMED};
pub(crate) use tally::value_columns;
pub(crate) use uns::uns_keys;
pub use uns::{UnsChange, UnsKeys};
