//! Asking datasets from code that does not wait asynchronously.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tokio::runtime::{Builder, Runtime};

use super::error::QueryError;
use super::report::Report;
use super::session::{NamedDataset, Resources, Session};

/// Stack of a thread: plans are followed recursively, and a query may nest deeply.
const STACK: usize = 64 << 20;

/// Threads that read files, at most.
const MOST_READERS: usize = 8;

/// Batches that wait to be taken.
const AHEAD: usize = 2;

/// Open datasets, and threads that answer queries about them.
pub struct Connection {
    session: Arc<Session>,
    threads: Arc<Threads>,
}

/// The answer to a query: rows that are read while they are taken.
pub struct Batches {
    schema: SchemaRef,
    warnings: Vec<String>,
    report: Report,
    receiver: Receiver<Result<RecordBatch, QueryError>>,
    _threads: Arc<Threads>,
}

/// Threads, which are not waited for at the end.
struct Threads(Option<Runtime>);

impl Threads {
    fn start(threads: usize) -> Result<Self, QueryError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(threads.clamp(2, MOST_READERS))
            .thread_stack_size(STACK)
            .enable_all()
            .build();
        let runtime =
            runtime.map_err(|error| QueryError::Failed(format!("no threads: {error}")))?;
        Ok(Threads(Some(runtime)))
    }

    /// Runs something on these threads, and waits for it: also within a task of another runtime.
    fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let (sender, receiver) = sync_channel(1);
        if let Some(runtime) = &self.0 {
            runtime.spawn(async move {
                let _ = sender.send(work.await);
            });
        }
        let failed = "a thread failed unexpectedly; please report this with the query";
        receiver
            .recv()
            .unwrap_or_else(|_| Err(QueryError::Failed(failed.into())))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Connection {
    /// Opens datasets.
    ///
    /// # Errors
    /// If one cannot be opened, or two have the same name.
    pub fn open(datasets: &[NamedDataset], resources: &Resources) -> Result<Self, QueryError> {
        let threads = Arc::new(Threads::start(resources.threads)?);
        let (datasets, resources) = (datasets.to_vec(), resources.clone());
        let session = threads.finish(async move { Session::open(&datasets, &resources).await })?;
        Ok(Connection {
            session: Arc::new(session),
            threads,
        })
    }

    /// The datasets.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Asks a query, of whose result at most `limit` rows are wanted.
    ///
    /// # Errors
    /// [`QueryError::Sql`] with the place, if there is something wrong with the query.
    pub fn query(&self, sql: &str, limit: Option<usize>) -> Result<Batches, QueryError> {
        let (session, text) = (self.session.clone(), sql.to_string());
        let answer = self
            .threads
            .finish(async move { session.query(&text, limit).await });
        let answer = answer?;
        let (schema, report) = (answer.schema(), answer.report());
        let warnings = answer.warnings().to_vec();
        let (sender, receiver) = sync_channel(AHEAD);
        let mut stream = answer.into_stream();
        if let Some(runtime) = &self.threads.0 {
            runtime.spawn(async move {
                while let Some(batch) = stream.next().await {
                    // Whoever took the rows may want no more of them.
                    if tokio::task::block_in_place(|| sender.send(batch)).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Batches {
            schema,
            warnings,
            report,
            receiver,
            _threads: self.threads.clone(),
        })
    }
}

impl Batches {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// What is to be known about the tables of the query.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What is read; complete once all rows were taken.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.recv().ok()
    }
}
