//! RocksDB keeps to the contract; locks, witness, checkpoints and room on the disk are what they say.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use ledge_core::log::{Batch, Op, Reader, Store, StoreError};
use ledge_log::conformance::{Fixture, Model, Tape, oracle};
use ledge_log_rocksdb::{OpenError, RocksConfig, RocksReader, RocksStore};
use ledge_schemas::{Seq, StreamId};
use tempfile::TempDir;

struct Rocks(TempDir);

impl Rocks {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }
}

impl Fixture for Rocks {
    type Store = RocksStore;

    fn open(&mut self) -> Result<RocksStore, StoreError> {
        let opened = RocksStore::open(&self.log(), &RocksConfig::default()).unwrap();
        assert_eq!(opened.regress, None);
        Ok(opened.store)
    }

    /// The files as they are now, opened elsewhere: what a killed process leaves. Linked between two
    /// writes of RocksDB's own threads; the witness is as old as it is.
    fn crash(&mut self, store: RocksStore) {
        let left = tempfile::tempdir().unwrap();
        let log = left.path().join("log");
        store.reader().checkpoint(&log).unwrap();
        std::fs::copy(self.log().join("witness"), log.join("witness")).unwrap();
        drop(store);
        self.0 = left;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else if entry.file_name() != "ballast" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

mod conformance {
    use super::Rocks;
    ledge_log::conformance_tests!(Rocks::new());
}

#[test]
fn the_oracle_holds_for_more_seeds() {
    for seed in 500..506 {
        oracle::check(&mut Rocks::new(), seed);
    }
}

fn up(node: &str) -> StreamId {
    format!("up/{node}").parse().unwrap()
}

fn open(dir: &Path) -> RocksStore {
    RocksStore::open(dir, &RocksConfig::default()).unwrap().store
}

fn commit(store: &mut RocksStore, ops: Vec<Op>) {
    store.commit(Batch { ops }).unwrap();
}

/// A log with one stream of `runs` runs, closed.
fn closed(dir: &Path, runs: usize) -> Tape {
    let (mut store, mut tape) = (open(dir), Tape::new(up("a"), 1, vec![]));
    commit(&mut store, vec![tape.begin()]);
    for n in 0..runs {
        commit(&mut store, vec![tape.run(&[&n.to_string()]), tape.cursor()]);
    }
    tape
}

fn files(dir: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let (path, meta) = entry.map(|e| (e.path(), e.metadata().unwrap())).unwrap();
        match meta.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path, meta.len(), meta.modified().unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn a_second_opening_is_told_that_the_log_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let _open = open(dir.path());
    let again = RocksStore::open(dir.path(), &RocksConfig::default());
    assert!(matches!(again, Err(OpenError::Locked { .. })), "{again:?}");
}

#[test]
fn readers_see_commits_of_the_store_they_share() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let (reader, mut tape) = (store.reader(), Tape::new(up("a"), 1, vec![]));
    commit(&mut store, vec![tape.begin(), tape.run(&["1"]), tape.put("k", "v")]);
    assert_eq!(Model::observe(&reader), Model::observe(&store));
    assert_eq!(reader.row(&up("a"), b"k"), Ok(Some(b"v".to_vec())));
}

#[test]
fn a_stopped_log_is_read_without_changing_a_file() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path(), 5);
    let before = files(dir.path());
    let reader = RocksReader::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.runs(&up("a"), Seq(0), usize::MAX).unwrap().len(), 5);
    drop(reader);
    assert_eq!(files(dir.path()), before);
}

#[test]
fn a_checkpoint_holds_what_was_durable_and_lives_on_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut tape) = (open(dir.path()), Tape::new(up("a"), 1, vec![]));
    commit(&mut store, vec![tape.begin(), tape.run(&["1", "2"]), tape.put("k", "v"), tape.cursor()]);
    let expected = Model::observe(&store);
    let (place, outside) = (dir.path().join("checkpoint"), store.reader());
    assert_eq!(outside.checkpoint(&place).unwrap(), [(up("a"), Seq(2))]);
    assert!(outside.checkpoint(&place).is_err(), "never over another one");
    commit(&mut store, vec![tape.run(&["3"]), tape.trim(vec![])]);
    let reader = RocksReader::open_read_only(&place).unwrap();
    assert_eq!(Model::observe(&reader), expected);
}

