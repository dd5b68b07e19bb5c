//! A real process, killed at random moments: what it acknowledged is there, in its place, and what
//! is there is a prefix without a hole.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ledge_core::journal::fold;
use ledge_core::log::Reader;
use ledge_log_rocksdb::{RocksConfig, RocksStore};
use ledge_schemas::{Seq, StreamId};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CYCLES: u32 = 20;

/// The example beside this test; cargo builds both.
fn appender() -> PathBuf {
    let target = std::env::current_exe().unwrap();
    target.parent().unwrap().parent().unwrap().join("examples/appender")
}

/// Runs the appender for a while, kills it, and adds what it acknowledged.
fn run_and_kill(dir: &Path, seed: u32, for_ms: u64, acknowledged: &mut BTreeMap<u64, String>) {
    let mut child = Command::new(appender())
        .args([dir.to_str().unwrap(), &seed.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        text
    });
    std::thread::sleep(Duration::from_millis(for_ms));
    assert!(child.try_wait().unwrap().is_none(), "the appender ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
    let text = reading.join().unwrap();
    // A line without its end was cut by the kill.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let (seq, value) = line.trim().split_once(' ').unwrap();
        let before = acknowledged.insert(seq.parse().unwrap(), value.to_owned());
        assert_eq!(before, None, "seq {seq} was acknowledged twice");
    }
}

#[test]
fn a_killed_process_leaves_a_prefix_with_everything_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let stream: StreamId = "up/a".parse().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut acknowledged = BTreeMap::new();
    for cycle in 0..CYCLES {
        run_and_kill(dir.path(), cycle, rng.random_range(100..500), &mut acknowledged);
        let opened = RocksStore::open(dir.path(), &RocksConfig::default()).unwrap();
        assert_eq!(opened.regress, None, "cycle {cycle}");
        let store = opened.store;
        let Some(head) = store.head(&stream).unwrap() else { continue };

        let mut found = BTreeMap::new();
        for entry in store.runs(&stream, Seq::ZERO, usize::MAX).unwrap() {
            for event in entry.run.events() {
                let (seq, event) = event.unwrap();
                assert_eq!(found.insert(seq.0, event.key.to_owned()), None);
            }
        }
        assert!(found.keys().copied().eq(1..=head.tail.0), "cycle {cycle}: no hole");
        for (seq, value) in &acknowledged {
            assert_eq!(found.get(seq), Some(value), "cycle {cycle}: acknowledged at {seq}");
        }
        let folded = fold(&store, &stream, None).unwrap();
        assert_eq!((folded.cursor, folded.chain), (head.cursor, head.chain), "cycle {cycle}");
    }
    assert!(acknowledged.len() > 1_000, "the kills must hit a working process: {}", acknowledged.len());
}
