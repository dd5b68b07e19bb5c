//! Appending and reading runs.

use ledge_core::Chain;
use ledge_core::log::{AppendMismatch, Op, Reader, RunEntry, StoreError};
use ledge_schemas::{LogId, Seq};

use super::arrange::{Tape, up};
use super::{Fixture, commit};

/// Bounds of the runs that a read returned.
fn bounds(entries: &[RunEntry]) -> Vec<(u64, u64)> {
    entries.iter().map(|e| (e.run.first().0, e.run.last().0)).collect()
}

/// A stream with runs 1..=3, 4..=4 and 5..=6, opened.
fn three_runs<F: Fixture>(fixture: &mut F) -> (F::Store, Tape) {
    let mut store = fixture.open().unwrap();
    let mut tape = Tape::new(up("a"), 1, vec![]);
    commit(&mut store, [tape.begin()]).unwrap();
    for bodies in [&["1", "2", "3"][..], &["4"], &["5", "6"]] {
        commit(&mut store, [tape.run(bodies)]).unwrap();
    }
    (store, tape)
}

pub fn runs_read_back_in_order_and_whole<F: Fixture>(fixture: &mut F) {
    let (store, tape) = three_runs(fixture);
    let entries = store.runs(&tape.stream, Seq::ZERO, usize::MAX).unwrap();
    assert_eq!(bounds(&entries), [(1, 3), (4, 4), (5, 6)]);
    let bodies = entries.iter().flat_map(|e| e.run.events()).map(|e| e.unwrap().1.body[0]);
    assert_eq!(bodies.collect::<Vec<_>>(), b"123456");
    let head = store.head(&tape.stream).unwrap().unwrap();
    assert_eq!((head.base, head.tail, head.chain), (tape.base, Seq(6), tape.chain));
}

pub fn reads_begin_at_run_boundaries_only<F: Fixture>(fixture: &mut F) {
    let (store, tape) = three_runs(fixture);
    let read = |after| store.runs(&tape.stream, Seq(after), usize::MAX).map(|e| bounds(&e));
    assert_eq!(read(3), Ok(vec![(4, 4), (5, 6)]));
    assert_eq!(read(6), Ok(vec![]));
    for asked in [1, 5, 7, u64::MAX] {
        let asked = Seq(asked);
        let expected = StoreError::NotABoundary { stream: tape.stream.clone(), asked };
        assert_eq!(read(asked.0), Err(expected));
    }
}

pub fn byte_limits_bound_a_read_but_one_run_always_comes<F: Fixture>(fixture: &mut F) {
    let (store, tape) = three_runs(fixture);
    let all = store.runs(&tape.stream, Seq::ZERO, usize::MAX).unwrap();
    let two = all[0].run.bytes().len() + all[1].run.bytes().len();
    let read = |limit| bounds(&store.runs(&tape.stream, Seq::ZERO, limit).unwrap());
    assert_eq!(read(0), [(1, 3)]);
    assert_eq!(read(two - 1), [(1, 3)]);
    assert_eq!(read(two), [(1, 3), (4, 4)]);
}

pub fn chains_are_kept_at_run_boundaries_only<F: Fixture>(fixture: &mut F) {
    let (store, tape) = three_runs(fixture);
    let entries = store.runs(&tape.stream, Seq::ZERO, usize::MAX).unwrap();
    let mut chain = tape.base.chain;
    assert_eq!(store.chain_at(&tape.stream, Seq::ZERO), Ok(Some(chain)));
    for entry in entries {
        chain = chain.then(entry.run.bytes());
        assert_eq!(entry.chain, chain);
        assert_eq!(store.chain_at(&tape.stream, entry.run.last()), Ok(Some(chain)));
    }
    for elsewhere in [1, 2, 5, 7, u64::MAX] {
        assert_eq!(store.chain_at(&tape.stream, Seq(elsewhere)), Ok(None), "{elsewhere}");
    }
}

