//! MQTT 3.1.1 and 5.0 on the wire, both ways, one set of types for both versions.
//!
//! ```text
//!   bytes ──frame::peek (length checked against the limit before anything is kept)──► frame
//!   frame ──decode::packet (reader never looks past the frame)──► Packet
//!   values ──encode::*──► bytes
//! ```
//!
//! Why not the codec inside `rumqttc` (0.25): it is a client's. Its v5 `DISCONNECT` is unreadable when
//! empty or without properties and is written one byte longer than announced, a property block may run
//! into the payload, "needs more bytes" and "lies about its length" are the same error, and reserved bits
//! pass. The tests hold this codec against it wherever both agree with the specification.
//!
//! Properties that a broker must hand on unaltered (payload format, content type, response topic,
//! correlation data, user properties) are checked and kept as the bytes they came in: a packet full of
//! empty user properties costs what it weighs on the wire, not ten times that.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod frame;
pub(crate) mod packet;
mod properties;
mod reader;
pub(crate) mod reason;
#[cfg(test)]
mod tests;

pub(crate) use packet::{Ack, Connect, Filter, Packet, Publish, Subscribe, Version, Will};

/// Why bytes from a peer are not a packet. The peer is disconnected; nothing else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("packet of {size} bytes is larger than the limit of {max}")]
    TooLarge { size: usize, max: usize },
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    #[error("topic name is empty, too deep or holds a wildcard")]
    TopicName,
    #[error("a topic alias was used, though none is allowed")]
    TopicAlias,
    #[error("more than {max} messages without their acknowledgement or release")]
    ReceiveMaximum { max: usize },
    #[error("protocol {level} is not spoken here; use MQTT 3.1.1 (4) or 5.0 (5)")]
    Unsupported { level: u8 },
}

impl CodecError {
    /// The v5 reason code of the `DISCONNECT` or `CONNACK` that answers it.
    pub(crate) fn reason(self) -> u8 {
        match self {
            Self::TooLarge { .. } => reason::PACKET_TOO_LARGE,
            Self::Malformed(_) => reason::MALFORMED,
            Self::Protocol(_) => reason::PROTOCOL_ERROR,
            Self::TopicName => reason::TOPIC_NAME_INVALID,
            Self::TopicAlias => reason::TOPIC_ALIAS_INVALID,
            Self::ReceiveMaximum { .. } => reason::RECEIVE_MAXIMUM,
            Self::Unsupported { .. } => reason::UNSUPPORTED_VERSION,
        }
    }
}
