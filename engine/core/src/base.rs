//! What a stored stream begins with. Whatever was not delivered event by event (a snapshot, a
//! trimmed range, a tail lost in the cloud) is a new base, never a hole.

use bincode::{Decode, Encode};
use ledge_schemas::{Epoch, LogId, Position, Seq, format};

use crate::{Chain, Digest};

/// One row of a view: its key and its canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Row {
    /// Key, unique in its stream's view.
    pub key: Vec<u8>,
    /// Canonical bytes; see [`crate::view`].
    pub value: Vec<u8>,
}

/// Why a base stands where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum BaseReason {
    /// A new stream; no rows.
    New,
    /// Older events were trimmed.
    Trimmed,
    /// The writer's tail was lost (restored disk); rows are what it still had.
    TailLost,
    /// The reader's and the writer's logs had parted; rows are what both know.
    Reconciled,
}

/// Head of a base; its rows are stored and sent beside it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Base {
    /// Incarnation.
    pub log_id: LogId,
    /// Its number; [`Epoch::PROVISIONAL`] until the cloud gave one. Not hashed.
    pub epoch: Epoch,
    /// Last event that the rows hold; zero for a log that begins here.
    pub seq: Seq,
    /// Chain at `seq`.
    pub chain: Chain,
    /// Version of the view that wrote the rows.
    pub view_version: u16,
    /// Digest of the rows.
    pub digest: Digest,
    /// Why it stands here.
    pub reason: BaseReason,
}

impl Base {
    /// The base of a log that begins with these rows.
    #[must_use]
    pub fn begin(log_id: LogId, epoch: Epoch, digest: Digest, reason: BaseReason) -> Self {
        let chain = Chain::genesis(log_id, Seq::ZERO, digest);
        Self { log_id, epoch, seq: Seq::ZERO, chain, view_version: format::VIEW, digest, reason }
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }
}
