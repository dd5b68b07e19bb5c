//! `D/LOCK.pid`: an flock, which the kernel gives up with the process however it ends; the text only says who.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::OpenError;

/// The file's name. It is never removed: removing a lock file lets two processes lock two files of one name.
pub(super) const FILE: &str = "LOCK.pid";

/// Held until dropped.
#[derive(Debug)]
pub(super) struct DirLock {
    file: File,
}

impl DirLock {
    pub(super) fn acquire(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        let failed = OpenError::io("lock", &path);
        let (mut file, writable) = open(&path).map_err(&failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { dir: dir.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if writable {
            file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        }
        Ok(Self { file })
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Best effort: a stale id is only ever shown while somebody else holds the lock and could not write its own.
        let _ = self.file.set_len(0);
    }
}

/// On a read-only file system the lock is taken on the file as it is, and no id is written.
fn open(path: &Path) -> io::Result<(File, bool)> {
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            File::open(path).map(|file| (file, false))
        }
        Err(error) => Err(error),
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
