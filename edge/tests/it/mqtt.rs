//! A device: MQTT 3.1.1 by hand, so that a test can send the same packet twice.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Long enough for anything that should happen; reached only by a failing test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Device {
    stream: TcpStream,
    next_id: u16,
    /// What came while something else was waited for.
    seen: VecDeque<Packet>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packet {
    Acked(u16),
    Message { topic: String, payload: Vec<u8> },
}

impl Device {
    pub(crate) async fn try_connect(addr: SocketAddr, client_id: &str) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(addr).await?;
        let mut body = vec![0, 4];
        body.extend(b"MQTT\x04\x02\x00\x00");
        text(&mut body, client_id);
        stream.write_all(&packet(0x10, &body)).await?;
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).await?;
        assert_eq!(connack, [0x20, 2, 0, 0], "connect refused");
        Ok(Self { stream, next_id: 1, seen: VecDeque::new() })
    }

    pub(crate) async fn connect(addr: SocketAddr, client_id: &str) -> Self {
        Self::try_connect(addr, client_id).await.unwrap()
    }

    pub(crate) async fn subscribe(&mut self, filter: &str) {
        let mut body = self.id().to_be_bytes().to_vec();
        text(&mut body, filter);
        body.push(1);
        self.stream.write_all(&packet(0x82, &body)).await.unwrap();
        let (kind, answer) = tokio::time::timeout(PATIENCE, self.read()).await.unwrap().unwrap();
        assert_eq!((kind, answer[2]), (0x90, 1), "subscription refused");
    }

    fn id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = id % 60_000 + 1;
        id
    }

    /// Sends with QoS 1 and does not wait.
    pub(crate) async fn send(&mut self, topic: &str, payload: &[u8]) -> u16 {
        let id = self.id();
        self.send_as(topic, payload, id, false).await.unwrap();
        id
    }

    pub(crate) async fn send_as(
        &mut self,
        topic: &str,
        payload: &[u8],
        id: u16,
        dup: bool,
    ) -> std::io::Result<()> {
        let mut body = Vec::new();
        text(&mut body, topic);
        body.extend(id.to_be_bytes());
        body.extend(payload);
        self.stream.write_all(&packet(if dup { 0x3a } else { 0x32 }, &body)).await
    }

    /// Sends with QoS 1 and waits for the `PUBACK`.
    pub(crate) async fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>) {
        let id = self.send(topic, payload.as_ref()).await;
        self.acked(id).await;
    }

    pub(crate) async fn acked(&mut self, id: u16) {
        self.find(|packet| (*packet == Packet::Acked(id)).then_some(())).await.unwrap();
    }

    /// The next message on a topic, as JSON.
    pub(crate) async fn json(&mut self, topic: &str) -> Value {
        let found = self.find(|packet| match packet {
            Packet::Message { topic: on, payload } if on == topic => Some(payload.clone()),
            _ => None,
        });
        let payload = found.await.unwrap_or_else(|error| panic!("nothing came on {topic}: {error}"));
        serde_json::from_slice(&payload).unwrap()
    }

    async fn find<T>(&mut self, wanted: impl Fn(&Packet) -> Option<T>) -> std::io::Result<T> {
        if let Some(at) = self.seen.iter().position(|packet| wanted(packet).is_some()) {
            return Ok(self.seen.remove(at).and_then(|packet| wanted(&packet)).unwrap());
        }
        let found = async {
            loop {
                let packet = self.receive().await?;
                if let Some(found) = wanted(&packet) {
                    return Ok(found);
                }
                self.seen.push_back(packet);
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// The next packet; a message is acknowledged.
    pub(crate) async fn receive(&mut self) -> std::io::Result<Packet> {
        loop {
            let (kind, body) = self.read().await?;
            match kind >> 4 {
                4 => return Ok(Packet::Acked(u16::from_be_bytes([body[0], body[1]]))),
                3 => {
                    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
                    let mut rest = &body[2 + length..];
                    if kind & 0x06 != 0 {
                        self.stream.write_all(&packet(0x40, &rest[..2])).await?;
                        rest = &rest[2..];
                    }
                    return Ok(Packet::Message { topic, payload: rest.to_vec() });
                }
                _ => {}
            }
        }
    }

    /// Whether the broker has closed the connection.
    pub(crate) async fn is_closed(&mut self) -> bool {
        tokio::time::timeout(PATIENCE, async { while self.receive().await.is_ok() {} }).await.is_ok()
    }

    async fn read(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let kind = self.stream.read_u8().await?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.stream.read_u8().await?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((kind, body))
    }
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    body.extend(text.as_bytes());
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128).unwrap();
        length /= 128;
        bytes.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}
