//! Why a connection ended, and what follows from it: the reason told, the metric's label, the will.

use std::io;

use super::session::Kick;
use crate::codec::{CodecError, reason};

#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("the client left")]
    Client { with_will: bool },
    #[error("connection lost: {0}")]
    Network(#[from] io::Error),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("nothing heard for one and a half times the keep alive")]
    KeepAlive,
    #[error("the client takes nothing of what is sent to it")]
    Stalled,
    #[error("another connection has taken the client id over")]
    TakenOver,
    #[error("the client is too slow: its queue is full of messages that must not be dropped")]
    SlowConsumer,
    #[error("publish to {topic:?} refused, and MQTT 3.1.1 has no other way to say so: {why}")]
    Refused { topic: String, why: String },
    #[error("the broker is stopping")]
    Shutdown,
}

impl From<Kick> for End {
    fn from(kick: Kick) -> Self {
        match kick {
            Kick::TakenOver => Self::TakenOver,
            Kick::SlowConsumer => Self::SlowConsumer,
        }
    }
}

impl End {
    /// For `DISCONNECT`; `None` where nobody listens any more.
    pub(crate) fn code(&self) -> Option<u8> {
        match self {
            Self::Client { .. } | Self::Network(_) | Self::Stalled => None,
            Self::Codec(error) => Some(error.reason()),
            Self::KeepAlive => Some(reason::KEEP_ALIVE),
            Self::TakenOver => Some(reason::TAKEN_OVER),
            Self::SlowConsumer => Some(reason::QUOTA),
            Self::Refused { .. } => Some(reason::NOT_AUTHORIZED),
            Self::Shutdown => Some(reason::SHUTTING_DOWN),
        }
    }

    /// The metric's label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Client { .. } => "client",
            Self::Network(_) => "network",
            Self::Codec(CodecError::TooLarge { .. }) => "too_large",
            Self::Codec(CodecError::Protocol(_) | CodecError::ReceiveMaximum { .. }) => "protocol",
            Self::Codec(_) => "malformed",
            Self::KeepAlive => "timeout",
            Self::TakenOver => "taken_over",
            Self::Stalled | Self::SlowConsumer => "slow_consumer",
            Self::Refused { .. } => "refused",
            Self::Shutdown => "shutdown",
        }
    }

    /// Whether the client's will is to be published (3.1.2.5 of the specifications).
    pub(crate) fn wants_will(&self) -> bool {
        !matches!(self, Self::Client { with_will: false })
    }

    /// Worth a line for whoever runs the node, as opposed to everyday comings and goings.
    pub(crate) fn is_odd(&self) -> bool {
        matches!(self, Self::Codec(_) | Self::Stalled | Self::SlowConsumer | Self::Refused { .. })
    }
}
