//! The seam: what the edge does with messages, whichever of broker and bridge brings them.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

/// What the edge does with messages.
///
/// - `publish` is called once per incoming message on a topic classified [`Claim::Logged`], in the order
///   in which its client sent them. Whatever decides the order in the log happens in the call itself, not
///   in the future, of which up to a window (64 by default) are polled at once per client.
/// - Acknowledgements leave in that same order, each when its future is done.
/// - A future may be dropped before it is done, when the process stops or a client is gone for long; an
///   append that was under way may or may not have happened. The client sends such a message again, with
///   [`Origin::dup`], possibly while the first append still runs.
/// - [`Refusal::Busy`] leads to another call for the same message where the protocol cannot say "later"
///   (3.1.1 and the bridge).
pub trait Handler: Send + Sync + 'static {
    /// What is to be done with messages on this topic. Called for every message: cheap, and never blocks.
    fn classify(&self, topic: &str) -> Claim;

    /// Resolves when the message is durable, or refused. `Ok` is what the `PUBACK` means.
    fn publish(&self, from: Origin, message: Incoming) -> BoxFuture<'static, Result<(), Refusal>>;
}

/// What is to be done with messages on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Goes to the handler; acknowledged, kept if retained, and routed to subscribers after its `Ok`.
    Logged,
    /// Ordinary traffic between clients: the handler never sees it.
    Plain,
    /// Clients may not write here. The text says why, for the log.
    Refused(&'static str),
}

/// Where a message comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client as the broker knows it; behind a bridge, the bridge's own client id, since an external
    /// broker does not tell.
    pub client_id: Arc<str>,
    /// `None` for QoS 0 and for wills. With the client id and the payload's hash it recognises a message
    /// that is sent again.
    pub packet_id: Option<u16>,
    /// The sender says that it sends this again. It is not known whether the first copy arrived.
    pub dup: bool,
}

/// A message as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// A valid topic name.
    pub topic: Arc<str>,
    /// At most the configured packet size.
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Ask of the publisher to keep it for later subscribers; the broker does that after `Ok`.
    pub retain: bool,
}

/// Why a message was not taken. None of these is ever acknowledged as success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not now. v5: reason 0x97, and the client is not read for a while. 3.1.1 and the bridge: the
    /// acknowledgement waits and the message is offered again until it is taken.
    #[error("no room for the message now; it is offered again")]
    Busy,
    /// Never from this client. v5: reason 0x87. 3.1.1: the connection is closed.
    #[error("the client may not publish this")]
    NotAuthorized,
    /// Never with this content; the text says why. v5: reason 0x99 with the text. 3.1.1: the connection is
    /// closed, and since the client will send it again, a handler that can record the bad message answers
    /// `Ok` instead.
    #[error("the payload is refused: {0}")]
    Invalid(String),
    /// The log takes nothing any more: the connection is closed, the client keeps its message.
    #[error("the log is closed")]
    Closed,
}
