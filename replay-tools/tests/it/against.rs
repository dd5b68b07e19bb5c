//! Two stores that hold the same logs.

use ledge_core::journal::Journal;
use ledge_log::{SimDisk, SimStore};
use ledge_replay::verify::{Fault, Relation};
use ledge_replay::{Verdict, compare};
use ledge_schemas::kinds::up::LogBegun;
use ledge_schemas::{LogId, Seq};

use super::fixture::{append, begin, day, node, up, whole_day};
use super::tampered::Tampered;

fn first(seconds: u64) -> SimStore {
    day(SimDisk::new().open(), seconds).into_store()
}

/// Relations of `down` and `up`.
#[track_caller]
fn check(a: &SimStore, b: &SimStore, relations: &[Relation], verdict: Verdict) {
    let found = compare(a, b);
    let shown: Vec<_> = found.logs.iter().map(|log| log.relation).collect();
    assert_eq!((shown.as_slice(), found.verdict()), (relations, verdict), "{:?}", found.problems);
}

#[test]
fn one_side_may_be_ahead() {
    check(&first(7), &first(7), &[Relation::Equal, Relation::Equal], Verdict::Good);
    check(&first(7), &first(5), &[Relation::Equal, Relation::FirstAhead(2)], Verdict::Good);
    check(&first(2), &first(7), &[Relation::SecondAhead(1), Relation::SecondAhead(4)], Verdict::Good);
}

#[test]
fn logs_that_part_are_named_by_the_first_run_that_differs() {
    let forked = |reason: &str| {
        let mut journal = day(SimDisk::new().open(), 5);
        append(&mut journal, 8, &up(), "", &LogBegun { reason: reason.into() }, None);
        append(&mut journal, 9, &up(), "", &LogBegun { reason: "same again".into() }, None);
        journal.into_store()
    };
    let (a, b) = (forked("a"), forked("b"));
    check(&a, &b, &[Relation::Equal, Relation::Parted(Seq(4))], Verdict::Wrong);
    let found = compare(&a, &b);
    let [problem] = &found.problems[..] else { panic!("{found:?}") };
    assert_eq!((problem.fault, problem.position.as_deref()), (Fault::Parted, Some("1:4")));
}

#[test]
fn a_trimmed_copy_is_compared_from_where_it_begins() {
    let mut journal = Journal::open(whole_day()).unwrap();
    let mut txn = journal.begin(0);
    txn.trim(&up(), Seq(3)).unwrap();
    txn.commit().unwrap();
    check(journal.store(), &first(7), &[Relation::Equal, Relation::Equal], Verdict::Good);
    check(journal.store(), &first(3), &[Relation::FirstAhead(1), Relation::Disjoint], Verdict::Unknown);
}

#[test]
fn an_archived_log_is_compared_with_the_current_one_of_the_other_side() {
    let mut journal = Journal::open(whole_day()).unwrap();
    begin(&mut journal, &up(), LogId([0x18; 16]), 2);
    let edge = journal.into_store();
    let relations = [Relation::Equal, Relation::FirstAhead(2), Relation::OnlyFirst];
    check(&edge, &first(5), &relations, Verdict::Good);
}

#[test]
fn stores_that_share_nothing_cannot_be_compared() {
    let other = |id: u8| {
        let mut journal = Journal::open(SimDisk::new().open()).unwrap();
        begin(&mut journal, &ledge_schemas::StreamId::Up(node()), LogId([id; 16]), 1);
        journal.into_store()
    };
    check(&other(1), &other(2), &[Relation::OnlyFirst], Verdict::Unknown);
    check(&other(1), &SimDisk::new().open(), &[Relation::OnlyFirst], Verdict::Unknown);
}

#[test]
fn equal_logs_with_other_digests_have_diverged() {
    let (a, b) = (first(7), first(7));
    let mut tampered = Tampered::new(&b);
    tampered.head = Box::new(|mut head| {
        head.cursor.digest = ledge_core::Digest([1; 32]);
        head
    });
    let found = compare(&a, &tampered);
    assert_eq!(
        found.problems.iter().map(|p| p.fault).collect::<Vec<_>>(),
        [Fault::Diverged, Fault::Diverged]
    );
}
