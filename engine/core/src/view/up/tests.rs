#![allow(clippy::unwrap_used, reason = "tests")]

use ledge_schemas::kinds::up::{Change, PropertyChange, TwinValue};
use ledge_schemas::{Event, Hlc, Seq, codec};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// A node's rows, and the seq of its last event.
#[derive(Default)]
struct Node {
    rows: Map,
    seq: u64,
}

impl Node {
    fn event<T: Body>(&mut self, key: &str, body: &T) -> Applied {
        self.raw(T::KIND, key, body.to_body().unwrap())
    }

    fn raw(&mut self, kind: ledge_schemas::Kind, key: &str, body: Vec<u8>) -> Applied {
        self.seq += 1;
        let seen = Some(Position::new(1, self.seq * 10));
        let hlc = Hlc((1_000 + self.seq) << 16);
        let event = Event { hlc, kind, key: key.into(), cause: None, seen, body };
        let bytes = codec::encode(&event).unwrap();
        apply(&mut self.rows, Position::new(1, self.seq), &codec::decode_ref(&bytes).unwrap()).unwrap()
    }

    fn twin(&self, device: &str, property: &str) -> Option<(Seq, TwinRow)> {
        let key = twin_key(&device.parse().unwrap(), property);
        self.rows.0.get(&key).map(|row| bytes::decode(row).unwrap())
    }

    fn keys(&self) -> Vec<String> {
        self.rows.0.keys().map(|key| String::from_utf8(key.clone()).unwrap()).collect()
    }
}

fn value(text: &str) -> Option<TwinValue> {
    Some(TwinValue { value: text.into(), timestamp_ms: 7 })
}

fn set(expected: Option<&str>, actual: Option<&str>) -> Change {
    let of = |text: Option<&str>| text.and_then(value);
    Change::Set { expected: of(expected), actual: of(actual), optional: None, value_type: "string".into() }
}

