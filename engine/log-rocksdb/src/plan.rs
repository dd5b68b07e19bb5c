//! From a batch of the contract to RocksDB's: every operation is checked against the heads as the
//! operations before it left them, and nothing is written if one is refused.

use std::collections::BTreeMap;

use ledge_core::log::{Batch, Op, StoreError};
use ledge_core::{Base, Chain, Row};
use ledge_log::rules;
use ledge_schemas::{LogId, Seq, StreamId};
use rocksdb::{ColumnFamily, WriteBatch};

use crate::keys::{self, RowKind};
use crate::reader::{Heads, Inner};
use crate::record::{self, Stored};
use crate::scan;

/// A batch ready to be written, and what changes with it.
pub(crate) struct Plan<'a> {
    inner: &'a Inner,
    runs: &'a ColumnFamily,
    rows: &'a ColumnFamily,
    meta: &'a ColumnFamily,
    pub(crate) write: WriteBatch,
    /// Streams that changed.
    touched: Vec<Touched>,
    /// Archives that changed, whole.
    archived: BTreeMap<StreamId, Vec<Stored>>,
    pub(crate) next_ordinal: u32,
    /// Ranges of `runs` that hold nothing any more.
    pub(crate) emptied: Vec<([u8; 12], [u8; 12])>,
    /// Events appended.
    pub(crate) events: u64,
    /// Whether something is taken away, so that reads have to stand aside.
    pub(crate) structural: bool,
    /// Whether something is trimmed or dropped, so that it may use the last room on the disk.
    pub(crate) frees: bool,
}

struct Touched {
    stream: StreamId,
    stored: Option<Stored>,
    /// Boundaries appended in this batch.
    appended: Vec<(Seq, Chain)>,
}

impl<'a> Plan<'a> {
    /// Checks a batch. `scratch` is only there to be used again.
    pub(crate) fn new(
        inner: &'a Inner,
        batch: Batch,
        next_ordinal: u32,
        scratch: &mut Vec<u8>,
    ) -> Result<Self, StoreError> {
        let mut plan = Self {
            inner,
            runs: inner.family(keys::RUNS)?,
            rows: inner.family(keys::ROWS)?,
            meta: inner.family(keys::META)?,
            write: WriteBatch::default(),
            touched: Vec::new(),
            archived: BTreeMap::new(),
            next_ordinal,
            emptied: Vec::new(),
            events: 0,
            structural: false,
            frees: false,
        };
        for op in batch.ops {
            plan.op(op, scratch)?;
        }
        plan.put_heads();
        Ok(plan)
    }

    fn op(&mut self, op: Op, scratch: &mut Vec<u8>) -> Result<(), StoreError> {
        match op {
            Op::Append { stream, previous, run, chain } => {
                let here = self.touch(&stream);
                let touched = &mut self.touched[here];
                let head = touched.stored.as_mut().map(|stored| &mut stored.head);
                rules::append(&stream, head, previous, &run, chain)?;
                touched.appended.push((run.last(), chain));
                let key = keys::run(touched.stored.as_ref().map_or(0, |s| s.ordinal), run.last());
                record::encode_run(&key, chain, run.bytes(), scratch);
                self.write.put_cf(self.runs, key, &scratch);
                self.events += u64::from(run.count());
            }
            Op::PutRow { stream, key, value } => {
                let key = keys::row(self.stored(&stream)?.ordinal, RowKind::View, &key);
                self.write.put_cf(self.rows, key, value);
            }
            Op::DeleteRow { stream, key } => {
                let key = keys::row(self.stored(&stream)?.ordinal, RowKind::View, &key);
                self.write.delete_cf(self.rows, key);
            }
            Op::SetCursor { stream, cursor } => {
                rules::set_cursor(&stream, &mut self.stored(&stream)?.head, cursor)?;
            }
            Op::Bind { stream, log_id, epoch } => {
                let here = self.touch(&stream);
                let stored = self.touched[here].stored.as_mut();
                rules::bind(&stream, stored.map(|s| &mut s.head), log_id, epoch)?;
            }
            Op::Begin { stream, base, rows } => self.begin(&stream, &base, &rows)?,
            Op::Trim { stream, base, rows } => self.trim(&stream, &base, &rows)?,
            Op::ClearRows { stream } => {
                let ordinal = self.stored(&stream)?.ordinal;
                self.clear_rows(ordinal, RowKind::View);
            }
            Op::Forget { stream, log_id } => self.forget(&stream, log_id),
            Op::Drop { stream } => {
                let here = self.touch(&stream);
                let stored = rules::present(&stream, self.touched[here].stored.take())?;
                self.remove(&stream, &stored, false);
                for stored in std::mem::take(self.archive(&stream)) {
                    self.remove(&stream, &stored, true);
                }
            }
            Op::PutLocal { key, value } => self.write.put_cf(self.meta, keys::local(&key), value),
            Op::DeleteLocal { key } => self.write.delete_cf(self.meta, keys::local(&key)),
        }
        Ok(())
    }

    /// Index of a stream's changes.
    fn touch(&mut self, stream: &StreamId) -> usize {
        if let Some(here) = self.touched.iter().position(|touched| touched.stream == *stream) {
            return here;
        }
        let stored = self.inner.heads().current.get(stream).cloned();
        self.touched.push(Touched { stream: stream.clone(), stored, appended: Vec::new() });
        self.touched.len() - 1
    }

