//! What a simulated disk holds, and batches applied to it with undo.

use std::collections::{BTreeMap, BTreeSet};

use ledge_core::log::{Batch, Op, RunEntry, StoreError, StreamHead};
use ledge_core::{Chain, Row};
use ledge_schemas::{LogId, Seq, StreamId};

use crate::rules;

/// Key and value of every row.
pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// One stream with everything over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) head: StreamHead,
    pub(super) base_rows: Rows,
    pub(super) rows: Rows,
    /// By last seq.
    pub(super) runs: BTreeMap<Seq, RunEntry>,
    /// Runs whose bytes went bad, by last seq.
    pub(super) corrupt: BTreeSet<Seq>,
}

impl Stream {
    /// Chain at a run boundary at or above the base.
    pub(super) fn chain_at(&self, seq: Seq) -> Option<Chain> {
        if seq == self.head.base.seq {
            return Some(self.head.base.chain);
        }
        self.runs.get(&seq).map(|entry| entry.chain)
    }
}

/// Everything that one disk holds. A clone is a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub(super) streams: BTreeMap<StreamId, Stream>,
    /// Earlier incarnations, oldest first, without rows.
    pub(super) archived: BTreeMap<StreamId, Vec<Stream>>,
    pub(super) locals: BTreeMap<String, Vec<u8>>,
}

