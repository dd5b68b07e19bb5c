//! Errors of opening, and RocksDB's own as ours.

use std::path::{Path, PathBuf};

use ledge_core::log::StoreError;
use ledge_schemas::format;
use rocksdb::ErrorKind;

/// Why a directory cannot be opened as a log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this one, has it open.
    #[error("{} is in use by another process; stop it, or pass another --data-dir", .dir.display())]
    Locked {
        /// The log's directory.
        dir: PathBuf,
    },
    /// Bytes at rest are damaged, or files are missing. Nothing was changed.
    #[error(
        "{} is damaged: {why}. It was left as it is; run `ledge-replay verify` to see what is readable",
        .dir.display()
    )]
    Corrupt {
        /// The log's directory.
        dir: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Written by a build with another format.
    #[error(
        "{} holds log format {found}; this build reads {} to {}. Use a build that reads it",
        .dir.display(), format::FORMAT_OLDEST, format::FORMAT
    )]
    Format {
        /// The log's directory.
        dir: PathBuf,
        /// Format found.
        found: u8,
    },
    /// The file system says no.
    #[error("{} cannot be opened: {why}", .dir.display())]
    Io {
        /// The log's directory.
        dir: PathBuf,
        /// Its own words.
        why: String,
    },
}

impl OpenError {
    pub(crate) fn io(dir: &Path, error: &std::io::Error) -> Self {
        Self::Io { dir: dir.to_owned(), why: error.to_string() }
    }

    pub(crate) fn corrupt(dir: &Path, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { dir: dir.to_owned(), why: why.to_string() }
    }

    /// From RocksDB's error while it opened an existing directory.
    pub(crate) fn rocks(dir: &Path, error: &rocksdb::Error) -> Self {
        let (dir, why) = (dir.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::IOError if why.contains("/LOCK") => Self::Locked { dir },
            // A file that the manifest, or CURRENT, names and that is not there.
            ErrorKind::IOError if why.contains("No such file") => Self::Corrupt { dir, why },
            ErrorKind::IOError => Self::Io { dir, why },
            _ => Self::Corrupt { dir, why },
        }
    }

    /// From a read of what is checked at opening.
    pub(crate) fn store(dir: &Path, error: &StoreError) -> Self {
        match error {
            StoreError::Read(why) => Self::Io { dir: dir.to_owned(), why: why.clone() },
            error => Self::Corrupt { dir: dir.to_owned(), why: error.to_string() },
        }
    }
}

/// RocksDB's error while reading.
pub(crate) fn read(error: &rocksdb::Error) -> StoreError {
    match error.kind() {
        ErrorKind::Corruption => corrupt("the log", error),
        _ => StoreError::Read(error.to_string()),
    }
}

/// Bytes at rest that are not what they should be.
pub(crate) fn corrupt(place: impl Into<String>, why: impl std::fmt::Display) -> StoreError {
    metrics::counter!(crate::metric_definitions::CORRUPT_READS).increment(1);
    StoreError::Corrupt { place: place.into(), why: why.to_string() }
}
