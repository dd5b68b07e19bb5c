//! Bases: begin, bind, trim, drop.

use ledge_core::log::{Op, Reader, StoreError};
use ledge_core::{Base, Chain};
use ledge_schemas::{Epoch, LogId, Seq};

use super::arrange::{Tape, row, up};
use super::{Fixture, commit};

pub fn a_begin_archives_the_incarnation_before_it<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let mut old = Tape::new(up("a"), 1, vec![row("old", "0")]);
    commit(&mut store, [old.begin(), old.run(&["1", "2"]), old.put("row", "1"), old.cursor()]).unwrap();
    commit(&mut store, [old.trim(vec![]), old.run(&["3"]), old.cursor()]).unwrap();
    let (old_head, old_runs) =
        (store.head(&up("a")).unwrap().unwrap(), store.runs(&up("a"), Seq(2), usize::MAX));
    let new = Tape::new(up("a"), 2, vec![row("new", "0")]);
    commit(&mut store, [new.begin()]).unwrap();

    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = fixture.open().unwrap();
        }
        let head = store.head(&up("a")).unwrap().unwrap();
        assert_eq!((&head.base, head.tail, head.chain), (&new.base, Seq::ZERO, new.base.chain));
        assert_eq!((head.cursor.applied, head.cursor.digest), (Seq::ZERO, new.base.digest));
        assert_eq!(store.runs(&up("a"), Seq::ZERO, usize::MAX), Ok(vec![]));
        assert_eq!(store.run_at(&up("a"), Seq(1)), Ok(None));
        assert_eq!(
            store.rows(&up("a"), b"", None, 9),
            Ok(vec![row("new", "0")]),
            "rows do not outlive their log"
        );
        assert_eq!(store.base_rows(&up("a"), None, 9), Ok(vec![row("new", "0")]));

        assert_eq!(store.archived(&up("a")), Ok(vec![old_head.clone()]));
        let runs = |after| store.archived_runs(&up("a"), old.base.log_id, Seq(after), usize::MAX);
        assert_eq!(runs(2), old_runs);
        assert_eq!(runs(1), Err(StoreError::Trimmed { stream: up("a"), asked: Seq(1), oldest: Seq(2) }));
        assert_eq!(runs(4), Err(StoreError::NotABoundary { stream: up("a"), asked: Seq(4) }));
    }
    let answer = commit(&mut store, [old.run(&["4"])]);
    assert!(matches!(answer, Err(StoreError::Mismatch(_))), "{answer:?}");
    assert_eq!(store.archived(&up("b")), Ok(vec![]));
    let current = store.archived_runs(&up("a"), new.base.log_id, Seq::ZERO, 1);
    assert_eq!(current, Err(StoreError::NoStream(up("a"))), "the current one is not archived");
}

/// Log ids of the archived incarnations and of the current one, by their first byte.
fn logs<S: Reader>(store: &S) -> (Vec<u8>, u8) {
    let archived = store.archived(&up("a")).unwrap().iter().map(|head| head.base.log_id.0[0]).collect();
    (archived, store.head(&up("a")).unwrap().unwrap().base.log_id.0[0])
}

pub fn beginning_a_known_log_id_replaces_that_one_wholly<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    for log in 1..=3 {
        let mut tape = Tape::new(up("a"), log, vec![]);
        commit(&mut store, [tape.begin(), tape.run(&["x"])]).unwrap();
    }
    assert_eq!(logs(&store), (vec![1, 2], 3));
    commit(&mut store, [Tape::new(up("a"), 3, vec![]).begin()]).unwrap();
    assert_eq!(logs(&store), (vec![1, 2], 3));
    assert_eq!(store.runs(&up("a"), Seq::ZERO, usize::MAX), Ok(vec![]), "the current one began anew");
    commit(&mut store, [Tape::new(up("a"), 1, vec![]).begin()]).unwrap();
    assert_eq!(logs(&store), (vec![2, 3], 1));
    assert_eq!(store.runs(&up("a"), Seq::ZERO, usize::MAX), Ok(vec![]), "so did an archived one");
}

