//! Ending when the system or the user asks for it.

use std::io::IsTerminal;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

/// What is to be done about what a command had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// The same command goes on with it.
    GoesOn,
    /// There is nothing to go on with.
    Nothing,
}

/// From now on SIGINT and SIGTERM end the process at once, with a word on standard error and the exit
/// code that shells expect (128 and the number of the signal). What was recorded is kept, as after any
/// sudden end.
pub(super) fn end_when_asked(begun: Interrupted) {
    let wanted = [SIGINT, SIGTERM];
    let wanted = wanted.into_iter().filter(|&signal| !is_ignored(signal));
    // Where they cannot be caught they end the process without a word.
    let Ok(mut signals) = Signals::new(wanted) else {
        return;
    };
    let wait = move || {
        let Some(signal) = signals.forever().next() else {
            return;
        };
        // After a bar, which does not end its line.
        let line = if std::io::stderr().is_terminal() {
            "\n"
        } else {
            ""
        };
        let name = if signal == SIGINT {
            "SIGINT"
        } else {
            "SIGTERM"
        };
        match begun {
            Interrupted::GoesOn => eprintln!(
                "{line}slaf: ended by {name}: what was recorded is kept, and the same command goes on where it was"
            ),
            Interrupted::Nothing => eprintln!("{line}slaf: ended by {name}"),
        }
        // Without the handlers of libraries, which would wait for threads that are at work.
        low_level::exit(128 + signal);
    };
    let thread = std::thread::Builder::new().name("slaf-signals".into());
    if let Err(error) = thread.spawn(wait) {
        tracing::warn!("signals are not answered: {error}");
    }
}

/// Whether the parent wants a signal to be ignored, as shells do for what runs in the background.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