fn twin(changes: impl IntoIterator<Item = (&'static str, Change)>) -> TwinChanged {
    let change = |(name, change): (&str, Change)| PropertyChange { name: name.into(), change };
    TwinChanged { event_id: "e".into(), changes: changes.into_iter().map(change).collect() }
}

#[test]
fn a_report_is_a_row_with_its_position_and_the_edges_time() {
    let mut node = Node::default();
    assert_eq!(node.event("dev/pump", &twin([("speed", set(Some("40"), Some("38")))])), Applied::Done);
    let expected = LocalExpected { value: "40".into(), timestamp_ms: 7, seen: Position::new(1, 10) };
    let row = TwinRow {
        expected: Some(expected),
        actual: value("38"),
        value_type: "string".into(),
        optional: true,
        deleted: false,
        expected_version: 1,
        actual_version: 1,
        edge_time_ms: 1_001,
    };
    assert_eq!(node.twin("dev/pump", "speed"), Some((Seq(1), row)));
    assert_eq!(node.keys(), ["twin/dev/pump/speed"]);
}

#[test]
fn versions_count_reports_even_of_the_same_value() {
    let mut node = Node::default();
    for _ in 0..3 {
        node.event("a/b", &twin([("k", set(None, Some("1")))]));
    }
    let (at, row) = node.twin("a/b", "k").unwrap();
    assert_eq!((at, row.expected_version, row.actual_version), (Seq(3), 0, 3));
}

#[test]
fn what_a_report_does_not_name_stays() {
    let mut node = Node::default();
    node.event("a/b", &twin([("k", set(Some("1"), None)), ("l", set(None, Some("x")))]));
    node.event("a/b", &twin([("k", set(None, Some("2")))]));
    let (at, row) = node.twin("a/b", "k").unwrap();
    assert_eq!((at, row.expected.unwrap().seen), (Seq(2), Position::new(1, 10)), "seen is that of the set");
    assert_eq!(row.actual, value("2"));
    assert_eq!(node.twin("a/b", "l").unwrap().0, Seq(1));
}

#[test]
fn a_deleted_property_is_a_tombstone_that_comes_back_with_its_versions() {
    let mut node = Node::default();
    node.event("a/b", &twin([("k", set(Some("1"), None))]));
    node.event("a/b", &twin([("k", Change::Delete)]));
    let (_, row) = node.twin("a/b", "k").unwrap();
    assert!(row.deleted && row.expected.is_none());
    assert_eq!((row.expected_version, row.actual_version), (2, 0));
    node.event("a/b", &twin([("k", Change::Delete)]));
    assert_eq!(node.twin("a/b", "k").unwrap(), (Seq(2), row), "deleting a tombstone changes nothing");
    node.event("a/b", &twin([("k", set(None, Some("2"))), ("k", Change::Delete), ("k", Change::Delete)]));
    let (_, row) = node.twin("a/b", "k").unwrap();
    assert_eq!((row.deleted, row.expected_version, row.actual_version), (true, 3, 2));
    node.event("a/b", &twin([("k", set(Some("2"), None))]));
    let (_, row) = node.twin("a/b", "k").unwrap();
    assert_eq!((row.deleted, row.expected_version), (false, 4));
}

#[test]
fn deleting_what_is_not_there_leaves_no_row() {
    let mut node = Node::default();
    assert_eq!(node.event("a/b", &twin([("k", Change::Delete)])), Applied::Done);
    assert_eq!(node.keys(), [""; 0]);
}

#[test]
fn mandatory_is_for_good() {
    let mut node = Node::default();
    for optional in [false, true] {
        let change =
            Change::Set { expected: None, actual: None, optional: Some(optional), value_type: "int".into() };
        node.event("a/b", &twin([("k", change)]));
        assert!(!node.twin("a/b", "k").unwrap().1.optional);
    }
}

#[test]
fn a_forgotten_device_takes_its_own_rows_along() {
    let mut node = Node::default();
    for device in ["a/b", "a/b2", "a/c"] {
        node.event(device, &twin([("k/x", set(None, Some("1")))]));
        let state = DeviceState { state: "online".into(), last_online_ms: 5 };
        assert_eq!(node.event(device, &state), Applied::Done);
    }
    assert_eq!(node.event("a/b", &DeviceForgotten {}), Applied::Done);
    assert_eq!(node.keys(), ["state/a/b2", "state/a/c", "twin/a/b2/k/x", "twin/a/c/k/x"]);
}

#[test]
fn state_and_version_of_the_edge_are_rows_and_history_is_not() {
    let mut node = Node::default();
    node.event("", &EdgeStarted { version: "1.2".into() });
    node.event("a/b", &DeviceState { state: "ok".into(), last_online_ms: 5 });
    let before = node.rows.clone();
    let admission =
        AdmissionChanged { class: "telemetry".into(), open: false, used_bytes: 2, budget_bytes: 1 };
    assert_eq!(node.event("t", &Message { topic: "t".into(), payload: vec![1] }), Applied::Done);
    assert_eq!(node.event("", &admission), Applied::Done);
    assert_eq!(node.event("", &LogBegun { reason: "r".into() }), Applied::Done);
    assert_eq!(node.rows, before);
    let info = bytes::decode::<InfoRow>(&before.0[INFO.as_bytes()]).unwrap();
    assert_eq!(info, (Seq(1), InfoRow { version: "1.2".into(), started_ms: 1_001 }));
    let state = bytes::decode::<StateRow>(&before.0[state_key(&"a/b".parse().unwrap()).as_slice()]).unwrap();
    assert_eq!(state.1, StateRow { state: "ok".into(), last_online_ms: 5, edge_time_ms: 1_002 });
}

#[test]
fn poison_changes_no_row_at_all() {
    let mut node = Node::default();
    let good = ("k", set(None, Some("1")));
    assert_eq!(node.event("no-device", &twin([good.clone()])), Applied::Poison);
    assert_eq!(node.event("a/b", &twin([good.clone(), ("", set(None, None))])), Applied::Poison);
    let long = "x".repeat(limits::EVENT_KEY);
    let long = PropertyChange { name: long, change: good.1.clone() };
    let mut body = twin([good]);
    body.changes.push(long);
    assert_eq!(node.event("a/b", &body), Applied::Poison);
    for kind in ledge_schemas::kinds::up::KINDS {
        assert_eq!(node.raw(kind.0, "a/b", vec![255; 9]), Applied::Poison, "{}", kind.1);
    }
    assert_eq!(node.raw(ledge_schemas::Kind(100), "a/b", vec![]), Applied::Unknown);
    assert_eq!(node.keys(), [""; 0]);
}

#[test]
fn a_row_that_does_not_read_is_corruption_not_data() {
    let mut node = Node::default();
    node.rows.0.insert(b"twin/a/b/k".to_vec(), vec![1, 2]);
    let body = twin([("k", set(None, Some("1")))]).to_body().unwrap();
    let kind = TwinChanged::KIND;
    let event = EventRef { hlc: Hlc(1), kind, key: "a/b", cause: None, seen: None, body: &body };
    let answer = apply(&mut node.rows, Position::new(1, 1), &event);
    assert!(matches!(answer, Err(StoreError::Corrupt { .. })), "{answer:?}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(kind in 195_u16..210, key in "[a-c/]{0,5}", body: Vec<u8>) {
        let mut node = Node::default();
        node.raw(ledge_schemas::Kind(kind), &key, body);
    }

    #[test]
    fn counts_agree_with_a_slow_obvious_count(ops in prop::collection::vec(0_u8..4, 0..40)) {
        let mut node = Node::default();
        let (mut expected, mut actual, mut there) = (0_u64, 0_u64, false);
        for op in ops {
            let change = match op {
                0 => set(Some("e"), None),
                1 => set(None, Some("a")),
                2 => set(Some("e"), Some("a")),
                _ => Change::Delete,
            };
            if op == 3 {
                expected += u64::from(there && expected > 0);
                actual += u64::from(there && actual > 0);
            } else {
                expected += u64::from(op != 1);
                actual += u64::from(op != 0);
            }
            there = op != 3;
            node.event("a/b", &twin([("k", change)]));
        }
        let row = node.twin("a/b", "k").map(|(_, row)| row);
        let counted = row.map_or((0, 0, false), |r| (r.expected_version, r.actual_version, !r.deleted));
        prop_assert_eq!(counted, (expected, actual, there));
    }
}