pub fn forget_drops_archived_incarnations_only<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    for log in 1..=3 {
        let mut tape = Tape::new(up("a"), log, vec![]);
        commit(&mut store, [tape.begin(), tape.run(&["x"])]).unwrap();
    }
    let forget = |log| Op::Forget { stream: up("a"), log_id: LogId([log; 16]) };
    commit(&mut store, [forget(1), forget(3), forget(9)]).unwrap();
    assert_eq!(logs(&store), (vec![2], 3));
    let gone = store.archived_runs(&up("a"), LogId([1; 16]), Seq::ZERO, 1);
    assert_eq!(gone, Err(StoreError::NoStream(up("a"))));
    assert_eq!(store.archived_runs(&up("a"), LogId([2; 16]), Seq::ZERO, 1).unwrap().len(), 1);
    commit(&mut store, [Op::Drop { stream: up("a") }]).unwrap();
    assert_eq!(store.archived(&up("a")), Ok(vec![]), "a drop takes the archive too");
}

pub fn a_begin_wants_its_rows_ascending<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    for rows in [vec![row("b", ""), row("a", "")], vec![row("a", ""), row("a", "")]] {
        let answer = commit(&mut store, [Tape::new(up("a"), 1, rows).begin()]);
        assert!(matches!(answer, Err(StoreError::Invalid { .. })), "{answer:?}");
    }
    assert_eq!(store.streams(), Ok(vec![]));
}

pub fn a_base_may_stand_anywhere<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let mut tape = Tape::new(up("a"), 1, vec![row("k", "0")]);
    (tape.base.seq, tape.base.chain) = (Seq(100), Chain([5; 32]));
    (tape.tail, tape.chain) = (tape.base.seq, tape.base.chain);
    commit(&mut store, [tape.begin(), tape.run(&["101", "102"])]).unwrap();
    let below = StoreError::Trimmed { stream: up("a"), asked: Seq(99), oldest: Seq(100) };
    assert_eq!(store.runs(&up("a"), Seq(99), 1), Err(below));
    assert_eq!(store.runs(&up("a"), Seq(100), 1).unwrap()[0].run.last(), Seq(102));
    assert_eq!(store.chain_at(&up("a"), Seq(100)), Ok(Some(Chain([5; 32]))));
    assert_eq!(store.chain_at(&up("a"), Seq(99)), Ok(None));
    assert_eq!(store.run_at(&up("a"), Seq(100)), Ok(None));
}

pub fn bind_numbers_the_log_that_it_names_only<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let tape = Tape::new(up("a"), 1, vec![]);
    commit(&mut store, [tape.begin()]).unwrap();
    let bind = |log| Op::Bind { stream: up("a"), log_id: LogId([log; 16]), epoch: Epoch(7) };
    let answer = commit(&mut store, [bind(2)]);
    assert!(matches!(answer, Err(StoreError::Mismatch(_))), "{answer:?}");
    assert_eq!(store.head(&up("a")).unwrap().unwrap().base.epoch, Epoch::PROVISIONAL);
    commit(&mut store, [bind(1)]).unwrap();
    let head = store.head(&up("a")).unwrap().unwrap();
    assert_eq!(head.base, Base { epoch: Epoch(7), ..tape.base });
}

