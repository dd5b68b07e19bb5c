//! The process seen by its kernel, from /proc. Where a value cannot be read, its metric keeps its last value.

use std::fs;

use metrics::gauge;

use super::metric_definitions::{OPEN_FDS, RESIDENT_MEMORY, START_TIME, THREADS};

/// Clock ticks a second in /proc/PID/stat: `USER_HZ`, which is 100 on every architecture that this builds for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads /proc/self and sets the gauges. Microseconds; no disk is touched.
pub(super) fn refresh() {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        if let Some(kib) = field(&status, "VmRSS:") {
            gauge!(RESIDENT_MEMORY).set(kib * 1024.0);
        }
        if let Some(threads) = field(&status, "Threads:") {
            gauge!(THREADS).set(threads);
        }
    }
    if let Ok(fds) = fs::read_dir("/proc/self/fd") {
        gauge!(OPEN_FDS).set(fds.count() as f64);
    }
    if let Some(seconds) = start_time() {
        gauge!(START_TIME).set(seconds);
    }
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Boot time plus the 22nd field of stat; the command in the second may hold spaces and brackets, so count after it.
fn start_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let boot = field(&fs::read_to_string("/proc/stat").ok()?, "btime")?;
    Some(boot + ticks / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn this_process_started_within_the_last_hour() {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let started = start_time().unwrap();
        assert!(started <= now + 2.0 && started > now - 3600.0, "started {started}, now {now}");
    }
}
