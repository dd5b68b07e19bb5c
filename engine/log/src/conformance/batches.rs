//! Batches: whole or not at all, and durable.

use ledge_core::log::{Op, Reader, StoreError};
use ledge_schemas::Seq;

use super::arrange::{Tape, row, up};
use super::{Fixture, Model, commit};

fn local(key: &str, value: &str) -> Op {
    Op::PutLocal { key: key.into(), value: value.into() }
}

/// Two streams with rows, cursors, bases and locals.
fn furnished<F: Fixture>(fixture: &mut F) -> F::Store {
    let mut store = fixture.open().unwrap();
    let (mut a, mut b) = (Tape::new(up("a"), 1, vec![row("x", "0")]), Tape::new(up("b"), 2, vec![]));
    commit(&mut store, [a.begin(), local("l", "0")]).unwrap();
    commit(&mut store, [b.begin(), b.run(&["1"]), b.put("y", "1"), b.cursor()]).unwrap();
    let batch = [a.run(&["1", "2"]), a.put("x", "1"), a.cursor(), b.run(&["2"]), b.cursor(), local("m", "1")];
    commit(&mut store, batch).unwrap();
    commit(&mut store, [b.trim(vec![row("y", "1")]), b.run(&["3"]), b.cursor()]).unwrap();
    store
}

pub fn a_batch_is_all_or_nothing<F: Fixture>(fixture: &mut F) {
    let mut store = furnished(fixture);
    let before = Model::observe(&store);
    let (mut a, mut b) = (Tape::new(up("a"), 9, vec![]), Tape::new(up("c"), 3, vec![row("z", "0")]));
    let (foreign, unknown) = (a.run(&["x"]), Tape::new(up("unknown"), 4, vec![]).put("k", "v"));
    for last in [foreign, unknown] {
        let batch = [
            local("l", "9"),
            Op::DeleteLocal { key: "m".into() },
            Op::ClearRows { stream: up("a") },
            Op::Drop { stream: up("b") },
            b.begin(),
            b.run(&["1"]),
            last,
        ];
        assert!(commit(&mut store, batch).is_err());
        assert_eq!(Model::observe(&store), before);
        b = Tape::new(up("c"), 3, vec![]);
    }
}

pub fn several_streams_rows_cursors_and_locals_go_together<F: Fixture>(fixture: &mut F) {
    let store = furnished(fixture);
    let (a, b) = (store.head(&up("a")).unwrap().unwrap(), store.head(&up("b")).unwrap().unwrap());
    assert_eq!((a.tail, a.cursor.applied), (Seq(2), Seq(2)));
    assert_eq!((b.base.seq, b.tail, b.cursor.applied), (Seq(2), Seq(3), Seq(3)));
    assert_eq!(store.row(&up("a"), b"x"), Ok(Some(b"1".to_vec())));
    assert_eq!(store.row(&up("b"), b"y"), Ok(Some(b"1".to_vec())));
    assert_eq!(store.local("m"), Ok(Some(b"1".to_vec())));
    assert_eq!(store.streams(), Ok(vec![up("a"), up("b")]));
}

pub fn later_operations_see_earlier_ones<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let (mut old, mut new) = (Tape::new(up("a"), 1, vec![]), Tape::new(up("a"), 2, vec![row("k", "0")]));
    let batch = [
        old.begin(),
        old.run(&["1"]),
        old.run(&["2"]),
        old.put("gone", "x"),
        new.begin(),
        new.run(&["1"]),
        new.put("k", "1"),
        new.put("k", "2"),
        Op::ClearRows { stream: up("a") },
        new.put("k", "3"),
        new.cursor(),
        Op::Bind { stream: up("a"), log_id: new.base.log_id, epoch: ledge_schemas::Epoch(4) },
    ];
    commit(&mut store, batch).unwrap();
    let head = store.head(&up("a")).unwrap().unwrap();
    assert_eq!((head.base.log_id, head.base.epoch.0, head.tail), (new.base.log_id, 4, Seq(1)));
    assert_eq!(store.rows(&up("a"), b"", None, 9), Ok(vec![row("k", "3")]));
    assert_eq!(store.base_rows(&up("a"), None, 9), Ok(vec![row("k", "0")]));
    assert_eq!(store.runs(&up("a"), Seq::ZERO, usize::MAX).unwrap().len(), 1);
    let dropped = [Op::Drop { stream: up("a") }, new.put("k", "4")];
    assert_eq!(commit(&mut store, dropped), Err(StoreError::NoStream(up("a"))));
}

pub fn everything_is_there_after_reopening<F: Fixture>(fixture: &mut F) {
    let store = furnished(fixture);
    let before = Model::observe(&store);
    drop(store);
    assert_eq!(Model::observe(&fixture.open().unwrap()), before);
}

pub fn everything_confirmed_is_there_after_a_crash<F: Fixture>(fixture: &mut F) {
    let store = furnished(fixture);
    let before = Model::observe(&store);
    fixture.crash(store);
    let store = fixture.open().unwrap();
    assert_eq!(Model::observe(&store), before);
    fixture.crash(store);
    assert_eq!(Model::observe(&fixture.open().unwrap()), before);
}
