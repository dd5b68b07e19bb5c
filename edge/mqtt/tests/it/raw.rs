//! A client of bytes: says exactly what a test wants said, right or wrong.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{MOMENT, PATIENCE};

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    v5: bool,
}

/// A packet as it came: first byte and body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) first: u8,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn field(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut len = body.len();
    loop {
        let byte = (len & 0x7F) as u8;
        len >>= 7;
        bytes.push(if len > 0 { byte | 0x80 } else { byte });
        if len == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

/// `properties` is the v5 block without its length.
pub(crate) fn connect(id: &str, level: u8, clean: bool, keep_alive: u16, properties: &[u8]) -> Vec<u8> {
    let mut body = field("MQTT");
    body.extend([level, u8::from(clean) << 1]);
    body.extend(keep_alive.to_be_bytes());
    if level == 5 {
        body.push(properties.len() as u8);
        body.extend_from_slice(properties);
    }
    body.extend(field(id));
    packet(0x10, &body)
}

impl Raw {
    pub(crate) async fn open(addr: SocketAddr, v5: bool) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap(), v5 }
    }

    /// Connects and returns whether the session was there.
    pub(crate) async fn v4(addr: SocketAddr, id: &str, clean: bool) -> (Self, bool) {
        let mut raw = Self::open(addr, false).await;
        raw.send(&connect(id, 4, clean, 60, &[])).await;
        let ack = raw.read().await;
        assert_eq!((ack.first, ack.body[1]), (0x20, 0), "not connected");
        (raw, ack.body[0] == 1)
    }

    pub(crate) async fn v5(addr: SocketAddr, id: &str, clean: bool, properties: &[u8]) -> (Self, bool) {
        let mut raw = Self::open(addr, true).await;
        raw.send(&connect(id, 5, clean, 60, properties)).await;
        let ack = raw.read().await;
        assert_eq!((ack.first, ack.body[1]), (0x20, 0), "not connected");
        (raw, ack.body[0] == 1)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8], qos: u8, id: u16, dup: bool) {
        let bytes = self.publish_bytes(topic, payload, qos, id, dup);
        self.send(&bytes).await;
    }

    pub(crate) fn publish_bytes(&self, topic: &str, payload: &[u8], qos: u8, id: u16, dup: bool) -> Vec<u8> {
        let mut body = field(topic);
        if qos > 0 {
            body.extend(id.to_be_bytes());
        }
        if self.v5 {
            body.push(0);
        }
        body.extend_from_slice(payload);
        packet(0x30 | u8::from(dup) << 3 | qos << 1, &body)
    }

    /// Subscribes with QoS 1 and returns the code granted.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> u8 {
        self.subscribe_with(filter, 1).await
    }

    pub(crate) async fn subscribe_with(&mut self, filter: &str, options: u8) -> u8 {
        let mut body = vec![0, 77];
        if self.v5 {
            body.push(0);
        }
        body.extend(field(filter));
        body.push(options);
        self.send(&packet(0x82, &body)).await;
        let ack = self.read().await;
        assert_eq!((ack.first, &ack.body[..2]), (0x90, &[0, 77][..]));
        *ack.body.last().unwrap()
    }

    pub(crate) async fn read(&mut self) -> Seen {
        timeout(PATIENCE, self.try_read()).await.expect("nothing came").expect("closed")
    }

    /// `None`: the broker has closed.
    pub(crate) async fn try_read(&mut self) -> Option<Seen> {
        let first = self.stream.read_u8().await.ok()?;
        let (mut len, mut shift) = (0usize, 0);
        loop {
            let byte = self.stream.read_u8().await.ok()?;
            len |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(Seen { first, body })
    }

    /// Reads a `PUBLISH` without v5 properties: first byte, topic, packet id, payload.
    pub(crate) async fn message(&mut self) -> (u8, String, u16, Vec<u8>) {
        let Seen { first, body } = self.read().await;
        assert_eq!(first >> 4, 3, "not a publish: {first:#x} {body:?}");
        let len = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let topic = String::from_utf8(body[2..2 + len].to_vec()).unwrap();
        let mut rest = &body[2 + len..];
        let mut id = 0;
        if first & 0b0110 != 0 {
            id = u16::from_be_bytes([rest[0], rest[1]]);
            rest = &rest[2..];
        }
        if self.v5 {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        (first, topic, id, rest.to_vec())
    }

    pub(crate) async fn puback(&mut self, id: u16) {
        self.send(&packet(0x40, &id.to_be_bytes())).await;
    }

    pub(crate) async fn ping(&mut self) {
        self.send(&[0xC0, 0]).await;
        assert_eq!(self.read().await.first, 0xD0);
    }

    pub(crate) async fn hears_nothing(&mut self) {
        if let Ok(seen) = timeout(MOMENT, self.try_read()).await {
            panic!("heard {seen:?}");
        }
    }

    /// Reads until the broker closes and returns the reason of its `DISCONNECT`, if it sent one.
    pub(crate) async fn closed(&mut self) -> Option<u8> {
        let mut reason = None;
        let end = async {
            while let Some(seen) = self.try_read().await {
                if seen.first == 0xE0 {
                    reason = Some(seen.body.first().copied().unwrap_or(0));
                }
            }
        };
        timeout(PATIENCE, end).await.expect("the broker does not close");
        reason
    }
}
