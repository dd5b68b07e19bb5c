#![allow(clippy::unwrap_used, reason = "tests")]

mod device;
mod membership;
mod payload;
mod state;
mod topic;
mod twin;

use std::collections::BTreeMap;

use ledge_core::Row;
use ledge_core::log::StoreError;
use ledge_core::view::{self, Applied, Rows};
use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::down::{ObjectPut, ObjectRemoved, RemovalReason};
use ledge_schemas::projection::ObjectKey;
use ledge_schemas::{DeviceName, EventRef, Hlc, NodeName, Position, StreamId};
use serde_json::{Value, json};

use super::{Device, Facts, Now, Rejected, Reply, device as devices, get, state as states, update};

/// Rows of one view.
#[derive(Clone, Debug, Default)]
struct Map(BTreeMap<Vec<u8>, Vec<u8>>);

impl Rows for Map {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.0.insert(key, value);
        Ok(())
    }
    fn delete(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        self.0.remove(&key);
        Ok(())
    }
    fn keys(&mut self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(self.0.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}

impl Map {
    fn rows(&self, prefix: &[u8], limit: usize) -> Vec<Row> {
        let under = self.0.iter().filter(|(key, _)| key.starts_with(prefix));
        under.take(limit).map(|(key, value)| Row { key: key.clone(), value: value.clone() }).collect()
    }
}

/// A node whose two streams are applied by the real views.
struct Edge {
    up: Map,
    down: Map,
    up_at: Position,
    down_at: Position,
    now_ms: u64,
}

impl Facts for Edge {
    fn down_applied(&self) -> Result<Position, StoreError> {
        Ok(self.down_at)
    }
    fn down(&self, prefix: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        Ok(self.down.rows(prefix, limit))
    }
    fn down_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.down.0.get(key).cloned())
    }
    fn up(&self, prefix: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        Ok(self.up.rows(prefix, limit))
    }
    fn up_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.up.0.get(key).cloned())
    }
}

const PUMP: &str = "dev/pump";

fn name(device: &str) -> DeviceName {
    device.parse().unwrap()
}

impl Edge {
    /// A node that was given device `dev/pump`, at 1,000 ms.
    fn with_pump() -> Self {
        let (up_at, down_at) = (Position::new(1, 0), Position::new(1, 0));
        let mut edge = Self { up: Map::default(), down: Map::default(), up_at, down_at, now_ms: 1_000 };
        edge.given(PUMP, &[]);
        edge
    }

    /// The cloud gives the node a device, and wishes these values of it.
    fn given(&mut self, device: &str, wishes: &[(&str, &str)]) {
        let property = |(name, value): &(&str, &str)| json!({"name": name, "desired": {"value": value}});
        let properties: Vec<_> = wishes.iter().map(property).collect();
        let object = json!({"spec": {"properties": properties}}).to_string().into_bytes();
        self.send_down(device, &ObjectPut { object });
    }

    fn taken(&mut self, device: &str) {
        self.send_down(device, &ObjectRemoved { reason: RemovalReason::Moved });
    }

    fn send_down<T: Body>(&mut self, device: &str, body: &T) {
        self.down_at.seq = self.down_at.seq.next();
        let name = name(device);
        let key = ObjectKey::device(&name.namespace, &name.name).to_string();
        let body = body.to_body().unwrap();
        let event = EventRef { hlc: Hlc(0), kind: T::KIND, key: &key, cause: None, seen: None, body: &body };
        let stream = StreamId::Down(node());
        assert_eq!(view::apply(&stream, &mut self.down, self.down_at, &event), Ok(Applied::Done));
    }

    fn append<T: Body>(&mut self, device: &str, body: &T) {
        self.up_at.seq = self.up_at.seq.next();
        let (hlc, seen) = (Hlc(self.now_ms << 16), Some(self.down_at));
        let body = body.to_body().unwrap();
        let event = EventRef { hlc, kind: T::KIND, key: device, cause: None, seen, body: &body };
        let stream = StreamId::Up(node());
        assert_eq!(view::apply(&stream, &mut self.up, self.up_at, &event), Ok(Applied::Done));
    }

    fn now(&self) -> Now {
        Now { ms: self.now_ms, fresh_id: "fresh".into() }
    }

    fn device(&self, device: &str) -> Option<Device> {
        devices::load(self, &name(device)).unwrap()
    }

    /// Decides an update and appends its event, if it is taken.
    fn update(&mut self, device: &str, payload: &[u8]) -> Result<update::Accepted, Rejected> {
        let accepted = update::decide(&name(device), self.device(device).as_mut(), payload, &self.now())?;
        if let Some(event) = &accepted.event {
            self.append(device, event);
        }
        Ok(accepted)
    }

    /// The same for `dev/pump`, from the `twin` part alone.
    fn twin(&mut self, twin: Value) -> Result<update::Accepted, Rejected> {
        self.update(PUMP, &bytes(&json!({"event_id": "e-1", "twin": twin})))
    }

    /// What `dev/pump` is told when it asks for its twin.
    fn get(&self) -> Value {
        let payload = bytes(&json!({"event_id": "g"}));
        let reply = get::answer(&name(PUMP), self.device(PUMP).as_ref(), &payload, &self.now()).unwrap();
        json(&reply)["twin"].clone()
    }
}

fn node() -> NodeName {
    NodeName::new("oslo").unwrap()
}

fn bytes(json: &Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.payload).unwrap()
}

/// Topic, code and reason of a refusal.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Rejected>) -> (String, u64, String) {
    let reply = answer.unwrap_err().reply;
    let body = json(&reply);
    (reply.topic, body["code"].as_u64().unwrap(), body["reason"].as_str().unwrap().to_owned())
}
