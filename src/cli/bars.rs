//! Progress: a bar on a terminal, and lines elsewhere.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::arguments::{ProgressArgument, Verbosity};
use crate::progress::Event;

/// How often a line is printed. `SLAF_PROGRESS_SECONDS` sets another number of seconds.
const EVERY: Duration = Duration::from_secs(30);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgressForm {
    Nothing,
    Bar,
    Lines,
    Json,
}

impl ProgressForm {
    /// As it was asked for; by itself, a bar on a terminal and lines elsewhere.
    pub fn of(argument: ProgressArgument, verbosity: Verbosity) -> Self {
        match argument {
            ProgressArgument::Auto if verbosity == Verbosity::Quiet => ProgressForm::Nothing,
            ProgressArgument::Auto if std::io::stderr().is_terminal() => ProgressForm::Bar,
            ProgressArgument::Auto | ProgressArgument::Lines => ProgressForm::Lines,
            ProgressArgument::Bar => ProgressForm::Bar,
            ProgressArgument::Json => ProgressForm::Json,
            ProgressArgument::None => ProgressForm::Nothing,
        }
    }
}

/// What is done, counted in non-zeros, and shown on standard error.
pub(super) struct Bars {
    bar: ProgressBar,
    state: Arc<Mutex<State>>,
    show: ProgressForm,
    /// The thread that prints lines, which ends when the sender is dropped.
    printer: Option<(Sender<()>, JoinHandle<()>)>,
}

/// How far the work is.
#[derive(Debug)]
struct State {
    phase: String,
    done: u64,
    total: u64,
    /// What was done before, by an earlier run or in vain, and when counting began.
    before: u64,
    since: Instant,
}

impl Bars {
    pub fn new(show: ProgressForm) -> Self {
        let target = match show {
            // Draws nothing where standard error is no terminal.
            ProgressForm::Bar => ProgressDrawTarget::stderr(),
            _ => ProgressDrawTarget::hidden(),
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
        if show == ProgressForm::Bar {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let state = Arc::new(Mutex::new(State {
            phase: "surveying".into(),
            done: 0,
            total: 0,
            before: 0,
            since: Instant::now(),
        }));
        let bars = Bars {
            bar,
            printer: matches!(show, ProgressForm::Lines | ProgressForm::Json)
                .then(|| print_every(interval(), state.clone(), show))
                .flatten(),
            state,
            show,
        };
        bars.tell();
        bars
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says at once what is done from now on, to those who read lines of JSON.
    fn tell(&self) {
        if self.show == ProgressForm::Json {
            eprintln!("{}", self.state().json());
        }
    }

    /// Names what is done, and how many non-zeros it is about.
    pub fn begin(&self, phase: &str, entries: u64) {
        self.bar.set_length(entries);
        self.bar.set_message(phase.to_string());
        let mut state = self.state();
        state.total = entries;
        state.since = Instant::now();
        drop(state);
        self.enter(phase);
    }

    fn enter(&self, phase: &str) {
        let mut state = self.state();
        if state.phase == phase {
            return;
        }
        state.phase = phase.to_string();
        drop(state);
        self.tell();
    }

    fn add(&self, entries: u64) {
        self.bar.inc(entries);
        let mut state = self.state();
        state.done = state.done.saturating_add(entries);
    }

    /// What is done is so much; what comes after counts for the rate.
    fn restart(&self, done: u64) {
        self.bar.set_position(done);
        self.bar.reset_eta();
        let mut state = self.state();
        (state.done, state.before) = (done, done);
        state.since = Instant::now();
    }

    /// Shows an event.
    pub fn show(&self, event: Event<'_>) {
        match event {
            Event::Planned { plan } => self.begin("converting", plan.expected_entries()),
            Event::Resumed { shards, entries } => {
                // What an earlier run did must not count for the rate.
                self.restart(entries);
                tracing::info!(
                    "going on after {shards} finished shards ({} non-zeros)",
                    HumanCount(entries)
                );
            }
            Event::Written { entries } => {
                self.enter("converting");
                self.add(entries);
            }
            Event::Exporting { entries } => self.begin("exporting", entries),
            Event::Exported { entries } => {
                self.enter("exporting");
                self.add(entries);
            }
            Event::Verified { entries } => self.add(entries),
            Event::StartedOver { entries } => self.restart(entries),
            Event::Transposed { matrix, entries } => {
                let phase = format!("turning {matrix}");
                self.bar.set_message(phase.clone());
                self.enter(&phase);
                self.add(entries);
            }
            Event::Widened {
                matrix,
                widened,
                to,
            } => {
                self.restart(0);
                let message = format!(
                    "{matrix}: {} does not fit {}: writing it anew as {to}",
                    widened.because, widened.from
                );
                self.bar.suspend(|| tracing::warn!("{message}"));
            }
            Event::Committing { .. } => {
                self.bar.set_message("committing");
                self.enter("committing");
            }
        }
    }

    /// Removes the bar, and ends the lines.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        if let Some((sender, printer)) = self.printer.take() {
            drop(sender);
            // A printer that died has no more to say.
            let _ = printer.join();
        }
    }
}

fn interval() -> Duration {
    let seconds = std::env::var("SLAF_PROGRESS_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse::<f64>().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|every| !every.is_zero())
        .unwrap_or(EVERY)
}

/// Prints a line again and again, on a thread of its own. Without one there are no lines.
fn print_every(
    every: Duration,
    state: Arc<Mutex<State>>,
    show: ProgressForm,
) -> Option<(Sender<()>, JoinHandle<()>)> {
    let (sender, ended) = channel::<()>();
    let print = move || {
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(every) {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            match show {
                ProgressForm::Json => eprintln!("{}", state.json()),
                _ => eprintln!("slaf: {}", state.line()),
            }
        }
    };
    let thread = std::thread::Builder::new().name("slaf-progress".into());
    Some((sender, thread.spawn(print).ok()?))
}

/// A line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    phase: &'a str,
    /// Non-zeros, of how many.
    done: u64,
    total: u64,
    percent: f64,
    /// Non-zeros a second; missing before there are any.
    per_second: Option<f64>,
    seconds_left: Option<f64>,
}

impl State {
    /// Non-zeros a second, and seconds that are left.
    fn pace(&self) -> (Option<f64>, Option<f64>) {
        let seconds = self.since.elapsed().as_secs_f64();
        let done = self.done.saturating_sub(self.before);
        if done == 0 || seconds <= 0.0 {
            return (None, None);
        }
        let rate = done as f64 / seconds;
        let left = self.total.saturating_sub(self.done);
        (Some(rate), Some(left as f64 / rate))
    }

