//! The packets, version-neutral. A field that 3.1.1 does not have holds what 3.1.1 means by its absence.

use std::sync::Arc;

use bytes::Bytes;

/// Protocol version of one connection, from its `CONNECT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 3.1.1, level 4.
    V4,
    /// 5.0, level 5.
    V5,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Connect(Box<Connect>),
    ConnAck { session_present: bool, code: u8 },
    Publish(Publish),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    Subscribe(Subscribe),
    SubAck { id: u16, codes: Vec<u8> },
    Unsubscribe { id: u16, filters: Vec<String> },
    UnsubAck { id: u16 },
    PingReq,
    PingResp,
    Disconnect { code: u8, session_expiry: Option<u32> },
    Auth,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) clean: bool,
    /// Seconds; 0 is "no keep alive".
    pub(crate) keep_alive: u16,
    /// Seconds; `None` when not said. 3.1.1 has no such field.
    pub(crate) session_expiry: Option<u32>,
    /// Unacknowledged QoS 1 messages that the client takes at once; 65,535 when not said.
    pub(crate) receive_maximum: u16,
    /// Largest packet that the client takes, bytes; `u32::MAX` when not said.
    pub(crate) maximum_packet: u32,
    /// The client asked for enhanced authentication, which is refused.
    pub(crate) enhanced_auth: bool,
    pub(crate) will: Option<Will>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Bytes>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) topic: Arc<str>,
    pub(crate) payload: Bytes,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// Seconds between the loss of the connection and the will.
    pub(crate) delay: u32,
    pub(crate) expiry: Option<u32>,
    /// Properties to hand on, as they came.
    pub(crate) forward: Bytes,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) topic: Arc<str>,
    /// 0 for QoS 0, else 1..=65535.
    pub(crate) id: u16,
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) payload: Bytes,
    /// Seconds that the message is worth delivering.
    pub(crate) expiry: Option<u32>,
    /// Properties to hand on, as they came.
    pub(crate) forward: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) id: u16,
    pub(crate) code: u8,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subscribe {
    pub(crate) id: u16,
    pub(crate) filters: Vec<Filter>,
    /// Subscription identifier, 1..=268,435,455.
    pub(crate) identifier: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) filter: String,
    pub(crate) qos: u8,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    /// 0: retained messages at every subscribe, 1: at a new one, 2: never.
    pub(crate) retain_handling: u8,
}
