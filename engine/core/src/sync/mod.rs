//! The sync session: what both sides say to each other, as pure state machines.
//!
//! ```text
//!   edge                                              cloud
//!   Hello {session, up, down} ─────────────────────►  commands::cloud::hello   (one transaction)
//!   commands::edge::store_session  ◄───────── Welcome {session n+1, plans} or Refuse
//!   Confirm {verdicts} ────────────────────────────►  commands::cloud::confirm (fencing begins)
//!   Frame(up) … ◄── Ack(up)      Frame(down) … ──► Ack(down)      Ping/Pong: acks again, digests
//! ```
//! Reading order:     message → wire → flow → transfer → edge → cloud → commands.
//! Absent on purpose: time (comes with the input), reconnecting (the driver's), sockets, stores.

mod cloud;
pub mod commands;
mod edge;
mod flow;
pub mod message;
mod session_log;
mod transfer;
pub mod wire;

pub use cloud::CloudSession;
pub use edge::EdgeSession;
pub use message::Message;
pub use session_log::{NodeLog, SessionLog};

use ledge_schemas::{Position, Seq};

use crate::log::StoreError;
use crate::{Base, Row, Run};
use message::{Direction, RefuseCode};

/// Either side of a session, for a driver that runs both alike.
pub trait Session {
    /// Takes an input. `now_ms` is monotonic; `wall_ms` is only compared with the other side's clock.
    fn on(
        &mut self,
        now_ms: u64,
        wall_ms: u64,
        input: Input,
        log: &dyn SessionLog,
    ) -> Result<Vec<Output>, StoreError>;
}

/// Heartbeats after which something owed counts as lost on the way.
const STALLED_BEATS: u64 = 4;

/// Which queue of the connection a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Heartbeats and acknowledgements.
    Liveness,
    /// What is new, and handshakes.
    Live,
    /// What was missed.
    History,
}

/// What a session wants its driver to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this.
    Send(Lane, Message),
    /// Run this command in the journal's writer; answer with [`Input::Done`], in order.
    Command(Command),
    /// Show these rows until the view has passed their position. Volatile.
    Overlay {
        /// `up` position that the rows reflect.
        position: Position,
        /// Changed rows.
        rows: Vec<Row>,
    },
    /// The session is live: frames may flow.
    Live {
        /// Its number.
        session: u64,
    },
    /// Something to count and to log.
    Note(Note),
    /// Close the connection; the session is over.
    Close(CloseReason),
}

/// What a driver tells a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A message came in.
    Message(Message),
    /// The oldest unanswered command ended.
    Done(Result<Answer, StoreError>),
    /// A stream of this node has new events.
    Wake,
    /// Time passed.
    Tick,
}

/// Changes to be made in the journal, by [`commands::run`].
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Edge: keep number and epoch of the session.
    StoreSession(commands::edge::SessionRecord),
    /// Edge: the `up` log cannot go on; begin a new one.
    BeginUp {
        /// Why, for people.
        reason: String,
    },
    /// Edge: the cloud proved it holds `up` through here.
    SetProved {
        /// Proved.
        seq: Seq,
    },
    /// Cloud: answer a hello.
    Hello(Box<message::Hello>),
    /// Cloud: the node confirmed its session.
    Confirm(message::Confirm),
    /// Either: append runs of the other side.
    Append {
        /// Which stream.
        direction: Direction,
        /// Session in which they came.
        session: u64,
        /// The runs.
        runs: Vec<Run>,
    },
    /// Either: a stream begins with this base.
    Install {
        /// Which stream.
        direction: Direction,
        /// Session in which it came.
        session: u64,
        /// Its head.
        base: Base,
        /// Its rows.
        rows: Vec<Row>,
    },
    /// Cloud: begin a new `down` log that holds what both sides know.
    Reconcile {
        /// Session in which the rows came.
        session: u64,
        /// The rows of the edge.
        rows: Vec<Row>,
    },
    /// Cloud: base and rows of `down` as they are now.
    Snapshot,
    /// Either: rebuild the view over a stream.
    Refold {
        /// Which stream.
        direction: Direction,
    },
}

/// What a command gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is done.
    Done,
    /// Answer to a hello.
    Hello(Box<Result<message::Welcome, message::Refuse>>),
    /// The stream now ends here.
    Head {
        /// Last seq.
        seq: Seq,
        /// Chain there.
        chain: crate::Chain,
    },
    /// Base and rows.
    Snapshot(Box<(Base, Vec<Row>)>),
    /// The session is not the node's confirmed one any more.
    Fenced,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The other side does not speak.
    Silent,
    /// The other side speaks, but what it owes does not come.
    Stalled,
    /// The other side broke the protocol.
    Protocol(String),
    /// The store does not take more.
    Store(String),
    /// Refused, or told to go away.
    Refused(RefuseCode, String),
    /// Reconnect at once: a new log was begun.
    Restart,
    /// A newer session of the same node is confirmed.
    Fenced,
}

/// Things that a session met. Counted; most should never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Runs came again and were dropped.
    Duplicate {
        /// How many events.
        events: u64,
    },
    /// The chain that the cloud returned is not ours.
    ChainDiffers {
        /// Which stream.
        direction: Direction,
        /// Where.
        seq: Seq,
    },
    /// Digests of the same position differ.
    Diverged {
        /// Which stream.
        direction: Direction,
        /// Where.
        seq: Seq,
    },
    /// A stream is shorter in the cloud than it had accepted.
    Regressed {
        /// Which stream.
        direction: Direction,
        /// What had been accepted.
        accepted: Seq,
        /// What is there.
        found: Seq,
    },
    /// Difference of the clocks, cloud minus edge, milliseconds, as seen at the handshake.
    ClockOffset(i64),
    /// Watermarks moved: the cloud has accepted and proved `up` through here.
    Proved(Seq),
}
