//! Rows of views, cursors and local values.

use ledge_core::Row;
use ledge_core::log::{Cursor, Op, Reader, StoreError};
use ledge_schemas::{Seq, StreamId, format};

use super::arrange::{Tape, row, up};
use super::{Fixture, commit};

pub fn rows_are_found_by_prefix_and_page<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let high = Row { key: vec![0xff, 0xff], value: b"h".to_vec() };
    let tape = Tape::new(up("a"), 1, vec![row("a/1", "0"), row("b/1", "0")]);
    commit(&mut store, [tape.begin(), tape.put("a/2", "2"), tape.put("a", "x"), tape.put("", "empty")])
        .unwrap();
    let put = Op::PutRow { stream: up("a"), key: high.key.clone(), value: high.value.clone() };
    commit(&mut store, [put, tape.put("a/1", "1"), tape.put("a/3", "3")]).unwrap();
    commit(&mut store, [Op::DeleteRow { stream: up("a"), key: b"a/3".to_vec() }]).unwrap();

    let all = vec![
        row("", "empty"),
        row("a", "x"),
        row("a/1", "1"),
        row("a/2", "2"),
        row("b/1", "0"),
        high.clone(),
    ];
    let rows =
        |prefix: &[u8], after: Option<&[u8]>, limit| store.rows(&up("a"), prefix, after, limit).unwrap();
    assert_eq!(rows(b"", None, usize::MAX), all);
    assert_eq!(rows(b"a/", None, usize::MAX), all[2..4]);
    assert_eq!(rows(b"a/", None, 1), all[2..3]);
    assert_eq!(rows(b"a/", Some(b"a/1"), 9), all[3..4]);
    assert_eq!(rows(b"a/", Some(b"a/0"), 9), all[2..4]);
    assert_eq!(rows(b"a/", Some(b"b"), 9), []);
    assert_eq!(rows(b"", Some(b""), 2), all[1..3]);
    assert_eq!(rows(b"\xff", None, 9), [high]);
    assert_eq!(rows(b"a", None, 0), []);
    assert_eq!(rows(b"c", None, 9), []);
    assert_eq!(store.row(&up("a"), b"a/1"), Ok(Some(b"1".to_vec())));
    assert_eq!(store.row(&up("a"), b"a/"), Ok(None));
    assert_eq!(store.base_rows(&up("a"), None, 9), Ok(vec![row("a/1", "0"), row("b/1", "0")]));
    assert_eq!(store.base_rows(&up("a"), Some(b"a/1"), 9), Ok(vec![row("b/1", "0")]));
    assert_eq!(store.base_rows(&up("a"), None, 1), Ok(vec![row("a/1", "0")]));
}

pub fn streams_do_not_see_each_others_rows<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let streams = [StreamId::Control, StreamId::Cluster, up("a"), up("a.b"), up("ab")];
    let tapes: Vec<_> = streams.iter().zip(1..).map(|(s, log)| Tape::new(s.clone(), log, vec![])).collect();
    for tape in &tapes {
        commit(&mut store, [tape.begin(), tape.put("k", &tape.stream.to_string())]).unwrap();
    }
    for stream in &streams {
        assert_eq!(store.rows(stream, b"", None, 9), Ok(vec![row("k", &stream.to_string())]));
    }
    let mut ids = streams.to_vec();
    ids.sort();
    assert_eq!(store.streams(), Ok(ids));
    let nobody = Tape::new(up("z"), 1, vec![]).put("k", "v");
    assert_eq!(commit(&mut store, [nobody]), Err(StoreError::NoStream(up("z"))));
}

pub fn clear_rows_leaves_base_and_log<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let mut tape = Tape::new(up("a"), 1, vec![row("k", "0")]);
    let other = Tape::new(up("b"), 2, vec![row("k", "other")]);
    commit(&mut store, [other.begin(), tape.begin(), tape.run(&["1"]), tape.put("l", "1")]).unwrap();
    commit(&mut store, [Op::ClearRows { stream: up("a") }, tape.put("m", "2")]).unwrap();
    assert_eq!(store.rows(&up("a"), b"", None, 9), Ok(vec![row("m", "2")]));
    assert_eq!(store.base_rows(&up("a"), None, 9), Ok(vec![row("k", "0")]));
    assert_eq!(store.head(&up("a")).unwrap().unwrap().tail, Seq(1));
    assert_eq!(store.rows(&up("b"), b"", None, 9), Ok(vec![row("k", "other")]));
}

pub fn a_cursor_stays_between_base_and_tail<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let mut tape = Tape::new(up("a"), 1, vec![]);
    commit(
        &mut store,
        [tape.begin(), tape.run(&["1", "2"]), tape.run(&["3"]), tape.cursor(), tape.trim(vec![])],
    )
    .unwrap();
    commit(&mut store, [tape.run(&["4"])]).unwrap();
    let cursor = |applied| Cursor { applied: Seq(applied), view_version: format::VIEW, digest: tape.digest };
    for applied in [2, 5] {
        let answer = commit(&mut store, [Op::SetCursor { stream: up("a"), cursor: cursor(applied) }]);
        assert!(matches!(answer, Err(StoreError::Invalid { .. })), "{answer:?}");
    }
    commit(&mut store, [Op::SetCursor { stream: up("a"), cursor: cursor(4) }]).unwrap();
    assert_eq!(store.head(&up("a")).unwrap().unwrap().cursor, cursor(4));
}

pub fn locals_are_found_by_prefix<F: Fixture>(fixture: &mut F) {
    let mut store = fixture.open().unwrap();
    let put = |key: &str| Op::PutLocal { key: key.into(), value: key.into() };
    commit(&mut store, ["a", "a/1", "a/2", "b", ""].map(put)).unwrap();
    commit(&mut store, [Op::DeleteLocal { key: "a/1".into() }, Op::DeleteLocal { key: "nothing".into() }])
        .unwrap();
    let keys = |prefix| store.locals(prefix).unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys("a"), ["a", "a/2"]);
    assert_eq!(keys(""), ["", "a", "a/2", "b"]);
    assert_eq!(store.local("a/2"), Ok(Some(b"a/2".to_vec())));
    assert_eq!(store.local("a/1"), Ok(None));
}
