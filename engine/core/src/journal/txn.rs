//! The transaction: what several commands change, committed as one batch.

use std::collections::BTreeMap;

use ledge_schemas::{Cause, Epoch, Event, EventRef, Kind, Position, Seq, StreamId, limits};

use super::overlay::{Pending, StreamRows};
use super::{Journal, cursor_at, fold};
use crate::broken::{self, Bug};
use crate::log::{AppendMismatch, Batch, Cursor, Op, Store, StoreError, StreamHead};
use crate::view::{self, Applied};
use crate::{Base, BaseReason, Chain, Row, Run};

/// An event that is about to be appended; the journal adds clock and seq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// See [`Event::kind`].
    pub kind: Kind,
    /// See [`Event::key`].
    pub key: String,
    /// See [`Event::cause`].
    pub cause: Option<Cause>,
    /// See [`Event::seen`].
    pub seen: Option<Position>,
    /// See [`Event::body`].
    pub body: Vec<u8>,
}

impl Draft {
    /// From a typed body.
    pub fn new<B: ledge_schemas::kinds::Body>(
        key: impl Into<String>,
        body: &B,
    ) -> Result<Self, ledge_schemas::CodecError> {
        Ok(Self { kind: B::KIND, key: key.into(), cause: None, seen: None, body: body.to_body()? })
    }
}

/// What a commit made durable: the new tail of each stream that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Streams and their tails.
    pub tails: Vec<(StreamId, Position)>,
}

#[derive(Debug)]
pub(super) enum Undo {
    Row { index: usize, key: Vec<u8>, previous: Option<Option<Vec<u8>>> },
    Tail { index: usize, tail: Seq, cursor: Cursor },
    Event { index: usize },
    Stream { index: usize, previous: Option<Box<Pending>> },
    Local { key: String, previous: Option<Option<Vec<u8>>> },
}

/// See the module.
#[derive(Debug)]
pub struct Txn<'j, S> {
    journal: &'j mut Journal<S>,
    now_ms: u64,
    streams: Vec<(StreamId, Option<Pending>)>,
    locals: BTreeMap<String, Option<Vec<u8>>>,
    undo: Vec<Undo>,
    bytes: usize,
}

impl<'j, S: Store> Txn<'j, S> {
    pub(super) fn new(journal: &'j mut Journal<S>, now_ms: u64) -> Self {
        let (streams, locals, undo) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { journal, now_ms, streams, locals, undo, bytes: 0 }
    }

    /// Unix milliseconds at which this transaction began.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Runs one command; if it errs, nothing of it stays.
    pub fn command<R, E>(&mut self, command: impl FnOnce(&mut Self) -> Result<R, E>) -> Result<R, E> {
        self.undo.clear();
        let bytes = self.bytes;
        let result = command(self);
        if result.is_err() {
            self.bytes = bytes;
            while let Some(step) = self.undo.pop() {
                self.take_back(step);
            }
        }
        result
    }

    fn take_back(&mut self, step: Undo) {
        match step {
            Undo::Row { index, key, previous } => {
                if let Some(pending) = &mut self.streams[index].1 {
                    match previous {
                        Some(previous) => pending.rows.insert(key, previous),
                        None => pending.rows.remove(&key),
                    };
                }
            }
            Undo::Tail { index, tail, cursor } => {
                if let Some(pending) = &mut self.streams[index].1 {
                    (pending.head.tail, pending.head.cursor) = (tail, cursor);
                }
            }
            Undo::Event { index } => {
                if let Some(pending) = &mut self.streams[index].1 {
                    pending.events.pop();
                }
            }
            Undo::Stream { index, previous } => self.streams[index].1 = previous.map(|p| *p),
            Undo::Local { key, previous } => {
                match previous {
                    Some(previous) => self.locals.insert(key, previous),
                    None => self.locals.remove(&key),
                };
            }
        }
    }

    /// Where a stream stands, this transaction included.
    pub fn head(&mut self, stream: &StreamId) -> Option<StreamHead> {
        match self.streams.iter().find(|(id, _)| id == stream) {
            Some((_, pending)) => pending.as_ref().map(|p| p.head.clone()),
            None => self.journal.head(stream).cloned(),
        }
    }

    /// One row, this transaction included. `None` also if the stream is not here.
    pub fn row(&self, stream: &StreamId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.streams.iter().find(|(id, _)| id == stream) {
            Some((_, Some(pending))) => pending.row(&self.journal.store, stream, key),
            Some((_, None)) => Ok(None),
            None if self.journal.head(stream).is_none() => Ok(None),
            None => self.journal.store.row(stream, key),
        }
    }

