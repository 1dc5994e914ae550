//! Runs Lance on files that may be damaged, and converts panics to errors.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use super::TableError;

/// Number of guards alive. While there are any, panics in Lance's threads are reported as errors
/// and not printed.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is executing a call into Lance.
    static IN_LANCE: Cell<bool> = const { Cell::new(false) };
}

/// Suppresses the printing of panics in Lance's threads while it is alive.
pub(super) struct Guard(());

impl Guard {
    /// Creates a guard, and installs the panic hook on first use.
    pub fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let reading = UNDER_WAY.load(Ordering::Relaxed) > 0;
                if !(IN_LANCE.get() || (reading && is_of_lance())) {
                    before(panic);
                }
            }));
        });
        UNDER_WAY.fetch_add(1, Ordering::Relaxed);
        Guard(())
    }

    /// Runs a call into Lance.
    ///
    /// # Errors
    /// [`TableError::Damaged`] if it panics.
    pub async fn run<T>(
        &self,
        action: &'static str,
        path: &Path,
        work: impl Future<Output = Result<T, lance::Error>>,
    ) -> Result<T, TableError> {
        let mut work = pin!(work);
        let result = std::future::poll_fn(|context| {
            let before = IN_LANCE.replace(true);
            let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
            IN_LANCE.set(before);
            match polled {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
                Err(panic) => Poll::Ready(Err(panic)),
            }
        })
        .await;
        match result {
            Ok(result) => result.map_err(|error| TableError::lance(action, path, error)),
            Err(panic) => Err(TableError::Damaged {
                path: path.to_path_buf(),
                problem: format!("Lance cannot read it ({})", text(&*panic)),
            }),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens or reads part of a table.
pub(super) async fn guarded<T>(
    action: &'static str,
    path: &Path,
    work: impl Future<Output = Result<T, lance::Error>>,
) -> Result<T, TableError> {
    Guard::new().run(action, path, work).await
}

/// Whether this thread is one of Lance's worker threads.
fn is_of_lance() -> bool {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    ["lance", "tokio"].iter().any(|part| name.starts_with(part))
}

/// Returns the message of a panic in one line.
fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.as_str(),
        (None, Some(text)) => text,
        (None, None) => "without saying why",
    };
    let line: String = text.lines().next().unwrap_or_default().into();
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_names_the_file() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let work = async {
            tokio::spawn(async { panic!("range 5 out of 3") })
                .await
                .map_err(|_| ())
                .unwrap();
            Ok(())
        };
        let result = runtime.block_on(guarded("read", Path::new("cells.lance"), work));
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with("cells.lance is damaged"), "{message}");
        let fine = runtime.block_on(guarded("read", Path::new("x"), async { Ok(3) }));
        assert_eq!(fine.unwrap(), 3);
    }
}
