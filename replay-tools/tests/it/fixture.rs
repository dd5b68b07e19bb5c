//! A day at the node oslo, with fixed ids and a fixed clock.
//!
//! ```text
//!   second  0    1            2        3        4            5        6        7
//!   down         1 desire 20                    2 desire 22
//!   up                        1 start  2 is 18               3 is 19  4 online 5 wish 25 locally
//!   seen                               1:1                   1:1      1:2      1:2
//! ```

use ledge_core::journal::{Draft, Journal};
use ledge_core::log::{Batch, Op, Store};
use ledge_core::{Base, BaseReason, Digest};
use ledge_log::{SimDisk, SimStore};
use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::down::ObjectPut;
use ledge_schemas::kinds::up::{Change, DeviceState, EdgeStarted, PropertyChange, TwinChanged, TwinValue};
use ledge_schemas::{Cause, Epoch, LogId, NodeName, Position, StreamId};

/// 2026-01-01T00:00:00Z.
pub const T0: u64 = 1_767_225_600_000;
pub const UP_LOG: LogId = LogId([0x17; 16]);
pub const DOWN_LOG: LogId = LogId([0xd0; 16]);
pub const DEVICE: &str = "shop/thermostat";

pub fn node() -> NodeName {
    NodeName::new("oslo").unwrap()
}

pub fn up() -> StreamId {
    StreamId::Up(node())
}

pub fn down() -> StreamId {
    StreamId::Down(node())
}

pub fn begin<S: Store>(journal: &mut Journal<S>, stream: &StreamId, log_id: LogId, epoch: u32) {
    let base = Base::begin(log_id, Epoch(epoch), Digest::default(), BaseReason::New);
    let mut txn = journal.begin(T0);
    txn.begin(stream, base, Vec::new()).unwrap();
    txn.commit().unwrap();
}

/// One event in a run of its own, at a second of the day.
pub fn append<S: Store, B: Body>(
    journal: &mut Journal<S>,
    second: u64,
    stream: &StreamId,
    key: &str,
    body: &B,
    seen: Option<&str>,
) -> Position {
    let mut draft = Draft::new(key, body).unwrap();
    draft.seen = seen.map(|seen| seen.parse().unwrap());
    // What the node reports after it saw a wish was made by that wish.
    draft.cause = draft.seen.map(|position| Cause { stream: down(), position });
    let mut txn = journal.begin(T0 + second * 1000);
    let at = txn.append(stream, draft).unwrap();
    txn.commit().unwrap();
    at
}

pub fn desire(value: &str) -> ObjectPut {
    let object = format!(
        r#"{{"kind":"Device","spec":{{"properties":[{{"desired":{{"value":"{value}"}},"name":"temp"}}]}}}}"#
    );
    ObjectPut { object: object.into() }
}

pub fn twin(expected: Option<&str>, actual: Option<&str>, second: u64) -> TwinChanged {
    let value = |text: &str| TwinValue { value: text.into(), timestamp_ms: T0 + second * 1000 };
    let change = Change::Set {
        expected: expected.map(value),
        actual: actual.map(value),
        optional: None,
        value_type: "int".into(),
    };
    let changes = vec![PropertyChange { name: "temp".into(), change }];
    TwinChanged { event_id: format!("e{second}"), changes }
}

/// Writes the day, the first `seconds` of it, into an empty store.
pub fn day<S: Store>(store: S, seconds: u64) -> Journal<S> {
    let mut journal = Journal::open(store).unwrap();
    let object = "devices.devices.kubeedge.io/shop/thermostat";
    begin(&mut journal, &up(), UP_LOG, 1);
    begin(&mut journal, &down(), DOWN_LOG, 1);
    let j = &mut journal;
    for second in 1..=seconds {
        match second {
            1 => append(j, 1, &down(), object, &desire("20"), None),
            2 => append(j, 2, &up(), "", &EdgeStarted { version: "0.1.0".into() }, None),
            3 => append(j, 3, &up(), DEVICE, &twin(None, Some("18"), 3), Some("1:1")),
            4 => append(j, 4, &down(), object, &desire("22"), None),
            5 => append(j, 5, &up(), DEVICE, &twin(None, Some("19"), 5), Some("1:1")),
            6 => {
                let online = DeviceState { state: "online".into(), last_online_ms: T0 + 6000 };
                append(j, 6, &up(), DEVICE, &online, Some("1:2"))
            }
            _ => append(j, second, &up(), DEVICE, &twin(Some("25"), None, second), Some("1:2")),
        };
    }
    journal
}

/// The whole day in a simulated store.
pub fn whole_day() -> SimStore {
    day(SimDisk::new().open(), 7).into_store()
}

/// Changes a store behind the journal's back.
pub fn commit(store: &mut SimStore, op: Op) {
    store.commit(Batch { ops: vec![op] }).unwrap();
}
