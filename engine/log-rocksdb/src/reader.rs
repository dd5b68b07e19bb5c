//! Reading: clones share the database with the one store that writes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use ledge_core::log::{Reader, RunEntry, StoreError, StreamHead};
use ledge_core::{Chain, Row};
use ledge_log::rules;
use ledge_schemas::{LogId, Seq, StreamId};
use rocksdb::{ColumnFamily, DB};

use crate::keys::{self, RowKind};
use crate::record::Stored;
use crate::{error, options, scan};

/// Where every stream stands, as far as it is durable.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    pub(crate) current: BTreeMap<StreamId, Stored>,
    /// Oldest first.
    pub(crate) archived: BTreeMap<StreamId, Vec<Stored>>,
    /// RocksDB's sequence number behind the last commit.
    pub(crate) sequence: u64,
}

/// What store and readers share.
pub(crate) struct Inner {
    pub(crate) db: DB,
    /// The log's directory; the database is in `db` below it.
    pub(crate) dir: PathBuf,
    /// Held for moments only.
    pub(crate) heads: RwLock<Heads>,
    /// Held by reads for as long as they last, and for writing by commits that take something away
    /// (begin, trim, drop, forget): no read sees half of one.
    pub(crate) structure: RwLock<()>,
    /// Held by every commit: a checkpoint stands between two.
    pub(crate) commits: Mutex<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn family(&self, name: &'static str) -> Result<&ColumnFamily, StoreError> {
        // Every opening names all families, so one that is missing is damage.
        self.db.cf_handle(name).ok_or_else(|| error::corrupt(name, "the column family is missing"))
    }

    pub(crate) fn heads(&self) -> RwLockReadGuard<'_, Heads> {
        self.heads.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a log that a [`crate::RocksStore`] writes, or one that nobody does. Clones are cheap.
/// Shows only what is durable.
#[derive(Clone, Debug)]
pub struct RocksReader {
    pub(crate) inner: Arc<Inner>,
}

impl RocksReader {
    /// Reads with the current incarnation of a stream held in place.
    fn current<R>(
        &self,
        stream: &StreamId,
        read: impl FnOnce(&Stored) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let _held = self.inner.structure.read().unwrap_or_else(PoisonError::into_inner);
        let stored = self.inner.heads().current.get(stream).cloned();
        read(&rules::present(stream, stored)?)
    }

    fn page(
        &self,
        stream: &StreamId,
        kind: RowKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.current(stream, |stored| {
            let all = keys::row(stored.ordinal, kind, prefix);
            let end = keys::after_prefix(&all);
            let from = match after {
                // The next key after `after` is `after` with a zero behind it.
                Some(after) if after >= prefix => {
                    let mut from = keys::row(stored.ordinal, kind, after);
                    from.push(0);
                    from
                }
                _ => all,
            };
            if end.as_ref().is_some_and(|end| *end <= from) {
                return Ok(Vec::new());
            }
            let mut rows = Vec::new();
            let read = options::range(&from, end.as_deref());
            let mut iterator = self.inner.db.raw_iterator_cf_opt(self.inner.family(keys::ROWS)?, read);
            iterator.seek_to_first();
            while let (true, Some((key, value))) = (rows.len() < limit, iterator.item()) {
                let key = key.get(keys::ROW_PREFIX..).unwrap_or_default().to_vec();
                rows.push(Row { key, value: value.to_vec() });
                iterator.next();
            }
            iterator.status().map_err(|e| error::read(&e))?;
            Ok(rows)
        })
    }
}

impl Reader for RocksReader {
    fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        Ok(self.inner.heads().current.keys().cloned().collect())
    }

    fn head(&self, stream: &StreamId) -> Result<Option<StreamHead>, StoreError> {
        Ok(self.inner.heads().current.get(stream).map(|stored| stored.head.clone()))
    }

    fn runs(&self, stream: &StreamId, after: Seq, max_bytes: usize) -> Result<Vec<RunEntry>, StoreError> {
        self.current(stream, |stored| scan::runs(&self.inner, stream, stored, after, max_bytes))
    }

    fn run_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<RunEntry>, StoreError> {
        self.current(stream, |stored| scan::run_at(&self.inner, stream, stored, seq))
    }

    fn chain_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<Chain>, StoreError> {
        self.current(stream, |stored| scan::chain_at(&self.inner, stream, stored, seq))
    }

    fn row(&self, stream: &StreamId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.current(stream, |stored| {
            let key = keys::row(stored.ordinal, RowKind::View, key);
            self.inner.db.get_cf(self.inner.family(keys::ROWS)?, key).map_err(|e| error::read(&e))
        })
    }

    fn rows(
        &self,
        stream: &StreamId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.page(stream, RowKind::View, prefix, after, limit)
    }

    fn base_rows(
        &self,
        stream: &StreamId,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.page(stream, RowKind::Base, b"", after, limit)
    }

    fn archived(&self, stream: &StreamId) -> Result<Vec<StreamHead>, StoreError> {
        let heads = self.inner.heads();
        let archived = heads.archived.get(stream).into_iter().flatten();
        Ok(archived.map(|stored| stored.head.clone()).collect())
    }

    fn archived_runs(
        &self,
        stream: &StreamId,
        log_id: LogId,
        after: Seq,
        max_bytes: usize,
    ) -> Result<Vec<RunEntry>, StoreError> {
        let _held = self.inner.structure.read().unwrap_or_else(PoisonError::into_inner);
        let archived = self.inner.heads().archived.get(stream).cloned().unwrap_or_default();
        let stored = archived.iter().find(|stored| stored.head.base.log_id == log_id);
        scan::runs(&self.inner, stream, rules::present(stream, stored)?, after, max_bytes)
    }

    fn local(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let family = self.inner.family(keys::META)?;
        self.inner.db.get_cf(family, keys::local(key)).map_err(|e| error::read(&e))
    }

    fn locals(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let from = keys::local(prefix);
        let read = options::range(&from, keys::after_prefix(&from).as_deref());
        let mut iterator = self.inner.db.raw_iterator_cf_opt(self.inner.family(keys::META)?, read);
        let mut locals = Vec::new();
        iterator.seek_to_first();
        while let Some((key, value)) = iterator.item() {
            let key = std::str::from_utf8(key.get(1..).unwrap_or_default())
                .map_err(|e| error::corrupt("a local value", e))?;
            locals.push((key.to_owned(), value.to_vec()));
            iterator.next();
        }
        iterator.status().map_err(|e| error::read(&e))?;
        Ok(locals)
    }
}