pub fn run_at_finds_the_run_that_holds_a_seq<F: Fixture>(fixture: &mut F) {
    let (store, tape) = three_runs(fixture);
    for (seq, expected) in [(1, (1, 3)), (3, (1, 3)), (4, (4, 4)), (5, (5, 6)), (6, (5, 6))] {
        let entry = store.run_at(&tape.stream, Seq(seq)).unwrap();
        assert_eq!(bounds(entry.as_slice()), [expected], "{seq}");
    }
    for outside in [0, 7, u64::MAX] {
        assert_eq!(store.run_at(&tape.stream, Seq(outside)), Ok(None), "{outside}");
    }
}

pub fn a_mismatch_tells_the_real_tail_and_writes_nothing<F: Fixture>(fixture: &mut F) {
    let (mut store, tape) = three_runs(fixture);
    let real = StoreError::Mismatch(AppendMismatch {
        stream: tape.stream.clone(),
        log_id: Some(tape.base.log_id),
        tail: Seq(6),
        chain: Some(tape.chain),
    });

    let mut hole = tape.clone();
    hole.tail = Seq(7);
    let mut again = tape.clone();
    again.tail = Seq(5);
    let mut foreign = tape.clone();
    foreign.base.log_id = LogId([9; 16]);
    let mut forked = tape.clone();
    forked.chain = Chain([9; 32]);
    for (what, tape) in
        [("hole", &mut hole), ("again", &mut again), ("foreign", &mut foreign), ("forked", &mut forked)]
    {
        let batch = [tape.put("row", "x"), tape.run(&["x"])];
        assert_eq!(commit(&mut store, batch), Err(real.clone()), "{what}");
    }

    let mut nowhere = Tape::new(up("nowhere"), 3, vec![]);
    let answer = commit(&mut store, [nowhere.run(&["x"])]);
    let absent = AppendMismatch { stream: up("nowhere"), log_id: None, tail: Seq::ZERO, chain: None };
    assert_eq!(answer, Err(StoreError::Mismatch(absent)));

    assert_eq!(store.row(&tape.stream, b"row"), Ok(None));
    let mut tape = tape;
    assert_eq!(commit(&mut store, [tape.run(&["7"])]), Ok(()), "the store takes the right one afterwards");
}

pub fn a_wrong_chain_is_refused<F: Fixture>(fixture: &mut F) {
    let (mut store, mut tape) = three_runs(fixture);
    let Op::Append { stream, previous, run, .. } = tape.run(&["7"]) else { unreachable!() };
    let wrong = Op::Append { stream, previous, run, chain: Chain([9; 32]) };
    let answer = commit(&mut store, [wrong]);
    assert!(matches!(answer, Err(StoreError::Invalid { .. })), "{answer:?}");
    assert_eq!(store.head(&tape.stream).unwrap().unwrap().tail, Seq(6));
}

pub fn an_unknown_stream_is_told_apart_from_an_empty_one<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let (empty, unknown) = (Tape::new(up("empty"), 1, vec![]), up("unknown"));
    commit(&mut store, [empty.begin()]).unwrap();
    assert_eq!(store.streams(), Ok(vec![empty.stream.clone()]));
    assert_eq!(store.head(&unknown), Ok(None));
    assert_eq!(store.runs(&empty.stream, Seq::ZERO, 1), Ok(vec![]));
    let answer = Err(StoreError::NoStream(unknown.clone()));
    assert_eq!(store.runs(&unknown, Seq::ZERO, 1), answer);
    assert_eq!(store.run_at(&unknown, Seq(1)).map(drop), answer.clone().map(drop));
    assert_eq!(store.chain_at(&unknown, Seq(1)).map(drop), answer.clone().map(drop));
    assert_eq!(store.row(&unknown, b"k").map(drop), answer.clone().map(drop));
    assert_eq!(store.rows(&unknown, b"", None, 1).map(drop), answer.clone().map(drop));
    assert_eq!(store.base_rows(&unknown, None, 1).map(drop), answer.map(drop));
}