    fn stored(&mut self, stream: &StreamId) -> Result<&mut Stored, StoreError> {
        let here = self.touch(stream);
        rules::present(stream, self.touched[here].stored.as_mut())
    }

    fn archive(&mut self, stream: &StreamId) -> &mut Vec<Stored> {
        let inner = self.inner;
        let stored = || inner.heads().archived.get(stream).cloned().unwrap_or_default();
        self.archived.entry(stream.clone()).or_insert_with(stored)
    }

    fn begin(&mut self, stream: &StreamId, base: &Base, rows: &[Row]) -> Result<(), StoreError> {
        let head = rules::begin(stream, base, rows)?;
        self.structural = true;
        self.forget(stream, base.log_id);
        let here = self.touch(stream);
        if let Some(old) = self.touched[here].stored.take() {
            if old.head.base.log_id == base.log_id {
                self.remove(stream, &old, false);
            } else {
                self.clear_rows(old.ordinal, RowKind::View);
                self.clear_rows(old.ordinal, RowKind::Base);
                let key = keys::archived(stream, old.ordinal);
                self.write.put_cf(self.meta, &key, record::encode_head(&key, &old));
                self.archive(stream).push(old);
            }
        }
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        self.write.put_cf(self.meta, keys::NEXT_ORDINAL, self.next_ordinal.to_le_bytes());
        self.put_rows(ordinal, RowKind::Base, rows);
        self.put_rows(ordinal, RowKind::View, rows);
        let touched = &mut self.touched[here];
        touched.stored = Some(Stored { ordinal, head });
        touched.appended.clear();
        Ok(())
    }

    fn trim(&mut self, stream: &StreamId, base: &Base, rows: &[Row]) -> Result<(), StoreError> {
        (self.structural, self.frees) = (true, true);
        let inner = self.inner;
        let here = self.touch(stream);
        let Touched { stored, appended, .. } = &mut self.touched[here];
        let stored = rules::present(stream, stored.as_mut())?;
        let before = stored.clone();
        rules::trim(stream, &mut stored.head, base, rows, |seq| {
            match appended.iter().find(|(last, _)| *last == seq) {
                Some((_, chain)) => Ok(Some(*chain)),
                None => scan::chain_at(inner, stream, &before, seq),
            }
        })?;
        let (ordinal, from) = (before.ordinal, before.head.base.seq.next());
        self.drop_runs(keys::run(ordinal, from), keys::run(ordinal, base.seq.next()));
        self.clear_rows(ordinal, RowKind::Base);
        self.put_rows(ordinal, RowKind::Base, rows);
        Ok(())
    }

    fn forget(&mut self, stream: &StreamId, log_id: LogId) {
        let archive = self.archive(stream);
        if let Some(at) = archive.iter().position(|stored| stored.head.base.log_id == log_id) {
            let stored = archive.remove(at);
            self.remove(stream, &stored, true);
        }
    }

    /// Takes everything of an incarnation away.
    fn remove(&mut self, stream: &StreamId, stored: &Stored, archived: bool) {
        (self.structural, self.frees) = (true, true);
        let Stored { ordinal, head } = stored;
        let key = if archived { keys::archived(stream, *ordinal) } else { keys::head(stream) };
        self.write.delete_cf(self.meta, key);
        self.drop_runs(keys::run(*ordinal, head.base.seq.next()), keys::run(*ordinal, head.tail.next()));
        self.clear_rows(*ordinal, RowKind::View);
        self.clear_rows(*ordinal, RowKind::Base);
    }

    /// One range tombstone, and whole files later.
    fn drop_runs(&mut self, from: [u8; 12], end: [u8; 12]) {
        if from < end {
            self.write.delete_range_cf(self.runs, from, end);
            self.emptied.push((from, end));
        }
    }

    fn clear_rows(&mut self, ordinal: u32, kind: RowKind) {
        let from = keys::row(ordinal, kind, b"");
        let end = keys::after_prefix(&from).unwrap_or_else(|| keys::end(ordinal).to_vec());
        self.write.delete_range_cf(self.rows, from, end);
    }

    fn put_rows(&mut self, ordinal: u32, kind: RowKind, rows: &[Row]) {
        for row in rows {
            self.write.put_cf(self.rows, keys::row(ordinal, kind, &row.key), &row.value);
        }
    }

    fn put_heads(&mut self) {
        for touched in &self.touched {
            if let Some(stored) = &touched.stored {
                let key = keys::head(&touched.stream);
                self.write.put_cf(self.meta, &key, record::encode_head(&key, stored));
            }
        }
    }

    /// Makes the durable state the seen one, and returns the streams that changed.
    pub(crate) fn publish(self, heads: &mut Heads, sequence: u64) -> Vec<StreamId> {
        heads.sequence = sequence;
        for (stream, archive) in self.archived {
            match archive.is_empty() {
                true => heads.archived.remove(&stream),
                false => heads.archived.insert(stream, archive),
            };
        }
        let publish = |Touched { stream, stored, .. }: Touched| {
            match (stored, heads.current.get_mut(&stream)) {
                (Some(stored), Some(seen)) => *seen = stored,
                (Some(stored), None) => drop(heads.current.insert(stream.clone(), stored)),
                (None, _) => drop(heads.current.remove(&stream)),
            }
            stream
        };
        self.touched.into_iter().map(publish).collect()
    }
}
