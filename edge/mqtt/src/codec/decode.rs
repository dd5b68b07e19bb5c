//! From one whole frame to a packet.

use std::sync::Arc;

use bytes::Bytes;

use super::properties::{self, Found};
use super::reader::Reader;
use super::{Ack, CodecError, Connect, Filter, Packet, Publish, Subscribe, Version, Will, reason};
use crate::topic;

/// Filters in one `SUBSCRIBE` or `UNSUBSCRIBE`: a filter of one letter is four bytes on the wire and
/// twenty times that in memory.
const MAX_FILTERS: usize = 1024;

/// `first` is the type and flags byte, `body` everything after the fixed header. `version` is the
/// connection's; a `CONNECT` brings its own.
pub(crate) fn packet(first: u8, body: &[u8], version: Version) -> Result<Packet, CodecError> {
    let (kind, flags) = (first >> 4, first & 0x0F);
    let wanted = match kind {
        3 => flags,
        6 | 8 | 10 => 0b0010,
        _ => 0,
    };
    if flags != wanted {
        return Err(CodecError::Malformed("reserved flags of the fixed header"));
    }
    let mut body = Reader::new(body);
    let packet = match kind {
        1 => return connect(body),
        2 => connack(&mut body, version)?,
        3 => return publish(body, flags, version),
        4 => Packet::PubAck(ack(&mut body, version)?),
        5 => Packet::PubRec(ack(&mut body, version)?),
        6 => Packet::PubRel(ack(&mut body, version)?),
        7 => Packet::PubComp(ack(&mut body, version)?),
        8 => subscribe(&mut body, version)?,
        9 => suback(&mut body, version)?,
        10 => unsubscribe(&mut body, version)?,
        // The reasons of an UNSUBACK interest nobody here.
        11 => return Ok(Packet::UnsubAck { id: body.id()? }),
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        14 => disconnect(&mut body, version)?,
        15 if version == Version::V5 => return Ok(Packet::Auth),
        _ => return Err(CodecError::Malformed("unknown packet type")),
    };
    if !body.is_empty() {
        return Err(CodecError::Malformed("bytes after the end of the packet"));
    }
    Ok(packet)
}

fn found(body: &mut Reader<'_>, version: Version, allowed: &[u8]) -> Result<Found, CodecError> {
    match version {
        Version::V4 => Ok(Found::default()),
        Version::V5 => properties::read(body.block()?, allowed),
    }
}

fn connect(mut body: Reader<'_>) -> Result<Packet, CodecError> {
    let name = body.bytes()?;
    let level = body.u8()?;
    let version = match (name, level) {
        (b"MQTT", 4) => Version::V4,
        (b"MQTT", 5) => Version::V5,
        (b"MQTT" | b"MQIsdp", level) => return Err(CodecError::Unsupported { level }),
        _ => return Err(CodecError::Malformed("not an MQTT connect")),
    };
    let flags = body.u8()?;
    let has = |bit: u8| flags & bit != 0;
    let will_qos = (flags >> 3) & 0b11;
    if has(0x01) || will_qos == 3 || (!has(0x04) && flags & 0b0011_1000 != 0) {
        return Err(CodecError::Malformed("connect flags"));
    }
    if version == Version::V4 && has(0x40) && !has(0x80) {
        return Err(CodecError::Malformed("a password without a user name"));
    }
    let keep_alive = body.u16()?;
    let said = found(&mut body, version, properties::CONNECT)?;
    let client_id = body.str()?.to_owned();
    let will = if has(0x04) { Some(will(&mut body, version, will_qos, has(0x20))?) } else { None };
    let username = if has(0x80) { Some(body.str()?.to_owned()) } else { None };
    let password = if has(0x40) { Some(Bytes::copy_from_slice(body.bytes()?)) } else { None };
    if !body.is_empty() {
        return Err(CodecError::Malformed("bytes after the end of the packet"));
    }
    Ok(Packet::Connect(Box::new(Connect {
        version,
        client_id,
        clean: has(0x02),
        keep_alive,
        session_expiry: said.session_expiry,
        receive_maximum: said.receive_maximum.unwrap_or(u16::MAX),
        maximum_packet: said.maximum_packet.unwrap_or(u32::MAX),
        enhanced_auth: said.auth_method,
        will,
        username,
        password,
    })))
}

