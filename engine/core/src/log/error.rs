//! What a store may answer instead of `Ok`.

use ledge_schemas::{LogId, Seq, StreamId};

use crate::Chain;

/// The tail was not the expected one. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stream} ends at {log_id:?}:{tail}, not where the append expected it")]
pub struct AppendMismatch {
    /// Which stream.
    pub stream: StreamId,
    /// Incarnation that is there; `None` if the stream is not.
    pub log_id: Option<LogId>,
    /// Its last seq.
    pub tail: Seq,
    /// Chain there.
    pub chain: Option<Chain>,
}

/// See each variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Compare-and-append found another tail. Nothing was written.
    #[error(transparent)]
    Mismatch(#[from] AppendMismatch),
    /// The stream is not here.
    #[error("{0} is not in this store")]
    NoStream(StreamId),
    /// The asked range lies below the base.
    #[error("{stream} begins at {oldest}; {asked} was trimmed")]
    Trimmed {
        /// Which stream.
        stream: StreamId,
        /// Seq that was asked for.
        asked: Seq,
        /// Seq of the base.
        oldest: Seq,
    },
    /// The asked seq is inside a run, or above the tail.
    #[error("{stream}: no run ends at {asked}")]
    NotABoundary {
        /// Which stream.
        stream: StreamId,
        /// Seq that was asked for.
        asked: Seq,
    },
    /// A batch that breaks the contract (a hole, a wrong chain, rows out of order).
    #[error("{stream}: {why}")]
    Invalid {
        /// Which stream.
        stream: StreamId,
        /// What is wrong.
        why: String,
    },
    /// Bytes at rest fail their checksum or chain. Not served; see `ledge-replay verify`.
    #[error("{place} is corrupt: {why}. It is not served; stop the process and run `ledge-replay verify`")]
    Corrupt {
        /// Where.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// No room on the disk, noticed before anything was written. Passes when there is room again.
    #[error("no room: {free} bytes free, {needed} needed. Free some space; nothing was lost")]
    Full {
        /// Bytes free.
        free: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// The write failed underway: whether it is there is known only after opening again.
    #[error("write failed, its outcome is unknown until the store is opened again: {0}")]
    Failed(String),
    /// An earlier write failed; nothing is taken until the store is opened again.
    #[error("an earlier write failed; the store must be opened again")]
    Poisoned,
    /// A read failed.
    #[error("read failed: {0}")]
    Read(String),
}

impl StoreError {
    /// Whether the same call may succeed later on the same store.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
