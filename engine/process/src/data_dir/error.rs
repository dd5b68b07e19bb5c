//! Why a data directory cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

use super::Role;
use crate::exit::Exit;

/// Each says what is wrong, where, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the directory.
    #[error("{} is in use by {}; stop it, or pass another --data-dir", .dir.display(), holder(*.pid))]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process, where it could be told.
        pid: Option<u32>,
    },
    /// Written by a newer build, or by one too old.
    #[error("{} holds format v{found}; this build reads v{oldest} to v{newest}. \
             Start a build that reads v{found}, or pass another --data-dir", .dir.display())]
    Format {
        /// The directory.
        dir: PathBuf,
        /// The version in `FORMAT`.
        found: u16,
        /// The oldest that this build reads.
        oldest: u16,
        /// The newest that this build reads, and the one it writes.
        newest: u16,
    },
    /// The directory of the other kind of process.
    #[error("{} belongs to ledge-{found}, and this is ledge-{wanted}; pass another --data-dir", .dir.display())]
    Role {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        found: Role,
        /// Who asked.
        wanted: Role,
    },
    /// No process has ever opened it.
    #[error("{} is not a Ledge data directory (it has no FORMAT file); check --data-dir", .dir.display())]
    NotADataDir {
        /// The directory.
        dir: PathBuf,
    },
    /// A first start in a directory that holds something else.
    #[error("{} holds {entry:?} but no FORMAT file; pass a new or empty directory as --data-dir", .dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// One name found there.
        entry: String,
    },
    /// `FORMAT` is damaged.
    #[error("{} cannot be understood: {reason}; restore it from a backup", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// A verb: `create`, `lock`, `read` …
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

impl OpenError {
    /// How a process that cannot open its directory ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Locked { .. } => Exit::TempFail,
            Self::Format { .. } | Self::Role { .. } | Self::NotEmpty { .. } => Exit::Config,
            Self::NotADataDir { .. } => Exit::NoInput,
            Self::Damaged { .. } => Exit::DataErr,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Exit::NoPerm,
            Self::Io { .. } => Exit::IoErr,
        }
    }

    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
