//! Messages as bytes: type u8, protocol u8, zero u16, CRC32C of the body u32 (little-endian), body.
//! The body of a frame message is the direction as one byte and the frame; every other body is
//! encoded by the codec.

use bytes::{BufMut, Bytes, BytesMut};
use ledge_schemas::{CodecError, codec, format, limits};

use super::message::{Direction, Message};

/// Length of the envelope.
const ENVELOPE: usize = 8;

/// Bytes that are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Too short or too long.
    #[error("message of {len} bytes; {ENVELOPE} to {limit} are allowed", limit = limits::MESSAGE_BYTES)]
    Length {
        /// Bytes there are.
        len: usize,
    },
    /// The checksum does not fit.
    #[error("message of type {kind}: CRC32C is {found:08x}, its envelope says {stated:08x}")]
    Checksum {
        /// Type byte.
        kind: u8,
        /// Computed.
        found: u32,
        /// As stated.
        stated: u32,
    },
    /// No such message in this protocol.
    #[error("message type {kind} of protocol {protocol} is not known")]
    Unknown {
        /// Type byte.
        kind: u8,
        /// Protocol byte.
        protocol: u8,
    },
    /// The body does not decode.
    #[error(transparent)]
    Body(#[from] CodecError),
}

const PROTOCOL: u8 = format::PROTOCOL.to_le_bytes()[0];

/// Encodes a message.
pub fn encode(message: &Message) -> Result<Bytes, WireError> {
    let (kind, body) = match message {
        Message::Hello(m) => (1, codec::encode(m)?),
        Message::Welcome(m) => (2, codec::encode(m)?),
        Message::Refuse(m) => (3, codec::encode(m)?),
        Message::Confirm(m) => (4, codec::encode(m)?),
        Message::Frame { direction, frame } => {
            let mut body = Vec::with_capacity(1 + frame.len());
            body.push(u8::from(*direction == Direction::Down));
            body.extend_from_slice(frame);
            (5, body)
        }
        Message::Base(m) => (6, codec::encode(m)?),
        Message::Ack(m) => (7, codec::encode(m)?),
        Message::Ping(m) => (8, codec::encode(m)?),
        Message::Pong(m) => (9, codec::encode(m)?),
        Message::Overlay(m) => (10, codec::encode(m)?),
        Message::WantBase => (11, Vec::new()),
    };
    let len = ENVELOPE + body.len();
    if len > limits::MESSAGE_BYTES {
        return Err(WireError::Length { len });
    }
    let mut bytes = BytesMut::with_capacity(len);
    bytes.put_slice(&[kind, PROTOCOL, 0, 0]);
    bytes.put_u32_le(crc32c::crc32c(&body));
    bytes.put_slice(&body);
    Ok(bytes.freeze())
}

/// Decodes a message.
pub fn decode(bytes: &Bytes) -> Result<Message, WireError> {
    if bytes.len() < ENVELOPE || bytes.len() > limits::MESSAGE_BYTES {
        return Err(WireError::Length { len: bytes.len() });
    }
    let (kind, protocol) = (bytes[0], bytes[1]);
    let stated = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let body = bytes.slice(ENVELOPE..);
    let found = crc32c::crc32c(&body);
    if found != stated || bytes[2..4] != [0, 0] {
        return Err(WireError::Checksum { kind, found, stated });
    }
    if protocol != PROTOCOL {
        return Err(WireError::Unknown { kind, protocol });
    }
    Ok(match kind {
        1 => Message::Hello(codec::decode(&body)?),
        2 => Message::Welcome(codec::decode(&body)?),
        3 => Message::Refuse(codec::decode(&body)?),
        4 => Message::Confirm(codec::decode(&body)?),
        5 if !body.is_empty() && body[0] <= 1 => {
            let direction = if body[0] == 1 { Direction::Down } else { Direction::Up };
            Message::Frame { direction, frame: body.slice(1..) }
        }
        6 => Message::Base(codec::decode(&body)?),
        7 => Message::Ack(codec::decode(&body)?),
        8 => Message::Ping(codec::decode(&body)?),
        9 => Message::Pong(codec::decode(&body)?),
        10 => Message::Overlay(codec::decode(&body)?),
        11 => Message::WantBase,
        _ => return Err(WireError::Unknown { kind, protocol }),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use ledge_schemas::Seq;

    use super::super::message::{Ack, Beat};
    use super::*;
    use crate::Chain;

    fn ping() -> Message {
        let ack = Ack { direction: Direction::Down, seq: Seq(7), chain: Chain([3; 32]) };
        Message::Ping(Beat { number: 9, ack: Some(ack), digests: vec![] })
    }

    #[test]
    fn messages_read_back_as_written() {
        for message in
            [ping(), Message::WantBase, Message::Frame { direction: Direction::Up, frame: "abc".into() }]
        {
            assert_eq!(decode(&encode(&message).unwrap()).unwrap(), message);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_or_means_another_message() {
        let good = encode(&ping()).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(decode(&bytes.into()), Ok(ping()), "bit {bit}");
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let _ = decode(&Bytes::copy_from_slice(bytes));
            for kind in 1..=11_u8 {
                let mut framed = vec![kind, PROTOCOL, 0, 0];
                framed.extend(crc32c::crc32c(bytes).to_le_bytes());
                framed.extend(bytes);
                let _ = decode(&framed.into());
            }
        });
    }
}
