//! Progress on a terminal.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::Verbosity;
use crate::progress::Event;

/// A bar that counts non-zeros, on standard error where that is a terminal.
pub(super) struct Bars {
    bar: ProgressBar,
}

impl Bars {
    pub fn new(verbosity: Verbosity) -> Self {
        let target = match verbosity {
            Verbosity::Quiet => ProgressDrawTarget::hidden(),
            // Draws nothing where standard error is no terminal.
            _ => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        // Colours are left out: the bar says all without them.
        let style = ProgressStyle::with_template(
            "{msg:<12} {wide_bar} {human_pos}/{human_len} non-zeros, {per_sec}, {eta} left",
        );
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message("surveying");
        bar.enable_steady_tick(Duration::from_millis(200));
        Bars { bar }
    }

    /// Names what is done, and how many non-zeros it is about.
    pub fn begin(&self, message: &'static str, entries: u64) {
        self.bar.set_length(entries);
        self.bar.set_message(message);
    }

    /// Shows an event.
    pub fn show(&self, event: Event<'_>) {
        match event {
            Event::Planned { plan } => {
                self.bar.set_length(plan.expected_entries());
                self.bar.set_message("converting");
            }
            Event::Resumed { shards, entries } => {
                // What an earlier run did must not count for the rate.
                self.bar.set_position(entries);
                self.bar.reset_eta();
                tracing::info!(
                    "going on after {shards} finished shards ({} non-zeros)",
                    HumanCount(entries)
                );
            }
            Event::Written { entries } | Event::Verified { entries } => self.bar.inc(entries),
            Event::StartedOver { entries } => {
                self.bar.set_position(entries);
                self.bar.reset_eta();
            }
            Event::Turned { matrix, entries } => {
                self.bar.set_message(format!("turning {matrix}"));
                self.bar.inc(entries);
            }
            Event::Widened {
                matrix,
                widened,
                to,
            } => {
                self.bar.set_position(0);
                self.bar.reset_eta();
                let message = format!(
                    "{matrix}: {} does not fit {}: writing it anew as {to}",
                    widened.because, widened.from
                );
                self.bar.suspend(|| tracing::warn!("{message}"));
            }
            Event::Committing { .. } => self.bar.set_message("committing"),
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
