//! The store: one writer's `commit`, and the reads of [`RocksReader`].

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use ledge_core::log::{Batch, Reader, RunEntry, Store, StoreError, StreamHead};
use ledge_core::{Chain, Row};
use ledge_log::crash_point;
use ledge_log::writer::Usage;
use ledge_schemas::{LogId, Seq, StreamId};

use crate::metric_definitions as metric;
use crate::plan::Plan;
use crate::reader::{Inner, RocksReader};
use crate::space::{Space, measure};
use crate::witness::Keeper;
use crate::{keys, options};

/// A log in a directory, open for writing. At most one at a time, held by RocksDB's lock. Opened by
/// `RocksStore::open`; dropping it closes it and leaves an exact witness.
#[derive(Debug)]
pub struct RocksStore {
    reader: RocksReader,
    space: Space,
    keeper: Keeper,
    next_ordinal: u32,
    poisoned: bool,
    scratch: Vec<u8>,
}

impl RocksStore {
    pub(crate) fn new(inner: Arc<Inner>, space: Space, keeper: Keeper, next_ordinal: u32) -> Self {
        let reader = RocksReader { inner };
        Self { reader, space, keeper, next_ordinal, poisoned: false, scratch: Vec::new() }
    }

    /// A reader that shares this database; it may outlive the store, and keeps the lock until dropped.
    #[must_use]
    pub fn reader(&self) -> RocksReader {
        self.reader.clone()
    }

    /// Measures what the log takes on the disk, for `WriterConfig::usage`.
    pub fn usage(&self) -> impl FnMut() -> Option<Usage> + Send + 'static {
        let dir = self.reader.inner.dir.clone();
        move || match measure(&dir) {
            Ok(usage) => {
                #[allow(clippy::cast_precision_loss, reason = "a gauge")]
                metrics::gauge!(metric::USED_BYTES).set(usage.used as f64);
                Some(usage)
            }
            Err(error) => {
                tracing::warn!(%error, dir = %dir.display(), "the log's size cannot be measured");
                None
            }
        }
    }

    fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        let inner = &*self.reader.inner;
        let mut plan = Plan::new(inner, batch, self.next_ordinal, &mut self.scratch)?;
        let bytes = plan.write.size_in_bytes() as u64;
        self.space.admit(bytes, plan.frees)?;

        let began = Instant::now();
        let _between_checkpoints = inner.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let structure =
            plan.structural.then(|| inner.structure.write().unwrap_or_else(PoisonError::into_inner));
        crash_point("rocks.before-write");
        let write = std::mem::take(&mut plan.write);
        if let Err(error) = inner.db.write_opt(write, &options::synced()) {
            self.poisoned = true;
            tracing::error!(%error, dir = %inner.dir.display(), "a write failed; the log must be opened again");
            return Err(StoreError::Failed(error.to_string()));
        }
        crash_point("rocks.after-write");

        self.next_ordinal = plan.next_ordinal;
        let runs = inner.family(keys::RUNS)?;
        for (from, end) in &plan.emptied {
            // Only saves compaction the work: the range tombstone has already hidden everything.
            if let Err(error) = inner.db.delete_file_in_range_cf(runs, from, end) {
                tracing::warn!(%error, "whole files of trimmed runs were not dropped");
            }
        }
        let events = plan.events;
        let changed = {
            let mut heads = inner.heads.write().unwrap_or_else(PoisonError::into_inner);
            plan.publish(&mut heads, inner.db.latest_sequence_number())
        };
        drop(structure);
        self.keeper.note(changed, events);
        metrics::counter!(metric::COMMITS).increment(1);
        metrics::counter!(metric::COMMIT_BYTES).increment(bytes);
        metrics::histogram!(metric::COMMIT_TIME).record(began.elapsed());
        Ok(())
    }
}

impl Store for RocksStore {
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        if batch.ops.is_empty() {
            return Ok(());
        }
        self.write(batch)
    }
}

impl Reader for RocksStore {
    fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        self.reader.streams()
    }

    fn head(&self, stream: &StreamId) -> Result<Option<StreamHead>, StoreError> {
        self.reader.head(stream)
    }

    fn runs(&self, stream: &StreamId, after: Seq, max_bytes: usize) -> Result<Vec<RunEntry>, StoreError> {
        self.reader.runs(stream, after, max_bytes)
    }

    fn run_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<RunEntry>, StoreError> {
        self.reader.run_at(stream, seq)
    }

    fn chain_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<Chain>, StoreError> {
        self.reader.chain_at(stream, seq)
    }

    fn row(&self, stream: &StreamId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reader.row(stream, key)
    }

    fn rows(
        &self,
        stream: &StreamId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.reader.rows(stream, prefix, after, limit)
    }

    fn base_rows(
        &self,
        stream: &StreamId,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.reader.base_rows(stream, after, limit)
    }

    fn archived(&self, stream: &StreamId) -> Result<Vec<StreamHead>, StoreError> {
        self.reader.archived(stream)
    }

    fn archived_runs(
        &self,
        stream: &StreamId,
        log_id: LogId,
        after: Seq,
        max_bytes: usize,
    ) -> Result<Vec<RunEntry>, StoreError> {
        self.reader.archived_runs(stream, log_id, after, max_bytes)
    }

    fn local(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.reader.local(key)
    }

    fn locals(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.reader.locals(prefix)
    }
}
