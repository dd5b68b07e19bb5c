//! Everything that can be wrong is found, and said where.

use ledge_core::journal::Journal;
use ledge_core::log::{Op, Reader};
use ledge_core::{Chain, Digest, Row};
use ledge_log::SimDisk;
use ledge_replay::verify::Fault;
use ledge_replay::{Report, Verdict, verify};
use ledge_schemas::{LogId, Seq};

use super::fixture::{begin, commit, day, up, whole_day};
use super::tampered::Tampered;

/// Exactly one problem in `up`: its fault, where, and a part of what is said.
#[track_caller]
fn check(report: &Report, fault: Fault, position: &str, said: &str) {
    let of_up: Vec<_> = report.problems.iter().filter(|p| p.stream.as_deref() == Some("up/oslo")).collect();
    let [problem] = of_up[..] else { panic!("{of_up:#?}") };
    assert_eq!((problem.fault, problem.position.as_deref()), (fault, Some(position)), "{problem:?}");
    assert!(problem.why.contains(said), "{problem:?}");
    assert_eq!(report.verdict(), fault.verdict());
}

#[test]
fn an_honest_store_is_good() {
    let report = verify(&whole_day());
    assert_eq!((report.verdict(), report.problems.len()), (Verdict::Good, 0));
    let events: Vec<_> =
        report.streams.iter().map(|log| (log.stream.as_str(), log.events, log.rows)).collect();
    assert_eq!(events, [("down/oslo", 2, 2), ("up/oslo", 5, 3)]);
}

#[test]
fn a_trimmed_and_an_archived_log_are_good() {
    let mut journal = Journal::open(whole_day()).unwrap();
    let mut txn = journal.begin(0);
    txn.trim(&up(), Seq(2)).unwrap();
    txn.commit().unwrap();
    begin(&mut journal, &up(), LogId([0x18; 16]), 2);
    let report = verify(journal.store());
    assert_eq!(report.problems, []);
    let archived: Vec<_> = report.streams.iter().map(|log| (log.archived, log.events)).collect();
    assert_eq!(archived, [(false, 2), (true, 3), (false, 0)]);
}

#[test]
fn a_corrupt_run_is_named_by_its_position() {
    let disk = SimDisk::new();
    let store = day(disk.open(), 7).into_store();
    assert!(disk.corrupt(&up(), Seq(4)));
    check(&verify(&store), Fault::Corrupt, "1:4", "went bad");
}

#[test]
fn a_broken_chain_is_named_by_its_run() {
    let store = whole_day();
    let mut tampered = Tampered::new(&store);
    tampered.runs = Box::new(|mut runs| {
        for entry in runs.iter_mut().filter(|entry| entry.run.last() == Seq(3)) {
            entry.chain = Chain([9; 32]);
        }
        runs
    });
    let report = verify(&tampered);
    check(&report, Fault::Chain, "1:3", "its bytes make");
}

#[test]
fn a_missing_run_is_a_hole() {
    let store = whole_day();
    let mut tampered = Tampered::new(&store);
    tampered.runs = Box::new(|mut runs| {
        runs.retain(|entry| entry.run.last() != Seq(3));
        runs
    });
    check(&verify(&tampered), Fault::Hole, "1:3", "a run from seq 4 follows seq 2");
}

#[test]
fn a_run_of_another_log_is_noticed() {
    let store = whole_day();
    let mut tampered = Tampered::new(&store);
    let stranger = ledge_core::Run::encode(
        LogId([1; 16]),
        Seq(1),
        &[store.run_at(&up(), Seq(1)).unwrap().unwrap().run.events().next().unwrap().unwrap().1.to_owned()],
    )
    .unwrap();
    tampered.runs = Box::new(move |mut runs| {
        for entry in runs.iter_mut().filter(|entry| entry.run.first() == Seq(1)) {
            entry.run = stranger.clone();
        }
        runs
    });
    let report = verify(&tampered);
    check(&report, Fault::Hole, "1:1", "a run of log 0101");
}

