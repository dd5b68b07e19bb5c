//! Room on the disk: noticed before RocksDB runs out of it, and a ballast to give up when it is gone.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ledge_core::log::StoreError;
use ledge_log::writer::Usage;
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

use crate::metric_definitions as metric;
use crate::options::RocksConfig;

/// A commit stands once in the write-ahead log and once in a flushed file.
const COPIES: u64 = 2;
/// Room wanted beyond the batch by a commit that frees room.
const LAST_ROOM: u64 = 1 << 20;

/// Name of the ballast in the log's directory.
const BALLAST: &str = "ballast";

/// Refuses commits that the file system has no room for.
#[derive(Debug)]
pub(crate) struct Space {
    dir: File,
    ballast: PathBuf,
    ballast_bytes: u64,
    keep_free: u64,
    has_ballast: bool,
}

fn free(dir: &File) -> io::Result<u64> {
    let vfs = fstatvfs(dir)?;
    Ok(vfs.f_bavail.saturating_mul(vfs.f_frsize))
}

/// What the log in `dir` takes, its ballast apart, and what is left to it.
pub(crate) fn measure(dir: &Path) -> io::Result<Usage> {
    let mut used = 0;
    for entry in std::fs::read_dir(dir.join("db"))? {
        // A file that compaction has just removed takes nothing.
        used += entry?.metadata().map_or(0, |m| m.len());
    }
    Ok(Usage { used, free: free(&File::open(dir)?)? })
}

impl Space {
    pub(crate) fn new(dir: &Path, config: &RocksConfig) -> io::Result<Self> {
        let ballast = dir.join(BALLAST);
        let has_ballast = ballast.metadata().is_ok_and(|m| m.len() == config.ballast_bytes);
        let mut space = Self {
            dir: File::open(dir)?,
            ballast,
            ballast_bytes: config.ballast_bytes,
            keep_free: config.keep_free_bytes,
            has_ballast,
        };
        let room = free(&space.dir)?;
        space.take_ballast_if_room(room);
        Ok(space)
    }

    /// Whether `bytes` may be committed. What frees room may use the last of it, the ballast too.
    pub(crate) fn admit(&mut self, bytes: u64, frees: bool) -> Result<(), StoreError> {
        let room = |space: &Self| free(&space.dir).map_err(|e| StoreError::Read(e.to_string()));
        let mut free = room(self)?;
        let needed = bytes * COPIES + if frees { LAST_ROOM } else { self.keep_free };
        if free < needed && frees && self.has_ballast {
            self.give_ballast();
            free = room(self)?;
        }
        if free < needed {
            metrics::counter!(metric::FULL).increment(1);
            return Err(StoreError::Full { free, needed });
        }
        self.take_ballast_if_room(free);
        Ok(())
    }

    fn give_ballast(&mut self) {
        self.has_ballast = false;
        match std::fs::remove_file(&self.ballast) {
            Ok(()) => {
                tracing::warn!(bytes = self.ballast_bytes, "the disk is full; the ballast was given up")
            }
            Err(error) => tracing::error!(%error, "the disk is full and the ballast cannot be removed"),
        }
    }

    /// Takes the ballast (again) once there is ample room.
    fn take_ballast_if_room(&mut self, free: u64) {
        if self.has_ballast || free < self.ballast_bytes + 2 * self.keep_free {
            return;
        }
        let take = || {
            let file = File::create(&self.ballast)?;
            fallocate(&file, FallocateFlags::empty(), 0, self.ballast_bytes).map_err(io::Error::from)
        };
        // Tried once only: a file system that cannot allocate has no ballast.
        self.has_ballast = true;
        if let Err(error) = take() {
            tracing::warn!(%error, "no ballast: the file system does not allocate");
        }
    }
}
