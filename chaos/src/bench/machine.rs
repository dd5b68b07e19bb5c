//! What the kernel knows: of the disk, of this process, of others.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Device and file system under a directory, for who reads the figures: `ext4 on /dev/vda, write cache "write back"`.
pub(super) fn disk(dir: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let under = |line: &&str| line.split(' ').nth(1).is_some_and(|at| dir.starts_with(at));
    let longest = mounts.lines().filter(under).max_by_key(|line| line.split(' ').nth(1).map_or(0, str::len));
    let mut fields = longest.unwrap_or_default().split(' ');
    let (device, kind) = (fields.next().unwrap_or("?"), fields.nth(1).unwrap_or("?"));
    let name = Path::new(device).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let whole = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let cache = [name, whole]
        .into_iter()
        .find_map(|name| fs::read_to_string(format!("/sys/block/{name}/queue/write_cache")).ok());
    let cache = cache.map_or_else(|| "unknown".to_owned(), |text| format!("{:?}", text.trim()));
    format!("{kind} on {device}, write cache {cache}")
}

/// Processes that wanted to run in the last minute, on average.
pub(super) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// Bytes that this process made go to a disk since it started.
pub(super) fn written_bytes() -> anyhow::Result<u64> {
    field("/proc/self/io", "write_bytes:")
}

/// Memory of a process. Bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// All that is resident.
    pub(super) resident: u64,
    /// Of that, what is no page of a file.
    pub(super) anonymous: u64,
    /// The most that was ever resident.
    pub(super) peak: u64,
}

pub(super) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = format!("/proc/{pid}/status");
    let kib = |name| Ok::<_, anyhow::Error>(field(&status, name)? * 1024);
    Ok(Memory { resident: kib("VmRSS:")?, anonymous: kib("RssAnon:")?, peak: kib("VmHWM:")? })
}

fn field(path: &str, name: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let value =
        text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| anyhow!("{path} has no {name}"))
}

/// As many open files as the system lets us have; child processes inherit it. Returns how many.
pub(super) fn allow_open_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // What was allowed before stays so; whoever needs more says so.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
