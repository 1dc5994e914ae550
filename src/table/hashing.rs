//! A Lance writer that hashes the bytes it writes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use lance_io::object_writer::WriteResult;
use lance_io::traits::Writer;
use tokio::io::AsyncWrite;
use xxhash_rust::xxh3::Xxh3;

/// Hash of the bytes written so far.
#[derive(Clone)]
pub(super) struct WrittenHash(Arc<Mutex<Xxh3>>);

impl WrittenHash {
    /// Returns the hash of the bytes written so far.
    pub fn digest(&self) -> u64 {
        let hash = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hash.digest()
    }
}

/// Forwards everything to the inner writer.
pub(super) struct HashingWriter {
    inner: Box<dyn Writer>,
    hash: WrittenHash,
}

impl HashingWriter {
    /// Wraps a writer that is at the beginning of a file.
    pub fn over(inner: Box<dyn Writer>) -> (Self, WrittenHash) {
        let hash = WrittenHash(Arc::new(Mutex::new(Xxh3::new())));
        let writer = HashingWriter {
            inner,
            hash: hash.clone(),
        };
        (writer, hash)
    }
}

impl AsyncWrite for HashingWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            let mut hash = self.hash.0.lock().unwrap_or_else(PoisonError::into_inner);
            hash.update(&bytes[..*count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

// As expanded by `async_trait`.
impl Writer for HashingWriter {
    fn tell<'a, 'b>(
        &'a mut self,
    ) -> Pin<Box<dyn Future<Output = lance_core::Result<usize>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        self.inner.tell()
    }

    fn shutdown<'a, 'b>(
        &'a mut self,
    ) -> Pin<Box<dyn Future<Output = lance_core::Result<WriteResult>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        self.inner.shutdown()
    }
}
