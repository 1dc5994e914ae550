//! What a piece of work took.

use std::error::Error;
use std::time::Instant;

use serde_json::Value;

/// What Linux tells about this process.
pub struct Clock {
    started: Instant,
    cpu: f64,
}

impl Clock {
    pub fn start() -> Result<Self, Box<dyn Error>> {
        Ok(Clock {
            cpu: cpu_seconds()?,
            started: Instant::now(),
        })
    }

    /// The outcome with what it took.
    pub fn stop(self, mut outcome: Value) -> Result<Value, Box<dyn Error>> {
        outcome["wall_s"] = self.started.elapsed().as_secs_f64().into();
        outcome["cpu_s"] = (cpu_seconds()? - self.cpu).into();
        outcome["peak_rss"] = peak_rss()?.into();
        Ok(outcome)
    }
}

/// User and system seconds of all threads, in steps of a hundredth.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    // Linux shows these times in hundredths on every processor it runs on.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the name in brackets, which may hold spaces; the times are 14 and 15.
    let (_, fields) = stat.rsplit_once(") ").ok_or("odd /proc/self/stat")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
    let mut next = || times.next().ok_or("short /proc/self/stat");
    Ok((next()?? + next()??) / TICKS)
}

/// Bytes.
fn peak_rss() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("no VmHWM")?.trim().parse::<u64>()? * 1024)
}
