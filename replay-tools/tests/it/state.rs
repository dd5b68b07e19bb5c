//! What was known at which moment.

use ledge_core::journal::Journal;
use ledge_replay::{At, ReplayError, locate, state_at};

use super::fixture::{T0, up, whole_day};

#[track_caller]
fn check(at: &str, expected: u64) {
    let at: At = at.parse().unwrap();
    assert_eq!(locate(&whole_day(), &up(), at).unwrap().0, expected);
}

#[test]
fn a_time_is_the_last_event_that_is_not_later() {
    check("2025-12-31T23:59:59Z", 0);
    check("2026-01-01T00:00:02Z", 1);
    check("2026-01-01T00:00:02.999Z", 1);
    check("2026-01-01T01:00:03+01:00", 2);
    check("2026-01-01T00:00:05.5Z", 3);
    check("2030-01-01T00:00:00Z", 5);
    check("1:4", 4);
}

#[test]
fn text_that_is_no_moment_is_refused() {
    let error = "yesterday".parse::<At>().unwrap_err();
    assert_eq!(
        error.to_string(),
        r#""yesterday" is neither EPOCH:SEQ (1:42) nor an RFC 3339 time (2026-03-01T03:12:00Z)"#
    );
}

#[test]
fn what_is_not_stored_is_not_made_up() {
    let store = whole_day();
    let at = |at: &str| state_at(&store, &up(), at.parse().unwrap()).unwrap_err();
    assert!(matches!(at("2:1"), ReplayError::Epoch { .. }));
    assert!(matches!(at("1:6"), ReplayError::Outside { .. }));
    let mut journal = Journal::open(store).unwrap();
    let mut txn = journal.begin(T0 + 60_000);
    txn.trim(&up(), ledge_schemas::Seq(2)).unwrap();
    txn.commit().unwrap();
    let at = |at: &str| state_at(journal.store(), &up(), at.parse().unwrap());
    assert!(matches!(at("1:1"), Err(ReplayError::Outside { .. })));
    assert_eq!(
        at("2026-01-01T00:00:03Z").unwrap_err().to_string(),
        "up/oslo is stored from 1:2, its next event is of 2026-01-01T00:00:05.000Z; \
         what it was at 2026-01-01T00:00:03.000Z is not known"
    );
    assert_eq!(at("1:2").unwrap().record("twin/").rows.len(), 1);
    assert_eq!(at("1:5").unwrap().rows, state_at(&whole_day(), &up(), At::Head).unwrap().rows);
}

#[test]
fn only_rows_under_the_prefix_are_shown() {
    let state = state_at(&whole_day(), &up(), At::Head).unwrap();
    let keys = |prefix| state.record(prefix).rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
    assert_eq!(keys(""), ["edge/info", "state/shop/thermostat", "twin/shop/thermostat/temp"]);
    assert_eq!(keys("state/"), ["state/shop/thermostat"]);
    assert!(keys("zzz").is_empty());
}
