//! From values to bytes, appended to the connection's write buffer.

use bytes::{BufMut, BytesMut};

use super::properties as property;
use super::{Connect, Version, reason};

/// First bytes of the acknowledging packets.
pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
#[cfg(test)]
pub(crate) const PUBREL: u8 = 0x62;
pub(crate) const PUBCOMP: u8 = 0x70;

/// Longest reason string sent, bytes: it must never be what makes an acknowledgement too large.
const MAX_REASON: usize = 200;

fn varint(out: &mut BytesMut, mut value: usize) {
    loop {
        let byte = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            return out.put_u8(byte);
        }
        out.put_u8(byte | 0x80);
    }
}

fn varint_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Whatever is longer than a two-byte length can say is cut before it gets here: topics, filters, client
/// ids and credentials are checked where they enter.
fn bytes16(out: &mut BytesMut, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX), "a field that the wire cannot hold");
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

/// What a `CONNACK` tells.
pub(crate) struct ConnAck<'a> {
    pub(crate) session_present: bool,
    /// A v5 reason code, translated for 3.1.1.
    pub(crate) code: u8,
    pub(crate) assigned_id: Option<&'a str>,
    /// Seconds granted.
    pub(crate) session_expiry: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) maximum_packet: u32,
}

pub(crate) fn connack(out: &mut BytesMut, version: Version, ack: &ConnAck<'_>) {
    if version == Version::V4 {
        out.put_slice(&[0x20, 2, u8::from(ack.session_present), reason::connack_v4(ack.code)]);
        return;
    }
    let mut block = BytesMut::new();
    if ack.code == reason::SUCCESS {
        block.put_u8(property::SESSION_EXPIRY);
        block.put_u32(ack.session_expiry);
        block.put_u8(property::RECEIVE_MAXIMUM);
        block.put_u16(ack.receive_maximum);
        block.put_u8(property::MAXIMUM_PACKET);
        block.put_u32(ack.maximum_packet);
        block.put_slice(&[property::TOPIC_ALIAS_MAXIMUM, 0, 0, property::SHARED_AVAILABLE, 0]);
        if let Some(id) = ack.assigned_id {
            block.put_u8(property::ASSIGNED_CLIENT_ID);
            bytes16(&mut block, id.as_bytes());
        }
    }
    out.put_u8(0x20);
    varint(out, 2 + varint_len(block.len()) + block.len());
    out.put_slice(&[u8::from(ack.session_present), ack.code]);
    varint(out, block.len());
    out.put_slice(&block);
}

/// One outgoing `PUBLISH`.
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    /// 0 for QoS 0.
    pub(crate) id: u16,
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    /// Seconds left.
    pub(crate) expiry: Option<u32>,
    pub(crate) forward: &'a [u8],
    pub(crate) subscriptions: &'a [u32],
}

impl Outgoing<'_> {
    fn properties_len(&self) -> usize {
        let ids: usize = self.subscriptions.iter().map(|id| 1 + varint_len(*id as usize)).sum();
        self.forward.len() + if self.expiry.is_some() { 5 } else { 0 } + ids
    }

    fn remaining(&self, version: Version) -> usize {
        let id = if self.qos > 0 { 2 } else { 0 };
        let properties = match version {
            Version::V4 => 0,
            Version::V5 => varint_len(self.properties_len()) + self.properties_len(),
        };
        2 + self.topic.len() + id + properties + self.payload.len()
    }

    /// Bytes of the whole packet.
    pub(crate) fn size(&self, version: Version) -> usize {
        let remaining = self.remaining(version);
        1 + varint_len(remaining) + remaining
    }

    pub(crate) fn write(&self, out: &mut BytesMut, version: Version) {
        out.reserve(self.size(version));
        out.put_u8(0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain));
        varint(out, self.remaining(version));
        bytes16(out, self.topic.as_bytes());
        if self.qos > 0 {
            out.put_u16(self.id);
        }
        if version == Version::V5 {
            varint(out, self.properties_len());
            if let Some(expiry) = self.expiry {
                out.put_u8(property::MESSAGE_EXPIRY);
                out.put_u32(expiry);
            }
            for id in self.subscriptions {
                out.put_u8(property::SUBSCRIPTION_ID);
                varint(out, *id as usize);
            }
            out.put_slice(self.forward);
        }
        out.put_slice(self.payload);
    }
}