#[test]
fn a_head_that_states_another_tail_is_noticed() {
    let store = whole_day();
    let mut tampered = Tampered::new(&store);
    tampered.head = Box::new(|mut head| {
        head.chain = Chain([7; 32]);
        head
    });
    check(&verify(&tampered), Fault::Tail, "1:5", "the runs make");
    tampered.head = Box::new(|mut head| {
        head.tail = head.tail.next();
        head
    });
    check(&verify(&tampered), Fault::Hole, "1:6", "nothing follows");
}

#[test]
fn a_base_that_is_not_what_it_says_is_noticed() {
    let store = whole_day();
    let mut tampered = Tampered::new(&store);
    tampered.base_rows = Box::new(|_| vec![Row { key: b"a".to_vec(), value: b"b".to_vec() }]);
    check(&verify(&tampered), Fault::Base, "1:0", "its base states digest");
    let mut tampered = Tampered::new(&store);
    tampered.head = Box::new(|mut head| {
        head.base.log_id = LogId([3; 16]);
        head
    });
    let report = verify(&tampered);
    assert!(report.problems.iter().any(|problem| problem.fault == Fault::Base), "{report:?}");
    assert_eq!(report.verdict(), Verdict::Wrong);
}

#[test]
fn a_wrong_row_a_missing_row_and_an_extra_row_are_named() {
    let mut store = whole_day();
    let key = || b"state/shop/thermostat".to_vec();
    let mut value = store.row(&up(), &key()).unwrap().unwrap();
    value.pop();
    commit(&mut store, Op::PutRow { stream: up(), key: key(), value });
    check(&verify(&store), Fault::Row, "1:4", "row state/shop/thermostat is not what the log makes of it");
    commit(&mut store, Op::DeleteRow { stream: up(), key: key() });
    check(&verify(&store), Fault::Row, "1:4", "row state/shop/thermostat is missing");
    let mut store = whole_day();
    commit(
        &mut store,
        Op::PutRow { stream: up(), key: b"zz\n".to_vec(), value: vec![2, 0, 0, 0, 0, 0, 0, 0] },
    );
    check(&verify(&store), Fault::Row, "1:2", r"row zz\n is not from the log");
}

#[test]
fn many_wrong_rows_are_counted_not_listed() {
    let mut store = whole_day();
    for n in 0..40_u8 {
        commit(&mut store, Op::PutRow { stream: up(), key: vec![b'z', n], value: vec![0; 9] });
    }
    let report = verify(&store);
    assert_eq!(report.problems.len(), 17);
    assert!(report.problems[16].why.contains("24 more rows"), "{:?}", report.problems[16]);
}

#[test]
fn a_wrong_cursor_is_named() {
    let store = whole_day();
    let mut tampered = Tampered::new(&store);
    tampered.head = Box::new(|mut head| {
        head.cursor.applied = Seq(1);
        head
    });
    check(&verify(&tampered), Fault::Cursor, "1:1", "the log ends at 5");
    tampered.head = Box::new(|mut head| {
        head.cursor.digest = Digest([1; 32]);
        head
    });
    check(&verify(&tampered), Fault::Cursor, "1:5", "the log makes");
}

#[test]
fn rows_of_another_view_version_cannot_be_told() {
    let store = whole_day();
    let mut tampered = Tampered::new(&store);
    tampered.head = Box::new(|mut head| {
        head.cursor.view_version = 99;
        head
    });
    check(&verify(&tampered), Fault::ViewVersion, "1:5", "only the log was checked");
    assert_eq!(verify(&tampered).verdict().exit().code(), 2);
}

#[test]
fn an_archived_log_is_checked_too() {
    let mut journal = Journal::open(whole_day()).unwrap();
    begin(&mut journal, &up(), LogId([0x18; 16]), 2);
    let store = journal.into_store();
    let mut tampered = Tampered::new(&store);
    tampered.runs = Box::new(|mut runs| {
        for entry in runs.iter_mut().filter(|entry| entry.run.last() == Seq(4)) {
            entry.chain = Chain([9; 32]);
        }
        runs
    });
    check(&verify(&tampered), Fault::Chain, "1:4", "is stored with chain");
}
