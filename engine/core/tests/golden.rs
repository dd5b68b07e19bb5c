//! Every format that was ever released is read by today's code, and today's code writes the newest
//! one byte for byte. Files: `schemas/golden/vN/`. A new format adds a folder; no file ever changes.
//! `UPDATE_GOLDEN=1 cargo test -p ledge-core --test golden` writes files that are not there yet.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Debug;
use std::path::PathBuf;

use bytes::Bytes;
use ledge_core::sync::message::{
    Ack, BaseChunk, Beat, Confirm, Direction, DownPlan, DownVerdict, Hello, Message, Overlay, Refuse,
    RefuseCode, StreamState, UpPlan, UpVerdict, ViewDigest, Welcome,
};
use ledge_core::sync::wire;
use ledge_core::view::{control, down, row, up};
use ledge_core::{Base, BaseReason, Chain, Digest, Row, Run, frame};
use ledge_schemas::kinds::{self, Body};
use ledge_schemas::{Cause, Epoch, Event, Hlc, Kind, LogId, NodeName, Position, Seq, StreamId, codec};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas/golden/v1").join(name)
}

/// The file holds `bytes`; returns them as they stand in the file.
#[track_caller]
fn golden(name: &str, bytes: &[u8]) -> Bytes {
    let path = path(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let stored = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(stored == bytes, "{name} is written differently than when it was released");
    stored.into()
}

fn event(n: u64) -> Event {
    let cause = (n == 2).then(|| Cause {
        stream: StreamId::Down(NodeName::new("oslo").unwrap()),
        position: Position::new(3, 41),
    });
    let seen = (n == 2).then(|| Position::new(3, 42));
    Event { hlc: Hlc(n << 16), kind: Kind(201), key: "default/pump".into(), cause, seen, body: vec![7; 5] }
}

fn run() -> Run {
    Run::encode(LogId([0xab; 16]), Seq(9), &[event(1), event(2)]).unwrap()
}

fn base() -> Base {
    let rows = rows();
    let digest = Digest::of(rows.iter().map(|row| (&row.key[..], &row.value[..])));
    Base::begin(LogId([0xab; 16]), Epoch(4), digest, BaseReason::Trimmed)
}

fn rows() -> Vec<Row> {
    vec![Row { key: b"a".to_vec(), value: vec![1, 2] }, Row { key: b"b".to_vec(), value: vec![] }]
}

#[test]
fn runs_frames_and_chains() {
    let run = run();
    assert_eq!(Run::parse(golden("run.bin", run.bytes())).unwrap(), run);
    let (packed, _) = frame::pack(std::slice::from_ref(&run), 1 << 20);
    assert_eq!(frame::unpack(&golden("frame.bin", &packed)).unwrap(), std::slice::from_ref(&run));
    let chain = base().chain.then(run.bytes());
    assert_eq!(golden("chain.bin", &chain.0), Bytes::copy_from_slice(&chain.0));
    let encoded = codec::encode(&base()).unwrap();
    assert_eq!(codec::decode::<Base>(&golden("base.bin", &encoded)).unwrap(), base());
}

#[test]
fn messages() {
    let log_id = LogId([0xab; 16]);
    let chain = Chain([5; 32]);
    let state = StreamState { log_id, epoch: Epoch(2), oldest: Seq(1), head: Seq(70_000), chain };
    let hello = Hello {
        node: NodeName::new("oslo").unwrap(),
        session: 6,
        protocol_oldest: 1,
        protocol: 1,
        kinds: vec![Kind(100), Kind(101)],
        view_version: 1,
        now_ms: 1_700_000_000_000,
        up: state.clone(),
        up_accepted: Seq(60_000),
        down: Some(state),
        store_id: Some(log_id),
    };
    let welcome = Welcome {
        session: 7,
        protocol: 1,
        store_id: log_id,
        now_ms: 1_700_000_000_001,
        heartbeat_ms: 5_000,
        credit_frames: 32,
        credit_bytes: 4 << 20,
        up_epoch: Epoch(2),
        up: UpPlan::Continue { tail: Seq(60_000), chain },
        down: DownPlan::Offer { tail: Seq(1), chain },
    };
    let confirm = Confirm {
        session: 7,
        up_log: log_id,
        up: UpVerdict::Resume,
        down: DownVerdict::Offer { through: Seq(70_000) },
    };
    let ack = Ack { direction: Direction::Up, seq: Seq(61_000), chain };
    let digest = ViewDigest {
        direction: Direction::Down,
        log_id,
        seq: Seq(9),
        view_version: 1,
        digest: Digest([6; 32]),
    };
    let beat = Beat { number: 3, ack: Some(ack), digests: vec![digest] };
    let chunk = BaseChunk { direction: Direction::Down, index: 0, last: true, base: base(), rows: rows() };
    let refuse = Refuse { code: RefuseCode::Quarantined, text: "why".into(), retry_after_ms: 30_000 };
    for (name, message) in [
        ("hello.bin", Message::Hello(Box::new(hello))),
        ("welcome.bin", Message::Welcome(Box::new(welcome))),
        ("refuse.bin", Message::Refuse(refuse)),
        ("confirm.bin", Message::Confirm(confirm)),
        ("message-frame.bin", Message::Frame { direction: Direction::Down, frame: run().bytes().clone() }),
        ("message-base.bin", Message::Base(Box::new(chunk))),
        ("ack.bin", Message::Ack(ack)),
        ("ping.bin", Message::Ping(beat.clone())),
        ("pong.bin", Message::Pong(beat)),
        ("overlay.bin", Message::Overlay(Overlay { position: Position::new(2, 61_000), rows: rows() })),
        ("want-base.bin", Message::WantBase),
    ] {
        let bytes = golden(name, &wire::encode(&message).unwrap());
        assert_eq!(wire::decode(&bytes).unwrap(), message, "{name}");
    }
}

#[track_caller]
fn body<B: Body + PartialEq + Debug>(body: &B) -> Kind {
    let name = kinds::name(B::KIND).unwrap();
    let bytes = golden(&format!("kind-{}-{name}.bin", B::KIND.0), &body.to_body().unwrap());
    assert_eq!(&B::from_body(&bytes).unwrap(), body, "{name}");
    B::KIND
}

#[test]
fn bodies_of_every_kind() {
    use kinds::{cluster, control, down, up};
    let value = |text: &str| Some(up::TwinValue { value: text.into(), timestamp_ms: 1_700_000_000_000 });
    let set = up::Change::Set {
        expected: value("21"),
        actual: None,
        optional: Some(true),
        value_type: "int".into(),
    };
    let changes = vec![
        up::PropertyChange { name: "a".into(), change: set },
        up::PropertyChange { name: "b".into(), change: up::Change::Delete },
    ];
    let object = br#"{"kind":"Device"}"#.to_vec();
    let log_id = LogId([0xcd; 16]);
    let direction = Direction::Down;
    let written = [
        body(&down::ObjectPut { object: object.clone() }),
        body(&down::ObjectRemoved { reason: down::RemovalReason::Unlisted }),
        body(&up::EdgeStarted { version: "0.1.0".into() }),
        body(&up::TwinChanged { event_id: "e-1".into(), changes }),
        body(&up::DeviceState { state: "online".into(), last_online_ms: 1_700_000_000_000 }),
        body(&up::DeviceForgotten {}),
        body(&up::Message { topic: "a/user/b".into(), payload: vec![0, 255] }),
        body(&up::AdmissionChanged {
            class: "telemetry".into(),
            open: false,
            used_bytes: 5,
            budget_bytes: 6,
        }),
        body(&up::LogBegun { reason: "why".into() }),
        body(&cluster::ObjectWritten { object: object.clone(), previous: Some(Seq(4)) }),
        body(&cluster::ObjectDeleted { object, previous: None }),
        body(&control::StoreCreated { store_id: log_id }),
        body(&control::TokenCreated { record: b"{}".to_vec() }),
        body(&control::TokenUsed { node: "oslo".into() }),
        body(&control::CertificateIssued { serial: "0a".into(), fingerprint: "0b".into(), not_after: 9 }),
        body(&control::CertificateRevoked { serial: "0a".into(), reason: "why".into() }),
        body(&control::SessionIssued { number: 300 }),
        body(&control::SessionConfirmed { number: 300, up_log: log_id }),
        body(&control::LogBound { direction, log_id, epoch: Epoch(5) }),
        body(&control::NodeQuarantined { log_id, number: 2, reason: "why".into() }),
        body(&control::NodeResolved { keep: log_id }),
        body(&control::StreamRegressed { direction, accepted: 9, found: 3 }),
        body(&control::RecoveringBegun { reason: "why".into() }),
        body(&control::RecoveringAccepted {}),
        body(&control::AuthorityBound { uid: "u".into() }),
    ];
    let all: Vec<_> = kinds::all().map(|(kind, _)| kind).collect();
    assert_eq!(written.as_slice(), all, "every kind has a golden file");
}

#[track_caller]
fn row_file<T>(name: &str, value: &T)
where
    T: bincode::Encode + bincode::Decode<()> + PartialEq + Debug,
{
    let bytes = golden(name, &row::encode(Seq(77), value).unwrap());
    assert_eq!(&row::decode::<T>(&bytes).unwrap(), &(Seq(77), value_of(&bytes)), "{name}");
    assert_eq!(&value_of::<T>(&bytes), value);
}

fn value_of<T: bincode::Decode<()>>(bytes: &[u8]) -> T {
    row::decode::<T>(bytes).unwrap().1
}

#[test]
fn rows_of_the_views() {
    let quarantine = control::Quarantine { log_id: LogId([1; 16]), number: 4, reason: "why".into() };
    let certificate = control::Certificate { serial: "0a".into(), fingerprint: "0b".into(), not_after: 9 };
    let node = control::NodeRow {
        issued: 5,
        confirmed: 4,
        up_log: Some(LogId([2; 16])),
        up_epoch: Epoch(3),
        down_epoch: Epoch(2),
        quarantine: Some(quarantine),
        keep: None,
        certificate: Some(certificate),
        regressions: 1,
    };
    row_file("row-node.bin", &node);
    row_file("row-token.bin", &control::TokenRow { record: b"{}".to_vec(), used: 1 });
    row_file("row-desired.bin", &down::Desired { value: "21".into() });
    let change = kinds::up::Change::Set {
        expected: Some(kinds::up::TwinValue { value: "20".into(), timestamp_ms: 1 }),
        actual: Some(kinds::up::TwinValue { value: "19".into(), timestamp_ms: 2 }),
        optional: Some(false),
        value_type: "int".into(),
    };
    let twin = up::TwinRow::after(None, &change, Position::new(1, 6), 1_700_000_000_000).unwrap();
    row_file("row-twin.bin", &twin);
    let state = up::StateRow { state: "online".into(), last_online_ms: 3, edge_time_ms: 4 };
    row_file("row-state.bin", &state);
    row_file("row-info.bin", &up::InfoRow { version: "0.1.0".into(), started_ms: 5 });
}