    /// Rows whose keys begin with `prefix`, this transaction included. Empty if the stream is not here.
    pub fn rows(&self, stream: &StreamId, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        match self.streams.iter().find(|(id, _)| id == stream) {
            Some((_, Some(pending))) => pending.scan(&self.journal.store, stream, prefix),
            Some((_, None)) => Ok(BTreeMap::new()),
            None => match self.journal.head(stream) {
                Some(head) => Pending::new(head.clone()).scan(&self.journal.store, stream, prefix),
                None => Ok(BTreeMap::new()),
            },
        }
    }

    /// A local value, this transaction included.
    pub fn local(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.locals.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.journal.store.local(key),
        }
    }

    /// Sets a local value; `None` removes it.
    pub fn set_local(&mut self, key: &str, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        let previous = self.locals.insert(key.to_owned(), value);
        self.undo.push(Undo::Local { key: key.to_owned(), previous });
    }

    /// Index of a stream's pending changes; the stream may not exist yet.
    fn index(&mut self, stream: &StreamId) -> usize {
        if let Some(index) = self.streams.iter().position(|(id, _)| id == stream) {
            return index;
        }
        let pending = self.journal.head(stream).cloned().map(Pending::new);
        self.streams.push((stream.clone(), pending));
        self.streams.len() - 1
    }

    /// Copies a stream's pending changes for undo before a change of the rare, large sort.
    fn remember(&mut self, index: usize) {
        let previous = self.streams[index].1.clone().map(Box::new);
        self.undo.push(Undo::Stream { index, previous });
    }

    /// Appends an event and applies it; returns its position.
    pub fn append(&mut self, stream: &StreamId, draft: Draft) -> Result<Position, StoreError> {
        let invalid = |why: String| StoreError::Invalid { stream: stream.clone(), why };
        if draft.key.len() > limits::EVENT_KEY {
            return Err(invalid(format!("key of {} bytes; {} at most", draft.key.len(), limits::EVENT_KEY)));
        }
        if draft.body.len() > limits::EVENT_BODY {
            return Err(invalid(format!(
                "body of {} bytes; {} at most",
                draft.body.len(),
                limits::EVENT_BODY
            )));
        }
        let index = self.index(stream);
        self.journal.hlc = self.journal.hlc.tick(self.now_ms);
        let Draft { kind, key, cause, seen, body } = draft;
        let event = Event { hlc: self.journal.hlc, kind, key, cause, seen, body };
        let (id, Some(pending)) = &mut self.streams[index] else {
            return Err(StoreError::NoStream(stream.clone()));
        };
        self.bytes += event.body.len() + event.key.len() + 64;
        self.undo.push(Undo::Tail { index, tail: pending.head.tail, cursor: pending.head.cursor });
        let at = Position { epoch: pending.head.base.epoch, seq: pending.head.tail.next() };
        pending.head.tail = at.seq;
        let borrowed = EventRef {
            hlc: event.hlc,
            kind: event.kind,
            key: &event.key,
            cause: event.cause.clone(),
            seen: event.seen,
            body: &event.body,
        };
        let (store, undo) = (&self.journal.store, &mut self.undo);
        let applied = apply(store, id, index, pending, undo, at, &borrowed)?;
        count(&mut self.journal.counters, applied);
        pending.events.push(event);
        self.undo.push(Undo::Event { index });
        Ok(at)
    }

    /// Appends a run of another writer verbatim and applies its events.
    pub fn append_run(&mut self, stream: &StreamId, run: &Run) -> Result<Position, StoreError> {
        let index = self.index(stream);
        self.remember(index);
        self.seal(index)?;
        let (id, Some(pending)) = &mut self.streams[index] else {
            return Err(mismatch(stream, None).into());
        };
        let head = &pending.head;
        if broken::is(Bug::ApplyTwice) && run.last() <= head.tail {
            for (seq, event) in run.events().filter_map(Result::ok) {
                let at = Position { epoch: pending.head.base.epoch, seq };
                apply(&self.journal.store, id, index, pending, &mut self.undo, at, &event)?;
            }
            return Ok(pending.head.position());
        }
        if run.log_id() != head.base.log_id || run.first() != head.tail.next() {
            return Err(mismatch(stream, Some(head)).into());
        }
        let (previous, chain) = (head.chain, head.chain.then(run.bytes()));
        self.bytes += run.bytes().len();
        pending.ops.push(Op::Append { stream: stream.clone(), previous, run: run.clone(), chain });
        pending.head.chain = chain;
        let mut events: Vec<_> = run.events().collect();
        if broken::is(Bug::ApplyOutOfOrder) {
            events.reverse();
        }
        for event in events {
            let (seq, event) = event
                .map_err(|error| StoreError::Invalid { stream: stream.clone(), why: error.to_string() })?;
            let at = Position { epoch: pending.head.base.epoch, seq };
            pending.head.tail = seq.max(pending.head.tail);
            self.journal.hlc = self.journal.hlc.max(event.hlc);
            let applied = apply(&self.journal.store, id, index, pending, &mut self.undo, at, &event)?;
            count(&mut self.journal.counters, applied);
        }
        Ok(pending.head.position())
    }

    /// Chain at a run boundary: of what is durable, or of this transaction's tail.
    pub fn chain_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<Chain>, StoreError> {
        self.journal.store.chain_at(stream, seq)
    }

    /// The durable run that holds `seq`.
    pub fn run_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<Run>, StoreError> {
        Ok(self.journal.store.run_at(stream, seq)?.map(|entry| entry.run))
    }

    /// Chain at the stream's tail, this transaction included: what stands outside a run is cut into
    /// runs here.
    pub fn sealed_chain(&mut self, stream: &StreamId) -> Result<Chain, StoreError> {
        let index = self.index(stream);
        self.remember(index);
        self.seal(index)?;
        let pending = self.streams[index].1.as_ref();
        pending.map(|p| p.head.chain).ok_or_else(|| StoreError::NoStream(stream.clone()))
    }

    /// Rebuilds the view over a stream from base and log. Alone in its transaction.
    pub fn refold(&mut self, stream: &StreamId) -> Result<(), StoreError> {
        let folded = fold(&self.journal.store, stream, None).map_err(|e| e.into_store(stream))?;
        let index = self.index(stream);
        self.remember(index);
        let Some(pending) = &mut self.streams[index].1 else {
            return Err(StoreError::NoStream(stream.clone()));
        };
        pending.head.cursor = folded.cursor;
        pending.rows = folded.rows.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect();
        pending.instead = Some(BTreeMap::new());
        pending.ops.push(Op::ClearRows { stream: stream.clone() });
        Ok(())
    }

    /// Begins a stream, in place of an earlier incarnation, with these rows as base and view.
    pub fn begin(&mut self, stream: &StreamId, base: Base, mut rows: Vec<Row>) -> Result<(), StoreError> {
        rows.sort();
        let digest = crate::Digest::of(rows.iter().map(|row| (&row.key[..], &row.value[..])));
        if digest != base.digest {
            let why = format!("base states digest {:?}, its rows have {digest:?}", base.digest);
            return Err(StoreError::Invalid { stream: stream.clone(), why });
        }
        let index = self.index(stream);
        self.remember(index);
        let cursor = cursor_at(base.seq, base.digest);
        let head = StreamHead { tail: base.seq, chain: base.chain, base: base.clone(), cursor };
        let mut pending = Pending::new(head);
        self.bytes += rows.iter().map(|row| row.key.len() + row.value.len()).sum::<usize>();
        pending.instead = Some(rows.iter().map(|row| (row.key.clone(), row.value.clone())).collect());
        pending.ops.push(Op::Begin { stream: stream.clone(), base, rows });
        self.streams[index].1 = Some(pending);
        Ok(())
    }

    /// Gives a provisional log its epoch.
    pub fn bind(&mut self, stream: &StreamId, epoch: Epoch) -> Result<(), StoreError> {
        let index = self.index(stream);
        self.remember(index);
        let Some(pending) = &mut self.streams[index].1 else {
            return Err(StoreError::NoStream(stream.clone()));
        };
        let log_id = pending.head.base.log_id;
        pending.head.base.epoch = epoch;
        pending.ops.push(Op::Bind { stream: stream.clone(), log_id, epoch });
        Ok(())
    }

    /// Moves the base up to a run boundary and drops what is below. Not in one transaction with
    /// other changes of the same stream.
    pub fn trim(&mut self, stream: &StreamId, through: Seq) -> Result<(), StoreError> {
        let folded = fold(&self.journal.store, stream, Some(through)).map_err(|e| e.into_store(stream))?;
        let index = self.index(stream);
        self.remember(index);
        let Some(pending) = &mut self.streams[index].1 else {
            return Err(StoreError::NoStream(stream.clone()));
        };
        let base = Base {
            seq: through,
            chain: folded.chain,
            view_version: folded.cursor.view_version,
            digest: folded.cursor.digest,
            reason: BaseReason::Trimmed,
            ..pending.head.base.clone()
        };
        pending.head.base = base.clone();
        let rows = folded.rows.into_iter().map(|(key, value)| Row { key, value }).collect();
        pending.ops.push(Op::Trim { stream: stream.clone(), base, rows });
        Ok(())
    }

    /// Cuts the events that stand outside a run into runs.
    fn seal(&mut self, index: usize) -> Result<(), StoreError> {
        let (stream, Some(pending)) = &mut self.streams[index] else { return Ok(()) };
        let events = std::mem::take(&mut pending.events);
        let mut first = Seq(pending.head.tail.0 - events.len() as u64 + 1);
        let mut rest = &events[..];
        while !rest.is_empty() {
            let count = run_length(rest);
            let run = Run::encode(pending.head.base.log_id, first, &rest[..count])
                .map_err(|error| StoreError::Invalid { stream: stream.clone(), why: error.to_string() })?;
            let (previous, chain) = (pending.head.chain, pending.head.chain.then(run.bytes()));
            pending.head.chain = chain;
            first = run.last().next();
            rest = &rest[count..];
            pending.ops.push(Op::Append { stream: stream.clone(), previous, run, chain });
        }
        Ok(())
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let idle = |pending: &Option<Pending>| {
            pending.as_ref().is_none_or(|p| p.ops.is_empty() && p.events.is_empty())
        };
        self.locals.is_empty() && self.streams.iter().all(|(_, pending)| idle(pending))
    }

    /// Roughly how many bytes the commit will write.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes everything durable as one batch.
    pub fn commit(mut self) -> Result<Committed, StoreError> {
        let mut batch = Batch::default();
        let mut committed = Committed::default();
        for index in 0..self.streams.len() {
            self.seal(index)?;
            let (stream, Some(pending)) = &mut self.streams[index] else { continue };
            if pending.ops.is_empty() {
                continue;
            }
            batch.ops.append(&mut pending.ops);
            for (key, value) in std::mem::take(&mut pending.rows) {
                if broken::is(Bug::SkipRows) && self.now_ms.is_multiple_of(7) {
                    continue;
                }
                let stream = stream.clone();
                batch.ops.push(match value {
                    Some(value) => Op::PutRow { stream, key, value },
                    None => Op::DeleteRow { stream, key },
                });
            }
            pending.head.cursor.applied = pending.head.tail;
            batch.ops.push(Op::SetCursor { stream: stream.clone(), cursor: pending.head.cursor });
            committed.tails.push((stream.clone(), pending.head.position()));
        }
        for (key, value) in std::mem::take(&mut self.locals) {
            batch.ops.push(match value {
                Some(value) => Op::PutLocal { key, value },
                None => Op::DeleteLocal { key },
            });
        }
        if batch.ops.is_empty() {
            return Ok(committed);
        }
        self.journal.store.commit(batch)?;
        for (stream, pending) in self.streams {
            if let Some(pending) = pending {
                self.journal.heads.insert(stream, pending.head);
            }
        }
        Ok(committed)
    }
}

fn apply<S: Store>(
    store: &S,
    stream: &StreamId,
    index: usize,
    pending: &mut Pending,
    undo: &mut Vec<Undo>,
    at: Position,
    event: &EventRef<'_>,
) -> Result<Applied, StoreError> {
    let mut rows = StreamRows { store, stream, index, pending, undo };
    view::apply(stream, &mut rows, at, event)
}

fn count(counters: &mut super::Counters, applied: Applied) {
    counters.applied += 1;
    match applied {
        Applied::Done => {}
        Applied::Unknown => counters.unknown += 1,
        Applied::Poison => counters.poison += 1,
    }
}

fn mismatch(stream: &StreamId, head: Option<&StreamHead>) -> AppendMismatch {
    AppendMismatch {
        stream: stream.clone(),
        log_id: head.map(|h| h.base.log_id),
        tail: head.map_or(Seq::ZERO, |h| h.tail),
        chain: head.map(|h| h.chain),
    }
}

/// How many events from the front make one run.
fn run_length(events: &[Event]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&Event| {
        bytes += event.key.len() + event.body.len() + 48;
        bytes <= limits::RUN_BYTES
    };
    events.iter().take(limits::RUN_EVENTS).take_while(fits).count().max(1)
}
