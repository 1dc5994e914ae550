//! Files whose damage makes libhdf5 loop.

use std::sync::Once;
use std::time::Duration;

use crate::error::ErrorKind;
use crate::source;

/// Ends the process when a damaged file makes libhdf5 loop. What was recorded is kept, as after any
/// sudden end. `SLAF_PATIENCE` sets the seconds after which that is assumed.
pub(super) fn give_up_on_stuck_files() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(watch_files);
}

fn watch_files() {
    const PATIENCE: u64 = 120;
    let seconds = std::env::var("SLAF_PATIENCE")
        .ok()
        .and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(PATIENCE).max(1);
    source::watch(Duration::from_secs(seconds), move |place| {
        eprintln!(
            "slaf: error: {place}: reading it does not come to an end (after {seconds} s): the file is damaged, or its disk does not answer"
        );
        std::process::exit(i32::from(ErrorKind::Refused.exit_code()));
    });
}