    /// How much is done, by non-zeros. How many there are is not always known before.
    fn percent(&self) -> f64 {
        match self.total {
            0 => 0.0,
            total => (self.done as f64 / total as f64 * 100.0).min(100.0),
        }
    }

    fn line(&self) -> String {
        if self.total == 0 {
            return self.phase.clone();
        }
        let (rate, left) = self.pace();
        let mut line = format!(
            "{} {:.0} %, {} of {} non-zeros",
            self.phase,
            self.percent(),
            HumanCount(self.done),
            HumanCount(self.total)
        );
        if let (Some(rate), Some(left)) = (rate, left) {
            let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
            line += &format!(
                ", {} a second, {} left",
                HumanCount(rate as u64),
                HumanDuration(left)
            );
        }
        line
    }

    fn json(&self) -> String {
        let (per_second, seconds_left) = self.pace();
        let line = Line {
            event: "progress",
            phase: &self.phase,
            done: self.done,
            total: self.total,
            percent: self.percent(),
            per_second,
            seconds_left,
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(done: u64, before: u64) -> State {
        State {
            phase: "converting".into(),
            done,
            total: 2_000_000,
            before,
            since: Instant::now() - Duration::from_secs(10),
        }
    }

    #[test]
    fn lines_tell_how_much_is_done() {
        let line = state(500_000, 0).line();
        assert!(
            line.starts_with("converting 25 %, 500,000 of 2,000,000 non-zeros, "),
            "{line}"
        );
        assert!(line.ends_with(" left"), "{line}");
        // Of what an earlier run did no rate is known.
        let line = state(500_000, 500_000).line();
        assert!(line.ends_with("non-zeros"), "{line}");
        let nothing = State {
            total: 0,
            ..state(0, 0)
        };
        assert_eq!(nothing.line(), "converting");
    }

    #[test]
    fn json_is_an_object_a_line() {
        let line = state(1_000_000, 0).json();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["percent"], &value["phase"]),
            (&50.0.into(), &"converting".into())
        );
        assert!(value["per_second"].as_f64() > Some(0.0) && !line.contains('\n'));
    }
}
