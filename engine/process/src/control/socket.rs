//! The path of the socket. A Unix socket's address holds 107 bytes; a longer directory is reached through /proc.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The socket's name in the data directory.
pub(super) const FILE: &str = "ctl.sock";
/// Longest path that an address can hold, without its NUL.
const MAX_PATH: usize = 107;

/// A directory by a name short enough for an address, as long as this value lives.
pub(super) struct ShortDir {
    path: PathBuf,
    _open: Option<File>,
}

impl ShortDir {
    pub(super) fn new(dir: &Path, longest_name: usize) -> io::Result<Self> {
        if dir.as_os_str().len() + 1 + longest_name <= MAX_PATH {
            return Ok(Self { path: dir.to_owned(), _open: None });
        }
        let open = File::open(dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        Ok(Self { path, _open: Some(open) })
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}
