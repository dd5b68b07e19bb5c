//! Random batches and crashes against the model: after each crash the store holds a prefix of what
//! was attempted, with everything that was confirmed, and the rows of exactly that prefix.

use ledge_core::log::{Batch, Cursor, Op, Store, StoreError};
use ledge_core::{Base, BaseReason, Digest, Row, Run};
use ledge_schemas::{Epoch, Event, Hlc, Kind, LogId, Seq, StreamId, format};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::arrange::up;
use super::model::{Model, ModelStream};
use super::{Fixture, commit};

/// Batches attempted for one seed.
const BATCHES: usize = 150;
/// Seeds of the conformance case.
const SEEDS: u64 = 3;

pub fn random_batches_and_crashes_leave_a_prefix<F: Fixture>(fixture: &mut F) {
    for seed in 0..SEEDS {
        check(fixture, seed);
    }
}

/// One seed, on whatever the fixture holds.
pub fn check<F: Fixture>(fixture: &mut F, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut store = fixture.open().unwrap();
    let mut confirmed = Model::observe(&store);
    for step in 0..BATCHES {
        let place = format!("seed {seed}, step {step}");
        let batch = Batch { ops: random_ops(&confirmed, &mut rng) };
        let mut attempted = confirmed.clone();
        attempted.apply(&batch);
        fixture.disturb(&mut rng);
        let unknown = match store.commit(batch) {
            Ok(()) => {
                confirmed = attempted.clone();
                false
            }
            Err(StoreError::Full { .. }) => false,
            Err(StoreError::Failed(_)) => {
                assert_eq!(commit(&mut store, []), Err(StoreError::Poisoned), "{place}");
                true
            }
            Err(error) => panic!("{place}: {error}"),
        };
        if unknown || rng.random_bool(0.1) {
            fixture.crash(store);
            store = fixture.open().unwrap();
            let found = Model::observe(&store);
            if unknown && found == attempted {
                confirmed = attempted;
            }
            assert!(found == confirmed, "{place}: found {found:#?}\nconfirmed {confirmed:#?}");
            found.streams.values().for_each(|stream| whole(stream, &place));
        } else if rng.random_bool(0.1) {
            assert_eq!(Model::observe(&store), confirmed, "{place}");
        }
    }
}

/// The stream's own invariants: no hole, an unbroken chain, rows = fold of exactly its events.
fn whole(stream: &ModelStream, place: &str) {
    let (mut at, mut chain) = (stream.head.base.seq, stream.head.base.chain);
    for entry in &stream.runs {
        assert_eq!(entry.run.first(), at.next(), "{place}: hole");
        (at, chain) = (entry.run.last(), chain.then(entry.run.bytes()));
        assert_eq!(entry.chain, chain, "{place}: chain");
    }
    assert_eq!((at, chain), (stream.head.tail, stream.head.chain), "{place}: tail");
    assert_eq!(stream.head.cursor.applied, at, "{place}: cursor");
    assert_eq!(stream.rows, stream.fold(at), "{place}: rows");
    assert_eq!(stream.head.cursor.digest, digest(&stream.rows), "{place}: digest");
}

type Rows = std::collections::BTreeMap<Vec<u8>, Vec<u8>>;

fn digest(rows: &Rows) -> Digest {
    Digest::of(rows.iter().map(|(k, v)| (&k[..], &v[..])))
}

fn as_rows(rows: &Rows) -> Vec<Row> {
    rows.iter().map(|(key, value)| Row { key: key.clone(), value: value.clone() }).collect()
}

/// A valid batch on top of `model`, of one to three parts.
fn random_ops(model: &Model, rng: &mut ChaCha8Rng) -> Vec<Op> {
    let mut model = model.clone();
    let mut ops = Vec::new();
    for _ in 0..rng.random_range(1..=3) {
        let stream = up(["a", "b", "c"][rng.random_range(0..3)]);
        let part = match (model.streams.get(&stream), rng.random_range(0..100)) {
            (None, _) | (_, 0..3) => begin(&stream, LogId(rng.random()), rng),
            (Some(_), 3..6) => match known(&model, &stream, rng) {
                log_id if rng.random() => begin(&stream, log_id, rng),
                log_id => vec![Op::Forget { stream, log_id }],
            },
            (Some(here), 6..75) => append(&stream, here, rng),
            (Some(here), 75..83) => trim(&stream, here, rng),
            (Some(here), 83..88) => rebuild(&stream, here),
            (Some(here), 88..92) => {
                vec![Op::Bind { stream, log_id: here.head.base.log_id, epoch: Epoch(rng.random_range(1..9)) }]
            }
            (Some(_), 92..94) => vec![Op::Drop { stream }],
            _ => vec![match rng.random_bool(0.7) {
                true => Op::PutLocal { key: stream.to_string(), value: rng.random::<[u8; 8]>().to_vec() },
                false => Op::DeleteLocal { key: stream.to_string() },
            }],
        };
        model.apply(&Batch { ops: part.clone() });
        ops.extend(part);
    }
    ops
}