/// Takes bytes off the end of the youngest write-ahead log.
fn cut(dir: &Path, bytes: u64) {
    let mut logs = files(&dir.join("db"))
        .into_iter()
        .filter(|(p, len, _)| p.extension().is_some_and(|e| e == "log") && *len > 0);
    let (path, len, _) = logs.next_back().unwrap();
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len - bytes).unwrap();
}

#[test]
fn a_lost_tail_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let tape = closed(dir.path(), 10);
    cut(dir.path(), 1);
    let opened = RocksStore::open(dir.path(), &RocksConfig::default()).unwrap();
    let regress = opened.regress.unwrap();
    assert!(regress.found < regress.witnessed, "{regress}");
    let [lost] = &regress.streams[..] else { panic!("{regress:?}") };
    assert_eq!(
        (&lost.stream, lost.witnessed, lost.found),
        (&up("a"), Seq(10), Some((tape.base.log_id, Seq(9))))
    );
    let mut store = opened.store;
    let mut new = Tape::new(up("a"), 2, vec![]);
    commit(&mut store, vec![new.begin(), new.run(&["x"])]);
    drop(store);
    let again = RocksStore::open(dir.path(), &RocksConfig::default()).unwrap();
    assert_eq!(again.regress, None, "told once");
}

#[test]
fn an_older_copy_of_the_database_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut tape = closed(dir.path(), 3);
    let backup = tempfile::tempdir().unwrap();
    copy(&dir.path().join("db"), backup.path());
    let mut store = open(dir.path());
    commit(&mut store, vec![tape.run(&["later"])]);
    drop(store);
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    copy(backup.path(), &dir.path().join("db"));
    let opened = RocksStore::open(dir.path(), &RocksConfig::default()).unwrap();
    assert_eq!(opened.regress.unwrap().streams.len(), 1);
}

#[test]
fn a_missing_database_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path(), 3);
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    let opened = RocksStore::open(dir.path(), &RocksConfig::default()).unwrap();
    assert_eq!(opened.regress.unwrap().streams[0].found, None);
}

#[test]
fn a_damaged_database_is_refused_and_left_alone() {
    for file in ["CURRENT", "MANIFEST"] {
        let dir = tempfile::tempdir().unwrap();
        closed(dir.path(), 3);
        let found = files(&dir.path().join("db"));
        let named =
            |(path, ..): &&(PathBuf, _, _)| path.file_name().unwrap().to_str().unwrap().starts_with(file);
        std::fs::remove_file(&found.iter().find(named).unwrap().0).unwrap();
        let error = RocksStore::open(dir.path(), &RocksConfig::default()).unwrap_err();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{file}: {error:?}");
        assert!(error.to_string().contains("ledge-replay verify"), "{error}");
    }
}

#[test]
fn trimmed_streams_and_new_logs_are_no_regress() {
    let dir = tempfile::tempdir().unwrap();
    let mut tape = closed(dir.path(), 3);
    let left = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut new = Tape::new(up("b"), 2, vec![]);
    commit(&mut store, vec![tape.run(&["x"]), tape.trim(vec![]), new.begin(), new.run(&["1"])]);
    commit(&mut store, vec![Tape::new(up("a"), 3, vec![]).begin(), Op::Drop { stream: up("b") }]);
    store.reader().checkpoint(&left.path().join("log")).unwrap();
    std::fs::copy(dir.path().join("witness"), left.path().join("log/witness")).unwrap();
    let opened = RocksStore::open(&left.path().join("log"), &RocksConfig::default()).unwrap();
    assert_eq!(opened.regress, None);
}

#[test]
fn an_idle_log_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut tape) = (open(dir.path()), Tape::new(up("a"), 1, vec![]));
    commit(&mut store, vec![tape.begin(), tape.run(&["1"])]);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let before = files(dir.path());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(files(dir.path()), before);
}
