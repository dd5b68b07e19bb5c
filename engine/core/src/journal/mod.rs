//! The journal: streams, the views over them and the positions reached, changed together.
//!
//! ```text
//!   command ─► Txn ── append / append_run / begin ─► view::apply on the overlay ─┐
//!   command ─► Txn ──                                                          ──┴─► one Batch ─► Store
//! ```
//! Whoever owns a store owns it through a journal: the one writer in production, the simulator's
//! nodes in simulation. Log, rows and cursors can therefore never disagree.

mod fold;
mod overlay;
mod txn;

pub use fold::{FoldError, Folded, fold};
pub use txn::{Committed, Draft, Txn};

use std::collections::BTreeMap;

use ledge_schemas::{Hlc, Seq, StreamId, format};

use crate::log::{Batch, Cursor, Op, Store, StoreError, StreamHead};

/// Counters of what a journal met since it was opened. All but `applied` should stay zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events applied to views.
    pub applied: u64,
    /// Events of kinds that this build does not know.
    pub unknown: u64,
    /// Events whose body does not decode.
    pub poison: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Journal<S> {
    store: S,
    heads: BTreeMap<StreamId, StreamHead>,
    hlc: Hlc,
    counters: Counters,
}

impl<S: Store> Journal<S> {
    /// Takes a store: reads its heads, and rebuilds views that another version wrote.
    pub fn open(store: S) -> Result<Self, StoreError> {
        let mut journal =
            Self { store, heads: BTreeMap::new(), hlc: Hlc::default(), counters: Counters::default() };
        for stream in journal.store.streams()? {
            let head = journal.store.head(&stream)?.ok_or_else(|| StoreError::NoStream(stream.clone()))?;
            if let Some(entry) = journal.store.run_at(&stream, head.tail)? {
                let last = entry.run.events().filter_map(Result::ok).last();
                journal.hlc = journal.hlc.max(last.map(|(_, event)| event.hlc).unwrap_or_default());
            }
            let stale = head.cursor.view_version != format::VIEW || head.cursor.applied != head.tail;
            journal.heads.insert(stream.clone(), head);
            if stale {
                journal.rebuild(&stream)?;
            }
        }
        Ok(journal)
    }

    /// Rebuilds a stream's rows from base and log.
    pub fn rebuild(&mut self, stream: &StreamId) -> Result<(), StoreError> {
        let folded = fold(&self.store, stream, None).map_err(|error| error.into_store(stream))?;
        let mut ops = vec![Op::ClearRows { stream: stream.clone() }];
        for (key, value) in folded.rows {
            ops.push(Op::PutRow { stream: stream.clone(), key, value });
        }
        ops.push(Op::SetCursor { stream: stream.clone(), cursor: folded.cursor });
        self.store.commit(Batch { ops })?;
        if let Some(head) = self.heads.get_mut(stream) {
            head.cursor = folded.cursor;
        }
        Ok(())
    }

    /// The store, for reading.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Gives the store back, for closing it.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Where a stream stands.
    #[must_use]
    pub fn head(&self, stream: &StreamId) -> Option<&StreamHead> {
        self.heads.get(stream)
    }

    /// Every stream with its head, ascending.
    pub fn heads(&self) -> impl Iterator<Item = (&StreamId, &StreamHead)> {
        self.heads.iter()
    }

    /// What was met so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Begins a transaction at a wall-clock reading in Unix milliseconds.
    pub fn begin(&mut self, now_ms: u64) -> Txn<'_, S> {
        Txn::new(self, now_ms)
    }
}

/// A cursor before the first event of a base.
fn cursor_at(seq: Seq, digest: crate::Digest) -> Cursor {
    Cursor { applied: seq, view_version: format::VIEW, digest }
}