/// The log id of an archived incarnation, or of the current one.
fn known(model: &Model, stream: &StreamId, rng: &mut ChaCha8Rng) -> LogId {
    match model.archived.get(stream) {
        Some(old) if rng.random_bool(0.7) => old[rng.random_range(0..old.len())].0.base.log_id,
        _ => model.streams[stream].head.base.log_id,
    }
}

fn begin(stream: &StreamId, log_id: LogId, rng: &mut ChaCha8Rng) -> Vec<Op> {
    let rows: Rows =
        (0..rng.random_range(0..4)).map(|n| (vec![b'0' + n], rng.random::<[u8; 4]>().to_vec())).collect();
    let base = Base::begin(log_id, Epoch::PROVISIONAL, digest(&rows), BaseReason::New);
    vec![Op::Begin { stream: stream.clone(), base, rows: as_rows(&rows) }]
}

/// A few runs with the rows that they change, and the cursor behind them.
fn append(stream: &StreamId, here: &ModelStream, rng: &mut ChaCha8Rng) -> Vec<Op> {
    let mut ops = Vec::new();
    let (mut tail, mut chain, mut rows) = (here.head.tail, here.head.chain, here.rows.clone());
    for _ in 0..rng.random_range(1..=3) {
        let mut events = Vec::new();
        for _ in 0..rng.random_range(1..=5) {
            let long = if rng.random_bool(0.05) { 20_000 } else { 40 };
            let body: Vec<u8> = (0..rng.random_range(0..long)).map(|_| rng.random()).collect();
            let key = rng.random_range(0..10).to_string();
            let change = (stream.clone(), key.clone().into_bytes(), body.clone());
            ops.push(match change {
                (stream, key, body) if body.is_empty() => {
                    rows.remove(&key);
                    Op::DeleteRow { stream, key }
                }
                (stream, key, value) => {
                    rows.insert(key.clone(), value.clone());
                    Op::PutRow { stream, key, value }
                }
            });
            events.push(Event { hlc: Hlc(1), kind: Kind(204), key, cause: None, seen: None, body });
        }
        let run = Run::encode(here.head.base.log_id, tail.next(), &events).unwrap();
        let previous = chain;
        (tail, chain) = (run.last(), previous.then(run.bytes()));
        ops.push(Op::Append { stream: stream.clone(), previous, run, chain });
    }
    ops.push(cursor(stream, tail, &rows));
    ops
}

fn cursor(stream: &StreamId, applied: Seq, rows: &Rows) -> Op {
    let cursor = Cursor { applied, view_version: format::VIEW, digest: digest(rows) };
    Op::SetCursor { stream: stream.clone(), cursor }
}

/// A base at some run boundary.
fn trim(stream: &StreamId, here: &ModelStream, rng: &mut ChaCha8Rng) -> Vec<Op> {
    if here.runs.is_empty() {
        return vec![];
    }
    let at = &here.runs[rng.random_range(0..here.runs.len())];
    let rows = here.fold(at.run.last());
    let base = Base {
        seq: at.run.last(),
        chain: at.chain,
        digest: digest(&rows),
        reason: BaseReason::Trimmed,
        ..here.head.base.clone()
    };
    vec![Op::Trim { stream: stream.clone(), base, rows: as_rows(&rows) }]
}

/// What rebuilding a view does: every row anew.
fn rebuild(stream: &StreamId, here: &ModelStream) -> Vec<Op> {
    let put = |(key, value): (&Vec<u8>, &Vec<u8>)| Op::PutRow {
        stream: stream.clone(),
        key: key.clone(),
        value: value.clone(),
    };
    let mut ops = vec![Op::ClearRows { stream: stream.clone() }];
    ops.extend(here.rows.iter().map(put));
    ops.push(cursor(stream, here.head.tail, &here.rows));
    ops
}
