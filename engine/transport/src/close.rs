//! How a link ends, and what its users are told.

use std::time::Duration;

use bytes::Bytes;

/// Why a side closed a link: the WebSocket close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// 1000: nothing more to say.
    Normal,
    /// 1001: the process is stopping; reconnect.
    GoingAway,
    /// 1002: the other side broke the protocol.
    Protocol,
    /// 1003: the other side sent text.
    Text,
    /// 1008: not allowed (revoked, fenced off, quarantined).
    Policy,
    /// 1009: the other side sent a message beyond the limit.
    TooLong,
    /// 1013: overloaded; reconnect later.
    TryAgainLater,
    /// Any other code.
    Other(u16),
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        match code {
            CloseCode::Normal => 1000,
            CloseCode::GoingAway => 1001,
            CloseCode::Protocol => 1002,
            CloseCode::Text => 1003,
            CloseCode::Policy => 1008,
            CloseCode::TooLong => 1009,
            CloseCode::TryAgainLater => 1013,
            CloseCode::Other(code) => code,
        }
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        match code {
            1000 => Self::Normal,
            1001 => Self::GoingAway,
            1002 => Self::Protocol,
            1003 => Self::Text,
            1008 => Self::Policy,
            1009 => Self::TooLong,
            1013 => Self::TryAgainLater,
            other => Self::Other(other),
        }
    }
}

/// Why a link ended other than by a normal close.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nothing arrived: the peer or the line is gone, though the socket looks open.
    #[error("nothing arrived for {0:?}; the connection is taken for dead")]
    Idle(Duration),
    /// The peer announced a message beyond the limit. Nothing was allocated for it.
    #[error("the peer sent a message of more than {limit} bytes (it announced {length})")]
    TooLong {
        /// Bytes allowed.
        limit: usize,
        /// Bytes announced, or of the frame that was too long.
        length: usize,
    },
    /// The peer sent a text message; only binary ones have a meaning.
    #[error("the peer sent a text message; is it a Ledge node?")]
    Text,
    /// The peer broke the protocol of chunks or of WebSocket.
    #[error("the peer broke the protocol: {0}")]
    Protocol(String),
    /// The peer closed the link, and not just because it was done.
    #[error("the peer closed the connection: {reason} ({code:?})")]
    Closed {
        /// Its code.
        code: CloseCode,
        /// Its words, at most 123 bytes.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

/// A message could not be queued, and never will be on this link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link has ended. Whether messages queued before have arrived is not known.
    #[error("the link has ended")]
    Ended,
    /// Longer than the limit both sides keep.
    #[error("a message of {length} bytes is beyond the limit of {limit}")]
    TooLong {
        /// Its length.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// A message could not be queued at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError {
    /// The lane's budget is used up; here is the message back.
    #[error("the lane is full")]
    Full(Bytes),
    /// Never on this link.
    #[error(transparent)]
    Never(#[from] SendError),
}
