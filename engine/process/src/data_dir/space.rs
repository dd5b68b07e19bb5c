//! How much room is left on the file system of a directory.

use std::io;
use std::path::Path;

/// Bytes of one file system, as an unprivileged process may use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that can still be written.
    pub free: u64,
    /// Size of the file system in bytes.
    pub total: u64,
}

/// Asks the file system that holds `path`. Quotas are not seen.
pub fn free_space(path: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
}
