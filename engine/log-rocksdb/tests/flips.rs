//! Bits that flip at rest: opening or reading says that the log is corrupt, or that its tail was lost;
//! wrong data never comes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use ledge_core::log::{Batch, Reader, Store, StoreError};
use ledge_log::conformance::{Model, Tape};
use ledge_log_rocksdb::{OpenError, RocksConfig, RocksReader, RocksStore};
use ledge_schemas::{Seq, StreamId};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FLIPS: u64 = 60;

fn stream() -> StreamId {
    "up/a".parse().unwrap()
}

/// A closed log with part in files (a reopening flushes) and part in the write-ahead log.
fn make(dir: &Path) -> Model {
    let mut tape = Tape::new(stream(), 1, vec![]);
    let mut store = RocksStore::open(dir, &RocksConfig::default()).unwrap().store;
    store.commit(Batch { ops: vec![tape.begin()] }).unwrap();
    for half in 0..2 {
        for n in 0..50 {
            let body = format!("{half}/{n}").repeat(10);
            let ops = vec![tape.run(&[&body]), tape.put(&n.to_string(), &body), tape.cursor()];
            store.commit(Batch { ops }).unwrap();
        }
        drop(store);
        store = RocksStore::open(dir, &RocksConfig::default()).unwrap().store;
    }
    store.commit(Batch { ops: vec![tape.run(&["last"]), tape.cursor()] }).unwrap();
    Model::observe(&store)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("db")).unwrap();
    std::fs::copy(from.join("witness"), to.join("witness")).unwrap();
    for entry in std::fs::read_dir(from.join("db")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join("db").join(entry.file_name())).unwrap();
    }
}

/// The files that hold data.
fn targets(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir.join("db")).unwrap().map(|e| e.unwrap());
    let holds = |e: &std::fs::DirEntry| {
        let data = e.path().extension().is_some_and(|x| x == "sst" || x == "log");
        data && e.metadata().unwrap().len() > 0
    };
    let mut found: Vec<_> = files.filter(holds).map(|e| e.path()).collect();
    found.sort();
    found
}

/// Every row and every run, or the first error.
fn read(store: &impl Reader) -> Result<(), StoreError> {
    let head = store.head(&stream())?.ok_or(StoreError::NoStream(stream()))?;
    store.runs(&stream(), head.base.seq, usize::MAX)?;
    store.rows(&stream(), b"", None, usize::MAX)?;
    store.base_rows(&stream(), None, usize::MAX)?;
    (0..=head.tail.0).try_for_each(|seq| store.run_at(&stream(), Seq(seq)).map(drop))
}

#[test]
fn a_flipped_bit_never_gives_wrong_data() {
    let whole = tempfile::tempdir().unwrap();
    let expected = make(whole.path());
    let untouched = tempfile::tempdir().unwrap();
    copy(whole.path(), untouched.path());
    let opened = RocksStore::open(untouched.path(), &RocksConfig::default()).unwrap();
    assert!(
        opened.regress.is_none() && Model::observe(&opened.store) == expected,
        "a copy alone does no harm"
    );
    let (mut refused, mut unread, mut lost, mut harmless) = (0, 0, 0, 0);
    for seed in 0..FLIPS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        let target = targets(dir.path()).choose(&mut rng).unwrap().clone();
        let mut bytes = std::fs::read(&target).unwrap();
        let bit = rng.random_range(0..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&target, bytes).unwrap();
        let place = format!("seed {seed}, {} bit {bit}", target.display());

        match RocksStore::open(dir.path(), &RocksConfig::default()) {
            Err(OpenError::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("{place}: {other}"),
            Ok(opened) if opened.regress.is_some() => lost += 1,
            Ok(opened) => match read(&opened.store) {
                Err(StoreError::Corrupt { .. }) => unread += 1,
                Err(other) => panic!("{place}: {other}"),
                Ok(()) => {
                    assert!(Model::observe(&opened.store) == expected, "{place}: wrong data");
                    harmless += 1;
                }
            },
        }
        // The same by the reader of stopped logs: it may refuse, but never lie about what it shows.
        if let Ok(reader) = RocksReader::open_read_only(dir.path()) {
            let _ = read(&reader);
        }
    }
    let counts =
        format!("{refused} refused, {unread} not read, {lost} told as lost tails, {harmless} without effect");
    println!("{counts}");
    assert!(refused + unread + lost > FLIPS / 2, "{counts}");
}