pub fn trim_drops_runs_below_and_keeps_rows<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let mut tape = Tape::new(up("a"), 1, vec![row("a", "0"), row("b", "0")]);
    commit(&mut store, [tape.begin(), tape.run(&["1", "2"]), tape.put("row", "2"), tape.cursor()]).unwrap();
    commit(&mut store, [tape.run(&["3"]), tape.cursor()]).unwrap();
    let (trim, middle) = (tape.trim(vec![row("b", "1"), row("c", "1")]), tape.chain);
    commit(&mut store, [tape.run(&["4"]), tape.put("row", "4"), tape.cursor()]).unwrap();
    commit(&mut store, [trim]).unwrap();

    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = fixture.open().unwrap();
        }
        let head = store.head(&up("a")).unwrap().unwrap();
        assert_eq!((head.base.seq, head.base.chain, head.tail), (Seq(3), middle, Seq(4)));
        assert_eq!(store.chain_at(&up("a"), Seq(3)), Ok(Some(middle)));
        assert_eq!(store.chain_at(&up("a"), Seq(2)), Ok(None));
        for asked in [Seq(0), Seq(2)] {
            let below = StoreError::Trimmed { stream: up("a"), asked, oldest: Seq(3) };
            assert_eq!(store.runs(&up("a"), asked, 1), Err(below));
        }
        assert_eq!(store.run_at(&up("a"), Seq(3)), Ok(None));
        let rest = store.runs(&up("a"), Seq(3), usize::MAX).unwrap();
        assert_eq!((rest.len(), rest[0].run.first()), (1, Seq(4)));
        assert_eq!(store.row(&up("a"), b"row"), Ok(Some(b"4".to_vec())));
        assert_eq!(store.row(&up("a"), b"a"), Ok(Some(b"0".to_vec())), "rows of the view stay");
        assert_eq!(store.base_rows(&up("a"), None, 9), Ok(vec![row("b", "1"), row("c", "1")]));
    }
    let next = [tape.run(&["5"]), tape.cursor(), tape.trim(vec![]), tape.run(&["6"])];
    commit(&mut store, next).unwrap();
    assert_eq!(
        store.head(&up("a")).unwrap().unwrap().base.seq,
        Seq(5),
        "a run of the same batch is a boundary"
    );
    assert_eq!(store.base_rows(&up("a"), None, 9), Ok(vec![]));
}

pub fn trim_wants_a_boundary_and_its_chain<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let mut tape = Tape::new(up("a"), 1, vec![]);
    commit(&mut store, [tape.begin(), tape.run(&["1", "2"]), tape.run(&["3", "4"]), tape.cursor()]).unwrap();
    let Op::Trim { stream, base, rows } = tape.trim(vec![]) else { unreachable!() };
    let refused = |store: &mut F::Store, base: Base| {
        commit(store, [Op::Trim { stream: stream.clone(), base, rows: rows.clone() }]).unwrap_err()
    };
    for asked in [Seq(3), Seq(5)] {
        let error = refused(&mut store, Base { seq: asked, ..base.clone() });
        assert_eq!(error, StoreError::NotABoundary { stream: up("a"), asked });
    }
    for wrong in [
        Base { chain: Chain([9; 32]), ..base.clone() },
        Base { log_id: LogId([9; 16]), ..base.clone() },
        Base { epoch: Epoch(9), ..base.clone() },
    ] {
        let error = refused(&mut store, wrong);
        assert!(matches!(error, StoreError::Invalid { .. }), "{error:?}");
    }
    assert_eq!(store.head(&up("a")).unwrap().unwrap().base.seq, Seq::ZERO);
    commit(&mut store, [tape.trim(vec![])]).unwrap();
    let error = refused(&mut store, Base { seq: Seq(2), ..base.clone() });
    assert_eq!(error, StoreError::Trimmed { stream: up("a"), asked: Seq(2), oldest: Seq(4) });
}

pub fn drop_takes_everything_of_one_stream<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let (mut a, mut b) =
        (Tape::new(up("a"), 1, vec![row("k", "0")]), Tape::new(up("b"), 2, vec![row("k", "0")]));
    commit(&mut store, [a.begin(), a.run(&["1"]), b.begin(), b.run(&["1"])]).unwrap();
    commit(&mut store, [Op::Drop { stream: up("a") }]).unwrap();
    assert_eq!(store.streams(), Ok(vec![up("b")]));
    assert_eq!(store.head(&up("a")), Ok(None));
    assert_eq!(store.rows(&up("b"), b"", None, 9), Ok(vec![row("k", "0")]));
    assert_eq!(commit(&mut store, [Op::Drop { stream: up("a") }]), Err(StoreError::NoStream(up("a"))));

    let again = Tape::new(up("a"), 3, vec![]);
    commit(&mut store, [again.begin()]).unwrap();
    drop(store);
    let store = fixture.open().unwrap();
    assert_eq!(store.rows(&up("a"), b"", None, 9), Ok(vec![]));
    assert_eq!(store.base_rows(&up("a"), None, 9), Ok(vec![]));
    assert_eq!(store.runs(&up("a"), Seq::ZERO, usize::MAX), Ok(vec![]));
}
