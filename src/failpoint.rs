//! Fail points, at which tests kill the process.

/// Every fail point, in the order in which a conversion passes them.
pub const ALL: [&str; 32] = [
    "input-opened",
    "checkpoint-created",
    "plan-written",
    "data-file-written",
    "data-file-synced",
    "counts-written",
    "before-record",
    "record-written",
    "after-record",
    "before-frame-record",
    "frame-record-written",
    "after-frame-record",
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

/// Those that an export passes, in order.
pub const EXPORT: [&str; 3] = ["export-begun", "export-written", "export-named"];

/// Passed after each file of an export in parts.
pub const EXPORT_PART: &str = "export-part-noted";

/// Kills the process if `SLAF_FAIL_AT` names this point, or the n-th time it is reached with
/// `NAME:n`. If `SLAF_HOLD_AT` names it, creates the file named by `SLAF_HOLD_FILE` and waits until
/// it is gone. Only in builds with debug assertions.
pub(crate) fn reach(point: &str) {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::{AtomicU64, Ordering};
        static FAILS: AtomicU64 = AtomicU64::new(0);
        static HOLDS: AtomicU64 = AtomicU64::new(0);
        let known = ALL.iter().chain(&EXPORT).chain([&EXPORT_PART]);
        debug_assert!(
            known.into_iter().any(|known| *known == point),
            "{point} is not in a list"
        );
        let is_meant = |variable: &str, reached: &AtomicU64| {
            let Ok(wanted) = std::env::var(variable) else {
                return false;
            };
            let (name, count) = match wanted.split_once(':') {
                Some((name, count)) => (name, count.parse().unwrap_or(1)),
                None => (wanted.as_str(), 1),
            };
            name == point && reached.fetch_add(1, Ordering::SeqCst) + 1 == count
        };
        if is_meant("SLAF_FAIL_AT", &FAILS) {
            std::process::abort();
        }
        if is_meant("SLAF_HOLD_AT", &HOLDS)
            && let Some(file) = std::env::var_os("SLAF_HOLD_FILE")
            && std::fs::write(&file, point).is_ok()
        {
            while std::path::Path::new(&file).exists() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }
    let _ = point;
}
