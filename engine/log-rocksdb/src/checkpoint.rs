//! Checkpoints: a log as it is durable now, by hard links, for tools that read it at leisure.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use ledge_schemas::Seq;
use rocksdb::checkpoint::Checkpoint;

use crate::open::DB_DIR;
use crate::reader::RocksReader;

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("no checkpoint in {}: {why}. It has to be on the log's own file system, and must not exist yet", .dir.display())]
pub struct CheckpointError {
    /// Where it was to be.
    pub dir: PathBuf,
    /// What went wrong.
    pub why: String,
}

impl RocksReader {
    /// Makes a checkpoint in `dir`, which must not exist, on the log's own file system. Commits wait
    /// meanwhile: files are linked, and only the write-ahead log (at most some 32 MiB) is copied.
    /// Returns the tail of every stream in it.
    pub fn checkpoint(&self, dir: &Path) -> Result<Vec<(ledge_schemas::StreamId, Seq)>, CheckpointError> {
        let failed = |why: String| CheckpointError { dir: dir.to_owned(), why };
        std::fs::create_dir(dir).map_err(|error| failed(error.to_string()))?;
        let inner = &self.inner;
        let _between_commits = inner.commits.lock().unwrap_or_else(PoisonError::into_inner);
        // No flush, whatever the size of the write-ahead log: a reader must not cause writes.
        Checkpoint::new(&inner.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint_with_log_size(dir.join(DB_DIR), u64::MAX))
            .map_err(|error| failed(error.to_string()))?;
        let heads = inner.heads();
        Ok(heads.current.iter().map(|(stream, stored)| (stream.clone(), stored.head.tail)).collect())
    }
}
