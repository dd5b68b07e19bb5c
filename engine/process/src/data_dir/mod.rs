//! The directory that holds everything a process remembers; one process at a time has it.
//!
//! ```text
//! D/            0700
//! ├─ LOCK.pid   flock held for the life of the process; its text is that process's id
//! ├─ FORMAT     {role, format, created, store_id}, written once, atomically
//! ├─ ctl.sock   0600, see `control`
//! └─ …          whatever the role keeps: log, certificates, admin.kubeconfig
//! ```

mod atomic;
mod error;
mod format;
mod lock;
mod space;

pub use atomic::atomic_write;
pub use error::OpenError;
pub use format::{FORMAT_NEWEST, FORMAT_OLDEST, Format, Role, StoreId};
pub use space::{Space, free_space};

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use lock::DirLock;

/// What [`DataDir::open`] may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Make the directory and its `FORMAT` where they are missing (first start).
    Create,
    /// The directory must have been made by a process of the same role before.
    Existing,
    /// As `Existing`, and write nothing but the lock: for tools that read a stopped process's data, also from a
    /// read-only file system.
    ReadOnly,
}

/// An open data directory: the proof that no other process has it, until this value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    format: Format,
    mode: OpenMode,
    _lock: DirLock,
}

impl DataDir {
    /// Locks `dir`, then checks (or, in mode [`OpenMode::Create`], writes) what it holds. Blocks on disk, briefly.
    pub fn open(dir: &Path, role: Role, mode: OpenMode) -> Result<Self, OpenError> {
        // Other processes are told paths below it, and they have another working directory.
        let dir = &std::path::absolute(dir).map_err(OpenError::io("find", dir))?;
        if mode == OpenMode::Create {
            create(dir)?;
        } else if !dir.join(format::FILE).is_file() {
            return Err(OpenError::NotADataDir { dir: dir.to_owned() });
        }
        let lock = DirLock::acquire(dir)?;
        let format = match Format::read(dir)? {
            Some(format) => format,
            None if mode == OpenMode::Create => first_format(dir, role)?,
            None => return Err(OpenError::NotADataDir { dir: dir.to_owned() }),
        };
        if format.role != role {
            return Err(OpenError::Role { dir: dir.to_owned(), found: format.role, wanted: role });
        }
        if mode != OpenMode::ReadOnly {
            atomic::remove_leftovers(dir).map_err(OpenError::io("clean up", dir))?;
        }
        Ok(Self { path: dir.to_owned(), format, mode, _lock: lock })
    }

    /// What `dir` holds, without the lock; `None` where no process has ever opened it.
    pub fn peek(dir: &Path) -> Result<Option<Format>, OpenError> {
        Format::read(dir)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the directory.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Role, version, and the identity given on the first start.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Opened in a mode that may write.
    pub fn writable(&self) -> bool {
        self.mode != OpenMode::ReadOnly
    }
}

/// Only the owner may enter. A directory that is already there keeps its mode: the operator chose it.
fn create(dir: &Path) -> Result<(), OpenError> {
    let failed = OpenError::io("create", dir);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(&failed)?;
    match dir.parent() {
        // The new name itself must survive loss of power, or FORMAT would vanish with it.
        Some(parent) if !parent.as_os_str().is_empty() => atomic::sync_dir(parent).map_err(&failed),
        _ => Ok(()),
    }
}

fn first_format(dir: &Path, role: Role) -> Result<Format, OpenError> {
    if let Some(entry) = stranger(dir).map_err(OpenError::io("list", dir))? {
        return Err(OpenError::NotEmpty { dir: dir.to_owned(), entry });
    }
    let format = Format::new(role).map_err(OpenError::io("name", dir))?;
    format.write(dir)?;
    Ok(format)
}

/// A file that Ledge did not put there: refuse to move into somebody's home directory.
fn stranger(dir: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != lock::FILE && name != "lost+found" && !atomic::is_leftover(&name) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
