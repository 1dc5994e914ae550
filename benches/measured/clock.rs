//! Measures time and memory of a piece of work.

use std::error::Error;
use std::time::Instant;

use serde_json::Value;

/// Resource usage of this process, as reported by Linux.
pub struct Clock {
    started: Instant,
    cpu: f64,
}

impl Clock {
    /// Starts the measurement.
    pub fn start() -> Result<Self, Box<dyn Error>> {
        Ok(Clock {
            cpu: cpu_seconds()?,
            started: Instant::now(),
        })
    }

    /// Adds the resources used to the outcome.
    pub fn stop(self, mut outcome: Value) -> Result<Value, Box<dyn Error>> {
        outcome["wall_s"] = self.started.elapsed().as_secs_f64().into();
        outcome["cpu_s"] = (cpu_seconds()? - self.cpu).into();
        outcome["peak_rss"] = peak_rss()?.into();
        Ok(outcome)
    }
}

/// User and system time of all threads in seconds, with a resolution of 10 ms.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    // Linux reports these times in hundredths of a second on every platform.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the name in brackets, which may contain spaces; the times are fields 14
    // and 15.
    let (_, fields) = stat.rsplit_once(") ").ok_or("odd /proc/self/stat")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    let mut next = || times.next().ok_or("short /proc/self/stat");
    Ok((next()?? + next()??) / TICKS)
}

/// Peak resident set size in bytes.
fn peak_rss() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("no VmHWM")?.trim().parse::<u64>()? * 1024)
}
