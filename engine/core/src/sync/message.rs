//! What both sides say.

use bincode::{Decode, Encode};
use bytes::Bytes;
use ledge_schemas::{Epoch, Kind, LogId, NodeName, Position, Seq};

pub use ledge_schemas::kinds::control::Direction;

use crate::{Base, Chain, Digest, Row};

/// One message of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Edge: who it is and what it has.
    Hello(Box<Hello>),
    /// Cloud: the session's number and what is to be done.
    Welcome(Box<Welcome>),
    /// Cloud: no session.
    Refuse(Refuse),
    /// Edge: the number is stored; what it found.
    Confirm(Confirm),
    /// Runs of one stream, as [`crate::frame`] packs them.
    Frame {
        /// Which stream.
        direction: Direction,
        /// The frame.
        frame: Bytes,
    },
    /// A part of a base.
    Base(Box<BaseChunk>),
    /// Everything of a stream through here is durable at the sender of this.
    Ack(Ack),
    /// Edge: alive.
    Ping(Beat),
    /// Cloud: alive too.
    Pong(Beat),
    /// Edge: current rows ahead of the history.
    Overlay(Overlay),
    /// Edge: its view of `down` stays different; a base is wanted.
    WantBase,
}

/// Where a stream stands at the sender.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StreamState {
    /// Incarnation.
    pub log_id: LogId,
    /// Its number, [`Epoch::PROVISIONAL`] if it has none yet.
    pub epoch: Epoch,
    /// Seq of the base.
    pub oldest: Seq,
    /// Last seq.
    pub head: Seq,
    /// Chain at `head`.
    pub chain: Chain,
}

/// See [`Message::Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// Its name; must be the certificate's.
    pub node: NodeName,
    /// Highest session number that it stored; 0 for none.
    pub session: u64,
    /// Oldest protocol it speaks.
    pub protocol_oldest: u16,
    /// Newest protocol it speaks.
    pub protocol: u16,
    /// Kinds that it reads.
    pub kinds: Vec<Kind>,
    /// Version of its views.
    pub view_version: u16,
    /// Its clock, Unix milliseconds.
    pub now_ms: u64,
    /// Its own stream.
    pub up: StreamState,
    /// What the cloud told it that it had accepted of `up.log_id`.
    pub up_accepted: Seq,
    /// The cloud's stream, if it has any of it.
    pub down: Option<StreamState>,
    /// Store id of the cloud that it last had a session with.
    pub store_id: Option<LogId>,
}

/// See [`Message::Welcome`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Welcome {
    /// Number of this session; counts from its confirmation on.
    pub session: u64,
    /// Protocol that will be spoken.
    pub protocol: u16,
    /// Name of the cloud's store.
    pub store_id: LogId,
    /// The cloud's clock, Unix milliseconds.
    pub now_ms: u64,
    /// Milliseconds between two heartbeats of the edge.
    pub heartbeat_ms: u32,
    /// Unacknowledged frames that the edge may have.
    pub credit_frames: u32,
    /// Unacknowledged bytes that the edge may have.
    pub credit_bytes: u32,
    /// Epoch of the edge's `up` log.
    pub up_epoch: Epoch,
    /// What becomes of `up`.
    pub up: UpPlan,
    /// What becomes of `down`.
    pub down: DownPlan,
}

/// What becomes of `up`, as far as the cloud can tell.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum UpPlan {
    /// The cloud ends here; the edge compares and sends what follows.
    Continue {
        /// Last seq in the cloud.
        tail: Seq,
        /// Chain there.
        chain: Chain,
    },
    /// The cloud has nothing of this log: base and everything after it are wanted.
    Begin,
    /// The cloud holds more of this log than the edge: the edge lost its tail and begins a new log.
    NewLog,
}

/// What becomes of `down`, as far as the cloud can tell.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DownPlan {
    /// The edge is on the cloud's chain and gets what follows.
    Send,
    /// The edge gets a base.
    Base,
    /// The cloud ends here, below the edge: it lost events; the edge compares and offers them.
    Offer {
        /// Last seq in the cloud.
        tail: Seq,
        /// Chain there.
        chain: Chain,
    },
    /// The logs have parted, or the cloud has none: it wants the edge's rows.
    Rows,
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum RefuseCode {
    /// A clone, an old copy or a fork: an operator must decide.
    Quarantined,
    /// No common protocol.
    Protocol,
    /// Too busy: come back later.
    Busy,
    /// The certificate names another node, or is revoked.
    Identity,
    /// A newer session of this node is confirmed.
    Fenced,
    /// The store does not take anything now.
    Store,
}

/// See [`Message::Refuse`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refuse {
    /// For programs.
    pub code: RefuseCode,
    /// For people.
    pub text: String,
    /// Milliseconds to wait before the next try.
    pub retry_after_ms: u32,
}

/// See [`Message::Confirm`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Confirm {
    /// The stored number.
    pub session: u64,
    /// Incarnation of `up`.
    pub up_log: LogId,
    /// What it found of `up`.
    pub up: UpVerdict,
    /// What it found of `down`.
    pub down: DownVerdict,
}

/// What the edge found of `up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum UpVerdict {
    /// The cloud's tail is on its chain: it sends what follows.
    Resume,
    /// It sends its base, then everything.
    FromBase,
    /// The chains differ.
    Forked,
}

/// What the edge found of `down`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DownVerdict {
    /// As planned.
    AsPlanned,
    /// The cloud's tail is on its chain: it offers its runs through here.
    Offer {
        /// Last seq that it will offer.
        through: Seq,
    },
    /// The chains differ: it sends its rows.
    Forked,
}

/// A part of a base, or of the rows asked for by [`DownPlan::Rows`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BaseChunk {
    /// Which stream.
    pub direction: Direction,
    /// Number of this part, from 0.
    pub index: u32,
    /// Whether it is the last.
    pub last: bool,
    /// Head of the base; the same in every part.
    pub base: Base,
    /// Rows, ascending over all parts.
    pub rows: Vec<Row>,
}

/// See [`Message::Ack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ack {
    /// Which stream.
    pub direction: Direction,
    /// Durable through here.
    pub seq: Seq,
    /// Chain there, read back after the durability point: this is the proof.
    pub chain: Chain,
}

/// See [`Message::Ping`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Beat {
    /// Counts up; a pong repeats its ping's.
    pub number: u64,
    /// The last acknowledgement again, so that a lost one costs nothing.
    pub ack: Option<Ack>,
    /// Digests of the sender's views.
    pub digests: Vec<ViewDigest>,
}

/// Digest of the view over one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ViewDigest {
    /// Which stream.
    pub direction: Direction,
    /// Incarnation.
    pub log_id: LogId,
    /// Position.
    pub seq: Seq,
    /// Version of the view.
    pub view_version: u16,
    /// The digest.
    pub digest: Digest,
}

/// See [`Message::Overlay`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Overlay {
    /// `up` position that the rows reflect.
    pub position: Position,
    /// Rows that changed since the cloud's tail.
    pub rows: Vec<Row>,
}