/// `first` is one of [`PUBACK`] … [`PUBCOMP`]. 3.1.1 cannot say why; v5 says `why` when it is not empty.
pub(crate) fn ack(out: &mut BytesMut, version: Version, first: u8, id: u16, code: u8, why: &str) {
    out.put_u8(first);
    if version == Version::V4 || code == reason::SUCCESS {
        out.put_u8(2);
        out.put_u16(id);
        return;
    }
    let why = &why[..why.floor_char_boundary(MAX_REASON)];
    if why.is_empty() {
        out.put_u8(3);
        out.put_u16(id);
        out.put_u8(code);
        return;
    }
    let block = 3 + why.len();
    varint(out, 3 + varint_len(block) + block);
    out.put_u16(id);
    out.put_u8(code);
    varint(out, block);
    out.put_u8(property::REASON_STRING);
    bytes16(out, why.as_bytes());
}

pub(crate) fn suback(out: &mut BytesMut, version: Version, id: u16, codes: &[u8]) {
    filters_ack(out, 0x90, version, id, codes);
}

/// 3.1.1 has no reasons here.
pub(crate) fn unsuback(out: &mut BytesMut, version: Version, id: u16, codes: &[u8]) {
    filters_ack(out, 0xB0, version, id, if version == Version::V5 { codes } else { &[] });
}

fn filters_ack(out: &mut BytesMut, first: u8, version: Version, id: u16, codes: &[u8]) {
    let properties = usize::from(version == Version::V5);
    out.put_u8(first);
    varint(out, 2 + properties + codes.len());
    out.put_u16(id);
    out.put_bytes(0, properties);
    out.put_slice(codes);
}

pub(crate) fn pingreq(out: &mut BytesMut) {
    out.put_slice(&[0xC0, 0]);
}

pub(crate) fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xD0, 0]);
}

/// A server of 3.1.1 has no such packet: it just closes.
pub(crate) fn disconnect(out: &mut BytesMut, version: Version, code: u8) {
    match (version, code) {
        (Version::V4, _) | (_, reason::SUCCESS) => out.put_slice(&[0xE0, 0]),
        (Version::V5, code) => out.put_slice(&[0xE0, 1, code]),
    }
}

/// The bridge's `CONNECT`: 3.1.1, no will.
pub(crate) fn connect(out: &mut BytesMut, connect: &Connect) {
    let mut body = BytesMut::new();
    bytes16(&mut body, b"MQTT");
    body.put_u8(4);
    let user = if connect.username.is_some() { 0x80 } else { 0 };
    let password = if connect.password.is_some() { 0x40 } else { 0 };
    body.put_u8(user | password | u8::from(connect.clean) << 1);
    body.put_u16(connect.keep_alive);
    bytes16(&mut body, connect.client_id.as_bytes());
    if let Some(username) = &connect.username {
        bytes16(&mut body, username.as_bytes());
    }
    if let Some(password) = &connect.password {
        bytes16(&mut body, password);
    }
    out.put_u8(0x10);
    varint(out, body.len());
    out.put_slice(&body);
}

/// The bridge's `SUBSCRIBE`: 3.1.1, everything at QoS 1.
pub(crate) fn subscribe(out: &mut BytesMut, id: u16, filters: &[String]) {
    out.put_u8(0x82);
    varint(out, 2 + filters.iter().map(|filter| filter.len() + 3).sum::<usize>());
    out.put_u16(id);
    for filter in filters {
        bytes16(out, filter.as_bytes());
        out.put_u8(1);
    }
}
