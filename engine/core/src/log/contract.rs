//! What every log keeps to. One conformance suite (crate `ledge-log`) holds each store to it.

use ledge_schemas::{LogId, Position, Seq, StreamId};

use super::{Batch, StoreError};
use crate::{Base, Chain, Digest, Row, Run};

/// Where a stream stands: what it begins with and where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// What the stored stream begins with.
    pub base: Base,
    /// Last durable event; the base's seq if there is none after it.
    pub tail: Seq,
    /// Chain at `tail`.
    pub chain: Chain,
    /// How far the view over this stream is, and its digest. Written in the same commits.
    pub cursor: Cursor,
}

impl StreamHead {
    /// Position of the tail.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { epoch: self.base.epoch, seq: self.tail }
    }
}

/// Progress of the view over one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Last event applied.
    pub applied: Seq,
    /// Version of the view that wrote the rows.
    pub view_version: u16,
    /// Digest of the rows.
    pub digest: Digest,
}

/// A stored run and the chain behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEntry {
    /// The run, its checksum verified when it was read.
    pub run: Run,
    /// Chain at its last event.
    pub chain: Chain,
}

/// The reading side of a [`Store`]. Reads verify checksums: bytes that fail are
/// `StoreError::Corrupt`, never data. Reads show only what is durable.
pub trait Reader {
    /// Every stream here, ascending by id.
    fn streams(&self) -> Result<Vec<StreamId>, StoreError>;

    /// Where a stream stands; `None` if it is not here.
    fn head(&self, stream: &StreamId) -> Result<Option<StreamHead>, StoreError>;

    /// Whole runs after `after`, ascending, until they hold `max_bytes`; at least one if there is
    /// one. `after` must be a run boundary at or above the base, else `StoreError::Trimmed` or
    /// `StoreError::NotABoundary`.
    fn runs(&self, stream: &StreamId, after: Seq, max_bytes: usize) -> Result<Vec<RunEntry>, StoreError>;

    /// The run that holds `seq`; `None` outside (base, tail].
    fn run_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<RunEntry>, StoreError>;

    /// Chain at a run boundary at or above the base; `None` elsewhere.
    fn chain_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<Chain>, StoreError>;

    /// One row of the view over a stream.
    fn row(&self, stream: &StreamId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Rows whose keys begin with `prefix` and lie after `after`, ascending, at most `limit`.
    fn rows(
        &self,
        stream: &StreamId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Rows of the stream's base, ascending, after `after`, at most `limit`.
    fn base_rows(
        &self,
        stream: &StreamId,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Earlier incarnations of a stream, oldest first. Their cursors are as they were at the end.
    fn archived(&self, stream: &StreamId) -> Result<Vec<StreamHead>, StoreError>;

    /// As [`Reader::runs`], of an archived incarnation.
    fn archived_runs(
        &self,
        stream: &StreamId,
        log_id: LogId,
        after: Seq,
        max_bytes: usize,
    ) -> Result<Vec<RunEntry>, StoreError>;

    /// A small local value, outside every stream.
    fn local(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Local values whose keys begin with `prefix`, ascending.
    fn locals(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
}

/// Streams, the rows of the views over them, and small local values, in one place.
///
/// - `commit` is atomic, and durable when it returns `Ok`: it survives loss of power.
/// - After `Err(StoreError::Failed)` the batch may or may not be there when the store is opened
///   again. The store takes no further commit until then, and says so (`StoreError::Poisoned`).
/// - Appends state the tail that they expect. A mismatch is a typed answer that carries the real
///   tail, and nothing of the batch is written.
/// - After any crash a stream is a prefix of what was appended and holds at least what `commit`
///   confirmed; rows and cursors are those of exactly that prefix.
pub trait Store: Reader {
    /// Writes a batch; see the trait.
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError>;
}
