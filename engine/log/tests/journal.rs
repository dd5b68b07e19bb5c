//! The journal: streams, views and cursors change together, and a refused command leaves nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use ledge_core::invariant;
use ledge_core::journal::{Draft, Journal, Txn};
use ledge_core::log::{Reader, StoreError};
use ledge_core::sync::commands::edge::trim_up;
use ledge_core::{Base, BaseReason, Digest};
use ledge_log::{SimDisk, SimStore};
use ledge_schemas::kinds::up::{Change, Message, PropertyChange, TwinChanged, TwinValue};
use ledge_schemas::{Epoch, LogId, NodeName, Position, Seq, StreamId, limits};
use proptest::prelude::*;

fn node() -> NodeName {
    NodeName::new("oslo").unwrap()
}

fn up() -> StreamId {
    StreamId::Up(node())
}

fn journal() -> Journal<SimStore> {
    let mut journal = Journal::open(SimDisk::new().open()).unwrap();
    let base = Base::begin(LogId([1; 16]), Epoch(1), Digest::default(), BaseReason::New);
    let mut txn = journal.begin(1);
    txn.begin(&up(), base, Vec::new()).unwrap();
    txn.commit().unwrap();
    journal
}

fn report(property: u8, value: u32) -> Draft {
    let actual = Some(TwinValue { value: value.to_string(), timestamp_ms: 1 });
    let change = Change::Set { expected: None, actual, optional: None, value_type: "string".into() };
    let changes = vec![PropertyChange { name: format!("p{property}"), change }];
    Draft::new("default/pump", &TwinChanged { event_id: String::new(), changes }).unwrap()
}

fn message(len: usize) -> Draft {
    Draft::new("t", &Message { topic: "t".into(), payload: vec![b'x'; len] }).unwrap()
}

fn refused(txn: &mut Txn<'_, SimStore>, property: u8) {
    let result: Result<(), StoreError> = txn.command(|txn| {
        txn.append(&up(), report(property, 999))?;
        txn.set_local("mark", Some(vec![property]));
        Err(StoreError::Poisoned)
    });
    assert_eq!(result, Err(StoreError::Poisoned));
}

#[test]
fn a_refused_command_leaves_nothing_beside_those_that_were_taken() {
    let mut journal = journal();
    let mut txn = journal.begin(2);
    refused(&mut txn, 1);
    let at = txn.command(|txn| txn.append(&up(), report(1, 5))).unwrap();
    refused(&mut txn, 1);
    refused(&mut txn, 2);
    assert_eq!(at, Position::new(1, 1));
    txn.commit().unwrap();
    assert_eq!(journal.head(&up()).unwrap().tail, Seq(1));
    assert_eq!(journal.store().local("mark").unwrap(), None);
    assert_eq!(journal.store().row(&up(), b"twin/default/pump/p2").unwrap(), None);
    invariant::stored(journal.store(), &up()).unwrap();
}

#[test]
fn a_transaction_of_refused_commands_writes_nothing() {
    let mut journal = journal();
    let mut txn = journal.begin(2);
    refused(&mut txn, 1);
    assert!(txn.is_empty());
    assert_eq!(txn.commit().unwrap().tails, []);
}

#[test]
fn runs_keep_to_their_limits() {
    let mut journal = journal();
    let mut txn = journal.begin(2);
    for _ in 0..600 {
        txn.append(&up(), message(10)).unwrap();
    }
    txn.append(&up(), message(limits::EVENT_BODY - 100)).unwrap();
    for _ in 0..10 {
        txn.append(&up(), message(20_000)).unwrap();
    }
    txn.commit().unwrap();
    let runs = journal.store().runs(&up(), Seq::ZERO, usize::MAX).unwrap();
    assert_eq!(runs.iter().map(|entry| entry.run.count()).sum::<u32>(), 611);
    for entry in &runs {
        let (count, bytes) = (entry.run.count() as usize, entry.run.bytes().len());
        assert!(count <= limits::RUN_EVENTS);
        assert!(bytes <= limits::RUN_BYTES + 4096 || count == 1, "{count} events, {bytes} bytes");
    }
    invariant::stored(journal.store(), &up()).unwrap();
}

#[test]
fn an_event_over_the_limit_is_refused_before_anything_changes() {
    let mut journal = journal();
    let mut txn = journal.begin(2);
    let error = txn.command(|txn| txn.append(&up(), message(limits::EVENT_BODY + 1))).unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    assert!(txn.is_empty());
}

#[test]
fn the_clock_of_a_stream_never_runs_backwards_although_the_wall_clock_does() {
    let mut journal = journal();
    for wall in [1_000, 5, 2_000] {
        let mut txn = journal.begin(wall);
        txn.append(&up(), report(1, 1)).unwrap();
        txn.commit().unwrap();
    }
    let runs = journal.store().runs(&up(), Seq::ZERO, usize::MAX).unwrap();
    let clocks: Vec<_> = runs.iter().flat_map(|e| e.run.events()).map(|e| e.unwrap().1.hlc).collect();
    assert!(clocks.windows(2).all(|pair| pair[0] < pair[1]), "{clocks:?}");
}

#[test]
fn nothing_that_is_not_proved_is_trimmed() {
    let mut journal = journal();
    for value in 0..50 {
        let mut txn = journal.begin(2);
        txn.append(&up(), report(1, value)).unwrap();
        txn.commit().unwrap();
    }
    let mut txn = journal.begin(3);
    assert_eq!(trim_up(&mut txn, &node(), 0).unwrap(), Seq::ZERO);
}

#[derive(Clone, Debug)]
enum Step {
    Report(u8, u32),
    Refused(u8),
    Commit,
    Trim(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_u8, any::<u32>()).prop_map(|(property, value)| Step::Report(property, value)),
        2 => (0..4_u8).prop_map(Step::Refused),
        2 => Just(Step::Commit),
        1 => any::<u8>().prop_map(Step::Trim),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #[test]
    fn rows_are_the_fold_of_the_log_whatever_happens(steps in proptest::collection::vec(step(), 1..60)) {
        let mut journal = journal();
        let mut batch: Vec<Step> = Vec::new();
        let mut taken = 0;
        for step in steps {
            match step {
                Step::Report(..) | Step::Refused(_) => batch.push(step),
                Step::Commit => {
                    let mut txn = journal.begin(7);
                    for step in batch.drain(..) {
                        match step {
                            Step::Report(property, value) => {
                                txn.command(|txn| txn.append(&up(), report(property, value))).unwrap();
                                taken += 1;
                            }
                            Step::Refused(property) => refused(&mut txn, property),
                            _ => {}
                        }
                    }
                    txn.commit().unwrap();
                }
                Step::Trim(part) => {
                    let head = journal.head(&up()).unwrap().clone();
                    let entries = journal.store().runs(&up(), head.base.seq, usize::MAX).unwrap();
                    let boundary = entries.get(usize::from(part) % (entries.len() + 1)).map(|e| e.run.last());
                    if let Some(boundary) = boundary {
                        let mut txn = journal.begin(7);
                        txn.trim(&up(), boundary).unwrap();
                        txn.commit().unwrap();
                        prop_assert_eq!(journal.head(&up()).unwrap().base.seq, boundary);
                    }
                }
                Step::Reopen => journal = Journal::open(journal.into_store()).unwrap(),
            }
            invariant::stored(journal.store(), &up()).unwrap();
        }
        prop_assert_eq!(journal.head(&up()).unwrap().tail, Seq(taken));
    }
}
