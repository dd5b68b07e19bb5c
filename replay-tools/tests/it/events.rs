//! Which events are shown.

use ledge_core::journal::Journal;
use ledge_log::SimDisk;
use ledge_replay::{Filter, ReplayError, events};
use ledge_schemas::kinds::up::{LogBegun, Message};
use ledge_schemas::{Kind, LogId, Seq, StreamId};

use super::fixture::{DEVICE, T0, UP_LOG, append, begin, up, whole_day};

#[track_caller]
fn check(filter: Filter, expected: &[u64]) {
    let store = whole_day();
    let found = events(&store, &up(), filter).unwrap().map(|entry| entry.unwrap().position.seq.0);
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn events_come_in_order_and_filters_add_up() {
    check(Filter::default(), &[1, 2, 3, 4, 5]);
    check(Filter { from: Some(Seq(2)), to: Some(Seq(4)), ..Filter::default() }, &[2, 3, 4]);
    check(Filter { from: Some(Seq(9)), ..Filter::default() }, &[]);
    check(Filter { to: Some(Seq(0)), ..Filter::default() }, &[]);
    check(Filter { kind: Some(Kind(201)), ..Filter::default() }, &[2, 3, 5]);
    check(Filter { kind: Some(Kind(201)), from: Some(Seq(3)), ..Filter::default() }, &[3, 5]);
    check(Filter { key: Some("shop/".into()), ..Filter::default() }, &[2, 3, 4, 5]);
    check(Filter { key: Some(format!("{DEVICE}x")), ..Filter::default() }, &[]);
}

#[test]
fn a_range_inside_a_run_is_cut_to_its_events() {
    let mut journal = Journal::open(SimDisk::new().open()).unwrap();
    begin(&mut journal, &up(), UP_LOG, 1);
    let mut txn = journal.begin(T0);
    for n in 0..600_u32 {
        let message = Message { topic: "t".into(), payload: n.to_le_bytes().to_vec() };
        txn.append(&up(), ledge_core::journal::Draft::new("t", &message).unwrap()).unwrap();
    }
    txn.commit().unwrap();
    let filter = Filter { from: Some(Seq(250)), to: Some(Seq(262)), ..Filter::default() };
    let found: Vec<_> =
        events(journal.store(), &up(), filter).unwrap().map(|e| e.unwrap().position.seq.0).collect();
    assert_eq!(found, (250..=262).collect::<Vec<_>>());
}

#[test]
fn an_archived_log_is_read_by_its_id() {
    let mut journal = Journal::open(whole_day()).unwrap();
    begin(&mut journal, &up(), LogId([0x18; 16]), 2);
    append(&mut journal, 9, &up(), "", &LogBegun { reason: "test".into() }, None);
    let positions = |log| -> Vec<String> {
        let filter = Filter { log, ..Filter::default() };
        let found = events(journal.store(), &up(), filter).unwrap();
        found.map(|entry| entry.unwrap().record().position).collect()
    };
    assert_eq!(positions(None), ["2:1"]);
    assert_eq!(positions(Some(UP_LOG)), ["1:1", "1:2", "1:3", "1:4", "1:5"]);
    let nobody = Filter { log: Some(LogId([1; 16])), ..Filter::default() };
    assert!(matches!(events(journal.store(), &up(), nobody), Err(ReplayError::NoLog { .. })));
}

#[test]
fn a_corrupt_run_ends_the_events_with_an_error_and_nothing_after_it() {
    let disk = SimDisk::new();
    let store = super::fixture::day(disk.open(), 7).into_store();
    assert!(disk.corrupt(&up(), Seq(4)));
    let filter = Filter { to: Some(Seq(3)), ..Filter::default() };
    let before = events(&store, &up(), filter).unwrap().filter(Result::is_ok).count();
    assert!(before <= 3);
    let found: Vec<_> = events(&store, &up(), Filter::default()).unwrap().collect();
    assert!(matches!(found.last(), Some(Err(ReplayError::Store(_)))), "{found:?}");
    assert_eq!(found.iter().filter(|entry| entry.is_err()).count(), 1);
}

#[test]
fn a_stream_that_is_not_here_is_named() {
    let error = events(&whole_day(), &StreamId::Cluster, Filter::default()).unwrap_err();
    assert_eq!(error.to_string(), "there is no stream cluster here; `ledge-replay ls` lists what there is");
}
