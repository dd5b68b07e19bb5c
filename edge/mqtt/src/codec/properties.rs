//! MQTT 5 properties: identifiers, their value types, and one walk over a block that every packet uses.

use super::CodecError;
use super::reader::Reader;

pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const CORRELATION_DATA: u8 = 0x09;
pub(super) const SUBSCRIPTION_ID: u8 = 0x0B;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(super) const AUTH_METHOD: u8 = 0x15;
pub(super) const AUTH_DATA: u8 = 0x16;
pub(super) const REQUEST_PROBLEM: u8 = 0x17;
pub(super) const WILL_DELAY: u8 = 0x18;
pub(super) const REQUEST_RESPONSE: u8 = 0x19;
pub(super) const RESPONSE_INFO: u8 = 0x1A;
pub(super) const SERVER_REFERENCE: u8 = 0x1C;
pub(super) const REASON_STRING: u8 = 0x1F;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
pub(super) const MAXIMUM_QOS: u8 = 0x24;
pub(super) const RETAIN_AVAILABLE: u8 = 0x25;
pub(super) const USER_PROPERTY: u8 = 0x26;
pub(super) const MAXIMUM_PACKET: u8 = 0x27;
pub(super) const WILDCARDS_AVAILABLE: u8 = 0x28;
pub(super) const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
pub(super) const SHARED_AVAILABLE: u8 = 0x2A;

/// What a broker hands on from publisher to subscriber unaltered (3.3.2.3 of MQTT 5).
const FORWARDED: [u8; 5] = [PAYLOAD_FORMAT, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, USER_PROPERTY];

/// A subscription identifier is the broker's to add, never a publisher's.
pub(super) const PUBLISH: &[u8] = &[
    PAYLOAD_FORMAT,
    MESSAGE_EXPIRY,
    CONTENT_TYPE,
    RESPONSE_TOPIC,
    CORRELATION_DATA,
    TOPIC_ALIAS,
    USER_PROPERTY,
];
pub(super) const WILL: &[u8] = &[
    PAYLOAD_FORMAT,
    MESSAGE_EXPIRY,
    CONTENT_TYPE,
    RESPONSE_TOPIC,
    CORRELATION_DATA,
    WILL_DELAY,
    USER_PROPERTY,
];
pub(super) const CONNECT: &[u8] = &[
    SESSION_EXPIRY,
    AUTH_METHOD,
    AUTH_DATA,
    REQUEST_PROBLEM,
    REQUEST_RESPONSE,
    RECEIVE_MAXIMUM,
    TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
    MAXIMUM_PACKET,
];
pub(super) const CONNACK: &[u8] = &[
    SESSION_EXPIRY,
    ASSIGNED_CLIENT_ID,
    SERVER_KEEP_ALIVE,
    AUTH_METHOD,
    AUTH_DATA,
    RESPONSE_INFO,
    SERVER_REFERENCE,
    REASON_STRING,
    RECEIVE_MAXIMUM,
    TOPIC_ALIAS_MAXIMUM,
    MAXIMUM_QOS,
    RETAIN_AVAILABLE,
    USER_PROPERTY,
    MAXIMUM_PACKET,
    WILDCARDS_AVAILABLE,
    SUBSCRIPTION_IDS_AVAILABLE,
    SHARED_AVAILABLE,
];
pub(super) const ACK: &[u8] = &[REASON_STRING, USER_PROPERTY];
pub(super) const SUBSCRIBE: &[u8] = &[SUBSCRIPTION_ID, USER_PROPERTY];
pub(super) const UNSUBSCRIBE: &[u8] = &[USER_PROPERTY];
pub(super) const DISCONNECT: &[u8] = &[SESSION_EXPIRY, REASON_STRING, USER_PROPERTY, SERVER_REFERENCE];

/// What packets carry in properties that the broker or bridge acts on.
#[derive(Default)]
pub(super) struct Found {
    pub(super) message_expiry: Option<u32>,
    pub(super) session_expiry: Option<u32>,
    pub(super) will_delay: Option<u32>,
    pub(super) maximum_packet: Option<u32>,
    pub(super) receive_maximum: Option<u16>,
    pub(super) topic_alias: bool,
    pub(super) auth_method: bool,
    pub(super) subscription_id: Option<u32>,
    /// The properties of [`FORWARDED`], as they came.
    pub(super) forward: Vec<u8>,
}

/// Checks a whole block against the properties that `allowed` its packet. Each may appear once, but for
/// user properties.
pub(super) fn read(mut block: Reader<'_>, allowed: &[u8]) -> Result<Found, CodecError> {
    let mut found = Found::default();
    let mut seen = 0u64;
    while !block.is_empty() {
        let before = block.rest();
        let id = block.u8()?;
        if !allowed.contains(&id) {
            return Err(CodecError::Malformed("a property that this packet cannot have"));
        }
        // Every allowed identifier is below 64.
        if seen & (1 << id) != 0 && id != USER_PROPERTY {
            return Err(CodecError::Protocol("a property given twice"));
        }
        seen |= 1 << id;
        value(&mut block, id, &mut found)?;
        if FORWARDED.contains(&id) {
            found.forward.extend_from_slice(&before[..before.len() - block.rest().len()]);
        }
    }
    Ok(found)
}

fn value(block: &mut Reader<'_>, id: u8, found: &mut Found) -> Result<(), CodecError> {
    match id {
        PAYLOAD_FORMAT
        | REQUEST_PROBLEM
        | REQUEST_RESPONSE
        | MAXIMUM_QOS
        | RETAIN_AVAILABLE
        | WILDCARDS_AVAILABLE
        | SUBSCRIPTION_IDS_AVAILABLE
        | SHARED_AVAILABLE => {
            if block.u8()? > 1 {
                return Err(CodecError::Protocol("a yes-or-no property that is neither"));
            }
        }
        MESSAGE_EXPIRY => found.message_expiry = Some(block.u32()?),
        SESSION_EXPIRY => found.session_expiry = Some(block.u32()?),
        WILL_DELAY => found.will_delay = Some(block.u32()?),
        MAXIMUM_PACKET => match block.u32()? {
            0 => return Err(CodecError::Protocol("maximum packet size 0")),
            max => found.maximum_packet = Some(max),
        },
        RECEIVE_MAXIMUM => match block.u16()? {
            0 => return Err(CodecError::Protocol("receive maximum 0")),
            max => found.receive_maximum = Some(max),
        },
        SERVER_KEEP_ALIVE | TOPIC_ALIAS_MAXIMUM => {
            block.u16()?;
        }
        TOPIC_ALIAS => {
            block.u16()?;
            found.topic_alias = true;
        }
        SUBSCRIPTION_ID => match block.varint()? {
            0 => return Err(CodecError::Protocol("subscription identifier 0")),
            id => found.subscription_id = Some(id),
        },
        RESPONSE_TOPIC => {
            if !crate::topic::is_name(block.str()?) {
                return Err(CodecError::TopicName);
            }
        }
        USER_PROPERTY => {
            block.str()?;
            block.str()?;
        }
        AUTH_METHOD => {
            block.str()?;
            found.auth_method = true;
        }
        CORRELATION_DATA | AUTH_DATA => {
            block.bytes()?;
        }
        CONTENT_TYPE | ASSIGNED_CLIENT_ID | RESPONSE_INFO | SERVER_REFERENCE | REASON_STRING => {
            block.str()?;
        }
        _ => return Err(CodecError::Malformed("unknown property")),
    }
    Ok(())
}