/// The way back over one batch. Parts are moved in, not copied.
#[derive(Clone, Debug, Default)]
pub(super) struct Undo(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    Stream { stream: StreamId, previous: Option<Box<Stream>> },
    Archived { stream: StreamId, previous: Option<Vec<Stream>> },
    Head { stream: StreamId, head: Box<StreamHead> },
    Run { stream: StreamId, last: Seq },
    Row { stream: StreamId, key: Vec<u8>, previous: Option<Vec<u8>> },
    Rows { stream: StreamId, rows: Rows },
    Trimmed { stream: StreamId, runs: BTreeMap<Seq, RunEntry>, base_rows: Rows },
    Local { key: String, previous: Option<Vec<u8>> },
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

fn keyed(rows: Vec<Row>) -> Rows {
    rows.into_iter().map(|row| (row.key, row.value)).collect()
}

impl Image {
    /// Applies a batch wholly, or not at all.
    pub(super) fn apply(&mut self, batch: Batch) -> Result<Undo, StoreError> {
        let mut undo = Undo::default();
        for op in batch.ops {
            if let Err(error) = self.apply_op(op, &mut undo.0) {
                self.take_back(undo);
                return Err(error);
            }
        }
        Ok(undo)
    }

    fn stream(&mut self, stream: &StreamId) -> Result<&mut Stream, StoreError> {
        rules::present(stream, self.streams.get_mut(stream))
    }

    /// Remembers a head before it changes.
    fn head(&mut self, stream: &StreamId, undo: &mut Vec<Step>) -> Option<&mut StreamHead> {
        let head = &mut self.streams.get_mut(stream)?.head;
        undo.push(Step::Head { stream: stream.clone(), head: Box::new(head.clone()) });
        Some(head)
    }

    fn apply_op(&mut self, op: Op, undo: &mut Vec<Step>) -> Result<(), StoreError> {
        match op {
            Op::Begin { stream, base, rows } => {
                let head = rules::begin(&stream, &base, &rows)?;
                let (rows, runs, corrupt) = (keyed(rows), BTreeMap::new(), BTreeSet::new());
                let new = Stream { head, base_rows: rows.clone(), rows, runs, corrupt };
                self.archive(&stream, base.log_id, undo);
                let previous = self.streams.insert(stream.clone(), new).map(Box::new);
                undo.push(Step::Stream { stream, previous });
            }
            Op::Append { stream, previous, run, chain } => {
                rules::append(&stream, self.head(&stream, undo), previous, &run, chain)?;
                let last = run.last();
                self.stream(&stream)?.runs.insert(last, RunEntry { run, chain });
                undo.push(Step::Run { stream, last });
            }
            Op::PutRow { stream, key, value } => self.set_row(stream, key, Some(value), undo)?,
            Op::DeleteRow { stream, key } => self.set_row(stream, key, None, undo)?,
            Op::SetCursor { stream, cursor } => {
                let head = rules::present(&stream, self.head(&stream, undo))?;
                rules::set_cursor(&stream, head, cursor)?;
            }
            Op::Bind { stream, log_id, epoch } => {
                rules::bind(&stream, self.head(&stream, undo), log_id, epoch)?;
            }
            Op::Trim { stream, base, rows } => {
                let chain = self.stream(&stream)?.chain_at(base.seq);
                let head = rules::present(&stream, self.head(&stream, undo))?;
                rules::trim(&stream, head, &base, &rows, |_| Ok(chain))?;
                let here = self.stream(&stream)?;
                let kept = here.runs.split_off(&base.seq.next());
                let runs = std::mem::replace(&mut here.runs, kept);
                let base_rows = std::mem::replace(&mut here.base_rows, keyed(rows));
                undo.push(Step::Trimmed { stream, runs, base_rows });
            }
            Op::ClearRows { stream } => {
                let rows = std::mem::take(&mut self.stream(&stream)?.rows);
                undo.push(Step::Rows { stream, rows });
            }
            Op::Forget { stream, log_id } => self.forget(&stream, log_id, undo),
            Op::Drop { stream } => {
                let archived = self.archived.remove(&stream);
                undo.push(Step::Archived { stream: stream.clone(), previous: archived });
                let previous = rules::present(&stream, self.streams.remove(&stream))?;
                undo.push(Step::Stream { stream, previous: Some(Box::new(previous)) });
            }
            Op::PutLocal { key, value } => self.set_local(key, Some(value), undo),
            Op::DeleteLocal { key } => self.set_local(key, None, undo),
        }
        Ok(())
    }

    /// Before `next` begins: what is current goes to the archive, unless it is that log itself.
    fn archive(&mut self, stream: &StreamId, next: LogId, undo: &mut Vec<Step>) {
        self.forget(stream, next, undo);
        if let Some(old) = self.streams.get(stream).filter(|old| old.head.base.log_id != next) {
            let old = Stream { rows: Rows::new(), base_rows: Rows::new(), ..old.clone() };
            let archived = self.archived.entry(stream.clone()).or_default();
            undo.push(Step::Archived { stream: stream.clone(), previous: Some(archived.clone()) });
            archived.push(old);
        }
    }

    fn forget(&mut self, stream: &StreamId, log_id: LogId, undo: &mut Vec<Step>) {
        if let Some(archived) = self.archived.get_mut(stream) {
            undo.push(Step::Archived { stream: stream.clone(), previous: Some(archived.clone()) });
            archived.retain(|old| old.head.base.log_id != log_id);
        }
    }

    fn set_row(
        &mut self,
        stream: StreamId,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
        undo: &mut Vec<Step>,
    ) -> Result<(), StoreError> {
        let previous = put(&mut self.stream(&stream)?.rows, key.clone(), value);
        undo.push(Step::Row { stream, key, previous });
        Ok(())
    }

    fn set_local(&mut self, key: String, value: Option<Vec<u8>>, undo: &mut Vec<Step>) {
        let previous = put(&mut self.locals, key.clone(), value);
        undo.push(Step::Local { key, previous });
    }

    /// Undoes what `apply` did; later batches first.
    pub(super) fn take_back(&mut self, undo: Undo) {
        for step in undo.0.into_iter().rev() {
            match step {
                Step::Stream { stream, previous } => {
                    put(&mut self.streams, stream, previous.map(|p| *p));
                }
                Step::Archived { stream, previous } => {
                    put(&mut self.archived, stream, previous.filter(|archived| !archived.is_empty()));
                }
                Step::Local { key, previous } => {
                    put(&mut self.locals, key, previous);
                }
                Step::Head { stream, head } => self.within(&stream, |s| s.head = *head),
                Step::Run { stream, last } => self.within(&stream, |s| drop(s.runs.remove(&last))),
                Step::Row { stream, key, previous } => {
                    self.within(&stream, |s| drop(put(&mut s.rows, key, previous)));
                }
                Step::Rows { stream, rows } => self.within(&stream, |s| s.rows = rows),
                Step::Trimmed { stream, mut runs, base_rows } => self.within(&stream, |s| {
                    runs.append(&mut s.runs);
                    (s.runs, s.base_rows) = (runs, base_rows);
                }),
            }
        }
    }

    /// Steps name only streams that were there when they were taken, so undo finds each again.
    fn within(&mut self, stream: &StreamId, change: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.streams.get_mut(stream) {
            change(stream);
        }
    }
}
