//! Arranging: streams, bases and runs in a line.

use ledge_core::log::{Cursor, Op};
use ledge_core::{Base, BaseReason, Chain, Digest, Row, Run};
use ledge_schemas::{Epoch, Event, Hlc, Kind, LogId, NodeName, Seq, StreamId, format};

/// The `up` stream of a node.
pub(super) fn up(node: &str) -> StreamId {
    StreamId::Up(NodeName::new(node).unwrap())
}

pub(super) fn row(key: &str, value: &str) -> Row {
    Row { key: key.into(), value: value.into() }
}

/// The writer's side of one stream: makes operations that continue it.
#[derive(Clone, Debug)]
pub struct Tape {
    /// Which stream.
    pub stream: StreamId,
    /// What it begins with.
    pub base: Base,
    /// Rows of the base.
    pub base_rows: Vec<Row>,
    /// Last seq made so far.
    pub tail: Seq,
    /// Chain there.
    pub chain: Chain,
    /// Digest of the view's rows.
    pub digest: Digest,
}

impl Tape {
    /// A new log that begins with these rows.
    #[must_use]
    pub fn new(stream: StreamId, log: u8, rows: Vec<Row>) -> Self {
        let digest = Digest::of(rows.iter().map(|r| (&r.key[..], &r.value[..])));
        let base = Base::begin(LogId([log; 16]), Epoch::PROVISIONAL, digest, BaseReason::New);
        Self { stream, tail: base.seq, chain: base.chain, base, base_rows: rows, digest }
    }

    /// The begin of the stream.
    #[must_use]
    pub fn begin(&self) -> Op {
        Op::Begin { stream: self.stream.clone(), base: self.base.clone(), rows: self.base_rows.clone() }
    }

    /// The next run, of one event for each body.
    #[must_use]
    pub fn run(&mut self, bodies: &[&str]) -> Op {
        let event = |body: &&str| Event {
            hlc: Hlc(self.tail.0),
            kind: Kind(204),
            key: "k".into(),
            cause: None,
            seen: None,
            body: body.as_bytes().to_vec(),
        };
        let events: Vec<_> = bodies.iter().map(event).collect();
        let run = Run::encode(self.base.log_id, self.tail.next(), &events).unwrap();
        let previous = self.chain;
        (self.tail, self.chain) = (run.last(), previous.then(run.bytes()));
        Op::Append { stream: self.stream.clone(), previous, run, chain: self.chain }
    }

    /// Sets a row of the view.
    #[must_use]
    pub fn put(&self, key: &str, value: &str) -> Op {
        Op::PutRow { stream: self.stream.clone(), key: key.into(), value: value.into() }
    }

    /// The view is at the tail.
    #[must_use]
    pub fn cursor(&self) -> Op {
        let cursor = Cursor { applied: self.tail, view_version: format::VIEW, digest: self.digest };
        Op::SetCursor { stream: self.stream.clone(), cursor }
    }

    /// The base that stands at the tail, with these rows.
    #[must_use]
    pub fn trim(&self, rows: Vec<Row>) -> Op {
        let digest = Digest::of(rows.iter().map(|r| (&r.key[..], &r.value[..])));
        let reason = BaseReason::Trimmed;
        let base = Base { seq: self.tail, chain: self.chain, digest, reason, ..self.base.clone() };
        Op::Trim { stream: self.stream.clone(), base, rows }
    }
}
