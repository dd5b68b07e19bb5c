//! Rows as a transaction sees them: its own changes over the store's.

use std::collections::BTreeMap;

use ledge_schemas::{Event, StreamId};

use super::txn::Undo;
use crate::log::{Op, Reader, StoreError, StreamHead};
use crate::view::Rows;

/// Everything that a transaction has changed in one stream.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) head: StreamHead,
    /// Runs, begins and trims, in order; events not yet in a run stand in `events`.
    pub(super) ops: Vec<Op>,
    pub(super) events: Vec<Event>,
    /// Changed rows; `None` is a removal.
    pub(super) rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The rows that the view has instead of the store's, after a begin in this transaction.
    pub(super) instead: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Pending {
    pub(super) fn new(head: StreamHead) -> Self {
        Self { head, ops: Vec::new(), events: Vec::new(), rows: BTreeMap::new(), instead: None }
    }

    pub(super) fn row<R: Reader>(
        &self,
        store: &R,
        stream: &StreamId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match (self.rows.get(key), &self.instead) {
            (Some(changed), _) => Ok(changed.clone()),
            (None, Some(instead)) => Ok(instead.get(key).cloned()),
            (None, None) => store.row(stream, key),
        }
    }

    pub(super) fn scan<R: Reader>(
        &self,
        store: &R,
        stream: &StreamId,
        prefix: &[u8],
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let mut found: BTreeMap<_, _> = match &self.instead {
            Some(rows) => prefixed(rows, prefix).map(|(k, v)| (k.clone(), v.clone())).collect(),
            None => {
                let rows = store.rows(stream, prefix, None, usize::MAX)?;
                rows.into_iter().map(|row| (row.key, row.value)).collect()
            }
        };
        for (key, value) in prefixed(&self.rows, prefix) {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(found)
    }
}

fn prefixed<'a, V>(
    rows: &'a BTreeMap<Vec<u8>, V>,
    prefix: &'a [u8],
) -> impl Iterator<Item = (&'a Vec<u8>, &'a V)> {
    rows.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
}

/// The rows of one stream, for [`crate::view::apply`]: keeps the digest and the undo log.
pub(super) struct StreamRows<'a, R> {
    pub(super) store: &'a R,
    pub(super) stream: &'a StreamId,
    pub(super) index: usize,
    pub(super) pending: &'a mut Pending,
    pub(super) undo: &'a mut Vec<Undo>,
}

impl<R: Reader> StreamRows<'_, R> {
    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        let old = self.pending.row(self.store, self.stream, &key)?;
        if old == value {
            return Ok(());
        }
        let digest = &mut self.pending.head.cursor.digest;
        if let Some(old) = &old {
            digest.remove(&key, old);
        }
        if let Some(value) = &value {
            digest.add(&key, value);
        }
        let previous = self.pending.rows.insert(key.clone(), value);
        self.undo.push(Undo::Row { index: self.index, key, previous });
        Ok(())
    }
}

impl<R: Reader> Rows for StreamRows<'_, R> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.pending.row(self.store, self.stream, key)
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.set(key, Some(value))
    }

    fn delete(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        self.set(key, None)
    }

    fn keys(&mut self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(self.pending.scan(self.store, self.stream, prefix)?.into_keys().collect())
    }
}
