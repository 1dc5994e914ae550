//! Places at which tests make the process die.

/// Every fail point, in the order in which a conversion passes them.
pub const ALL: [&str; 26] = [
    "checkpoint-created",
    "data-file-written",
    "data-file-synced",
    "counts-written",
    "before-record",
    "after-record",
    "before-expression-commit",
    "after-expression-commit",
    "before-layers-commit",
    "after-layers-commit",
    "before-genes-commit",
    "after-genes-commit",
    "before-gene-pairs-commit",
    "after-gene-pairs-commit",
    "before-cell-pairs-commit",
    "after-cell-pairs-commit",
    "cell-hashes-written",
    "before-cells-commit",
    "after-cells-commit",
    "before-uns",
    "before-config",
    "after-config",
    "before-swap",
    "after-swap",
    "before-cleanup",
    "after-cleanup",
];

/// Dies as if killed when `SLAF_FAIL_AT` names this point, or the n-th time it is reached with
/// `NAME:n`. Only in builds with debug assertions.
pub(crate) fn reach(point: &str) {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::{AtomicU64, Ordering};
        static REACHED: AtomicU64 = AtomicU64::new(0);
        let Ok(wanted) = std::env::var("SLAF_FAIL_AT") else {
            return;
        };
        let (name, count) = match wanted.split_once(':') {
            Some((name, count)) => (name, count.parse().unwrap_or(1)),
            None => (wanted.as_str(), 1),
        };
        debug_assert!(ALL.contains(&point), "{point} is not in the list");
        if name == point && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == count {
            std::process::abort();
        }
    }
    let _ = point;
}
