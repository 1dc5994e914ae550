//! How a job is run.

use super::output_dir::{OverwritePolicy, ResumePolicy};
use super::shards::affordable_threads;
use crate::store::LockPolicy;

/// Options of how a job is run. None of them affects the dataset.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Total number of threads; fewer are used if memory is insufficient.
    pub threads: usize,
    /// Number of bytes of memory that the job may use.
    pub memory: u64,
    /// Maximum number of cells of a chunk.
    pub chunk_cells: u64,
    /// What to do about an existing complete dataset.
    pub existing: OverwritePolicy,
    /// What to do about the unfinished work of an earlier run.
    pub earlier: ResumePolicy,
    /// What to do while another process is using the output.
    pub wait: LockPolicy,
}

impl Default for RunOptions {
    /// 512 MiB and as many threads as that suffices for. Existing output is not replaced, an
    /// earlier run is resumed, and other processes are not waited for.
    fn default() -> Self {
        let memory = 512 << 20;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        RunOptions {
            threads: affordable_threads(threads, memory),
            memory,
            chunk_cells: u64::MAX,
            existing: OverwritePolicy::Refuse,
            earlier: ResumePolicy::Resume,
            wait: LockPolicy::No,
        }
    }
}
