//! A disk that fills: refused before anything is written, trimming still works, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use ledge_core::log::{Batch, Op, Reader, Store, StoreError};
use ledge_log::conformance::{Model, Tape};
use ledge_log_rocksdb::{RocksConfig, RocksStore};
use ledge_schemas::StreamId;

/// A tmpfs of this test's own, unmounted at the end.
struct Small(tempfile::TempDir);

impl Small {
    /// `None` where one may not mount.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).status();
        mount.is_ok_and(|status| status.success()).then(|| Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "the tmpfs stays mounted");
    }
}

fn free(dir: &Path) -> u64 {
    let vfs = rustix::fs::statvfs(dir).unwrap();
    vfs.f_bavail * vfs.f_frsize
}

fn commit(store: &mut RocksStore, ops: Vec<Op>) -> Result<(), StoreError> {
    store.commit(Batch { ops })
}

#[test]
fn a_full_disk_loses_nothing_and_trimming_makes_room() {
    let Some(disk) = Small::mount("64m") else {
        eprintln!("SKIPPED: this test mounts a tmpfs, which takes root");
        return;
    };
    let config = RocksConfig {
        memtable_bytes: 1 << 20,
        ballast_bytes: 8 << 20,
        keep_free_bytes: 8 << 20,
        ..RocksConfig::default()
    };
    let stream: StreamId = "up/a".parse().unwrap();
    let mut store = RocksStore::open(disk.path(), &config).unwrap().store;
    let mut tape = Tape::new(stream.clone(), 1, vec![]);
    commit(&mut store, vec![tape.begin()]).unwrap();
    // Incompressible enough: hexadecimal of a hash that goes on.
    let mut chain = tape.chain;
    let mut body = move || {
        let part = |_| {
            chain = chain.then(b"next");
            chain.to_string()
        };
        (0..1000).map(part).collect::<String>()
    };
    let refused = loop {
        let before = tape.clone();
        let ops = vec![tape.run(&[&body()]), tape.cursor()];
        if let Err(error) = commit(&mut store, ops) {
            tape = before;
            break error;
        }
    };
    assert!(matches!(refused, StoreError::Full { .. }), "{refused:?}");
    assert!(refused.retryable());
    assert_eq!(store.head(&stream).unwrap().unwrap().tail, tape.tail);

    // Something else takes what was kept free, once nothing moves any more.
    let mut before = 0;
    while std::mem::replace(&mut before, free(disk.path())) != free(disk.path()) {
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    let other = usize::try_from(free(disk.path()) - (512 << 10)).unwrap();
    std::fs::write(disk.path().join("other"), vec![1; other]).unwrap();
    let ballast = disk.path().join("ballast");
    assert!(ballast.exists());
    commit(&mut store, vec![tape.trim(vec![])]).unwrap();
    assert!(!ballast.exists(), "trimming needed the ballast");
    assert!(store.runs(&stream, tape.tail, 1).unwrap().is_empty());
    std::fs::remove_file(disk.path().join("other")).unwrap();

    let expected = Model::observe(&store);
    drop(store);
    let opened = RocksStore::open(disk.path(), &config).unwrap();
    assert_eq!(opened.regress, None);
    let mut store = opened.store;
    assert_eq!(Model::observe(&store), expected);
    let began = std::time::Instant::now();
    while let Err(error) = commit(&mut store, vec![tape.clone().run(&["again"])]) {
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert!(began.elapsed().as_secs() < 20, "dropped files must give room again: {error}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
