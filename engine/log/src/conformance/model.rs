//! The slow, obvious model of a store.

use std::collections::BTreeMap;

use ledge_core::Row;
use ledge_core::log::{Batch, Op, Reader, RunEntry, StreamHead};
use ledge_schemas::{LogId, Seq, StreamId};

use crate::rules;

/// Everything that can be read from a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Streams.
    pub streams: BTreeMap<StreamId, ModelStream>,
    /// Earlier incarnations with their runs, oldest first.
    pub archived: BTreeMap<StreamId, Vec<(StreamHead, Vec<RunEntry>)>>,
    /// Local values.
    pub locals: BTreeMap<String, Vec<u8>>,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelStream {
    /// Its head.
    pub head: StreamHead,
    /// Rows of its base.
    pub base_rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Rows of its view.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Its runs.
    pub runs: Vec<RunEntry>,
}

fn keyed(rows: Vec<Row>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    rows.into_iter().map(|row| (row.key, row.value)).collect()
}

impl Model {
    /// Reads everything.
    pub fn observe<R: Reader>(store: &R) -> Self {
        let stream = |id: StreamId| {
            let head = store.head(&id).unwrap().unwrap();
            let stream = ModelStream {
                base_rows: keyed(store.base_rows(&id, None, usize::MAX).unwrap()),
                rows: keyed(store.rows(&id, b"", None, usize::MAX).unwrap()),
                runs: store.runs(&id, head.base.seq, usize::MAX).unwrap(),
                head,
            };
            (id, stream)
        };
        let archived = |id: &StreamId| {
            let runs = |head: StreamHead| {
                let (log_id, base) = (head.base.log_id, head.base.seq);
                let runs = store.archived_runs(id, log_id, base, usize::MAX).unwrap();
                (head, runs)
            };
            (id.clone(), store.archived(id).unwrap().into_iter().map(runs).collect::<Vec<_>>())
        };
        let streams = store.streams().unwrap();
        let archived = streams.iter().map(archived).filter(|(_, old)| !old.is_empty()).collect();
        let streams = streams.into_iter().map(stream).collect();
        Self { streams, archived, locals: store.locals("").unwrap().into_iter().collect() }
    }

    /// Applies a batch that is known to be valid.
    pub fn apply(&mut self, batch: &Batch) {
        for op in &batch.ops {
            self.apply_op(op.clone());
        }
    }

    fn apply_op(&mut self, op: Op) {
        match op {
            Op::Begin { stream, base, rows } => {
                let head = rules::begin(&stream, &base, &rows).unwrap();
                self.forget(&stream, base.log_id);
                if let Some(old) =
                    self.streams.remove(&stream).filter(|old| old.head.base.log_id != base.log_id)
                {
                    self.archived.entry(stream.clone()).or_default().push((old.head, old.runs));
                }
                let (rows, runs) = (keyed(rows), vec![]);
                self.streams.insert(stream, ModelStream { head, base_rows: rows.clone(), rows, runs });
            }
            Op::Append { stream, run, chain, .. } => {
                let here = self.stream(&stream);
                (here.head.tail, here.head.chain) = (run.last(), chain);
                here.runs.push(RunEntry { run, chain });
            }
            Op::PutRow { stream, key, value } => {
                self.stream(&stream).rows.insert(key, value);
            }
            Op::DeleteRow { stream, key } => {
                self.stream(&stream).rows.remove(&key);
            }
            Op::SetCursor { stream, cursor } => self.stream(&stream).head.cursor = cursor,
            Op::Bind { stream, epoch, .. } => self.stream(&stream).head.base.epoch = epoch,
            Op::Trim { stream, base, rows } => {
                let here = self.stream(&stream);
                here.runs.retain(|entry| entry.run.first() > base.seq);
                (here.head.base, here.base_rows) = (base, keyed(rows));
            }
            Op::ClearRows { stream } => self.stream(&stream).rows.clear(),
            Op::Forget { stream, log_id } => self.forget(&stream, log_id),
            Op::Drop { stream } => {
                self.archived.remove(&stream);
                self.streams.remove(&stream);
            }
            Op::PutLocal { key, value } => drop(self.locals.insert(key, value)),
            Op::DeleteLocal { key } => drop(self.locals.remove(&key)),
        }
    }

    fn forget(&mut self, stream: &StreamId, log_id: LogId) {
        let Some(archived) = self.archived.get_mut(stream) else { return };
        archived.retain(|(head, _)| head.base.log_id != log_id);
        if archived.is_empty() {
            self.archived.remove(stream);
        }
    }

    fn stream(&mut self, stream: &StreamId) -> &mut ModelStream {
        self.streams.get_mut(stream).unwrap()
    }
}

impl ModelStream {
    /// Rows as they follow from base and runs, where each event sets the row of its key to its body
    /// and an empty body removes it.
    #[must_use]
    pub fn fold(&self, through: Seq) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut rows = self.base_rows.clone();
        let events = self.runs.iter().flat_map(|entry| entry.run.events()).map(Result::unwrap);
        for (_, event) in events.take_while(|(seq, _)| *seq <= through) {
            match event.body {
                [] => rows.remove(event.key.as_bytes()),
                body => rows.insert(event.key.as_bytes().to_vec(), body.to_vec()),
            };
        }
        rows
    }
}