fn will(body: &mut Reader<'_>, version: Version, qos: u8, retain: bool) -> Result<Will, CodecError> {
    let said = found(body, version, properties::WILL)?;
    let name = body.str()?;
    if !topic::is_name(name) {
        return Err(CodecError::TopicName);
    }
    Ok(Will {
        topic: name.into(),
        payload: Bytes::copy_from_slice(body.bytes()?),
        qos,
        retain,
        delay: said.will_delay.unwrap_or(0),
        expiry: said.message_expiry,
        forward: said.forward.into(),
    })
}

fn publish(mut body: Reader<'_>, flags: u8, version: Version) -> Result<Packet, CodecError> {
    let qos = (flags >> 1) & 0b11;
    let dup = flags & 0b1000 != 0;
    if qos == 3 || (qos == 0 && dup) {
        return Err(CodecError::Malformed("quality of service and duplicate flags of a publish"));
    }
    let name = body.str()?;
    let id = if qos > 0 { body.id()? } else { 0 };
    let said = found(&mut body, version, properties::PUBLISH)?;
    if said.topic_alias {
        return Err(CodecError::TopicAlias);
    }
    if !topic::is_name(name) {
        return Err(CodecError::TopicName);
    }
    Ok(Packet::Publish(Publish {
        topic: Arc::from(name),
        id,
        dup,
        qos,
        retain: flags & 1 != 0,
        payload: Bytes::copy_from_slice(body.rest()),
        expiry: said.message_expiry,
        forward: said.forward.into(),
    }))
}

/// `PUBACK`, `PUBREC`, `PUBREL`, `PUBCOMP`: v5 may leave out the reason, or the properties, or both.
fn ack(body: &mut Reader<'_>, version: Version) -> Result<Ack, CodecError> {
    let id = body.id()?;
    let code = if version == Version::V5 && !body.is_empty() { body.u8()? } else { reason::SUCCESS };
    if version == Version::V5 && !body.is_empty() {
        properties::read(body.block()?, properties::ACK)?;
    }
    Ok(Ack { id, code })
}

fn subscribe(body: &mut Reader<'_>, version: Version) -> Result<Packet, CodecError> {
    let id = body.id()?;
    let identifier = found(body, version, properties::SUBSCRIBE)?.subscription_id;
    let mut filters = Vec::new();
    while !body.is_empty() && filters.len() < MAX_FILTERS {
        let filter = body.str()?.to_owned();
        let options = body.u8()?;
        let (qos, retain_handling) = (options & 0b11, (options >> 4) & 0b11);
        let reserved = if version == Version::V4 { 0b1111_1100 } else { 0b1100_0000 };
        if qos == 3 || retain_handling == 3 || options & reserved != 0 {
            return Err(CodecError::Malformed("subscription options"));
        }
        filters.push(Filter {
            filter,
            qos,
            no_local: options & 0b0100 != 0,
            retain_as_published: options & 0b1000 != 0,
            retain_handling,
        });
    }
    if filters.is_empty() {
        return Err(CodecError::Protocol("a subscribe without a filter"));
    }
    Ok(Packet::Subscribe(Subscribe { id, filters, identifier }))
}

fn unsubscribe(body: &mut Reader<'_>, version: Version) -> Result<Packet, CodecError> {
    let id = body.id()?;
    found(body, version, properties::UNSUBSCRIBE)?;
    let mut filters = Vec::new();
    while !body.is_empty() && filters.len() < MAX_FILTERS {
        filters.push(body.str()?.to_owned());
    }
    if filters.is_empty() {
        return Err(CodecError::Protocol("an unsubscribe without a filter"));
    }
    Ok(Packet::Unsubscribe { id, filters })
}

fn connack(body: &mut Reader<'_>, version: Version) -> Result<Packet, CodecError> {
    let session_present = body.u8()? & 1 != 0;
    let code = body.u8()?;
    found(body, version, properties::CONNACK)?;
    Ok(Packet::ConnAck { session_present, code })
}

fn suback(body: &mut Reader<'_>, version: Version) -> Result<Packet, CodecError> {
    let id = body.id()?;
    found(body, version, properties::ACK)?;
    let codes = body.take(body.rest().len())?.to_vec();
    Ok(Packet::SubAck { id, codes })
}

fn disconnect(body: &mut Reader<'_>, version: Version) -> Result<Packet, CodecError> {
    let mut code = reason::SUCCESS;
    let mut session_expiry = None;
    if version == Version::V5 && !body.is_empty() {
        code = body.u8()?;
        if !body.is_empty() {
            session_expiry = properties::read(body.block()?, properties::DISCONNECT)?.session_expiry;
        }
    }
    Ok(Packet::Disconnect { code, session_expiry })
}
