//! The simulated store keeps to the contract, and its faults are what they say.
#![allow(clippy::unwrap_used, reason = "tests")]

use ledge_core::log::{Batch, Op, Reader, Store, StoreError};
use ledge_log::SimDisk;
use ledge_log::conformance::{Fixture, Model, Tape, oracle};
use ledge_log::sim::{Afterwards, SimStore};
use ledge_schemas::{NodeName, Seq, StreamId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

#[derive(Default)]
struct Sim {
    disk: SimDisk,
    faulty: bool,
}

impl Fixture for Sim {
    type Store = SimStore;

    fn open(&mut self) -> Result<SimStore, StoreError> {
        Ok(self.disk.open())
    }

    fn crash(&mut self, store: SimStore) {
        self.disk.crash();
        assert_eq!(store.streams(), Err(StoreError::Read("the process of this store has crashed".into())));
    }

    fn disturb(&mut self, rng: &mut ChaCha8Rng) {
        self.disk.set_free((self.faulty && rng.random_bool(0.05)).then_some(10));
        if self.faulty && rng.random_bool(0.1) {
            self.disk.fail_next_sync(if rng.random() { Afterwards::Present } else { Afterwards::Absent });
        }
    }
}

mod conformance {
    use super::Sim;
    ledge_log::conformance_tests!(Sim::default());
}

#[test]
fn the_oracle_holds_with_failed_syncs_and_full_disks() {
    let mut sim = Sim { faulty: true, ..Sim::default() };
    for seed in 100..140 {
        oracle::check(&mut sim, seed);
    }
    let bites = sim.disk.bites();
    assert!(bites.failed_syncs > 100 && bites.full > 100, "the faults must bite: {bites:?}");
}

fn tape() -> Tape {
    Tape::new(StreamId::Up(NodeName::new("a").unwrap()), 1, vec![])
}

fn commit(store: &mut SimStore, ops: Vec<Op>) -> Result<(), StoreError> {
    store.commit(Batch { ops })
}

#[test]
fn a_failed_sync_poisons_the_store_and_its_batch_is_there_or_not() {
    for (afterwards, tail) in [(Afterwards::Present, 1), (Afterwards::Absent, 0)] {
        let (disk, mut tape) = (SimDisk::new(), tape());
        let mut store = disk.open();
        commit(&mut store, vec![tape.begin()]).unwrap();
        disk.fail_next_sync(afterwards);
        assert!(matches!(commit(&mut store, vec![tape.run(&["1"])]), Err(StoreError::Failed(_))));
        assert_eq!(store.head(&tape.stream).unwrap().unwrap().tail, Seq(0), "not shown before it is durable");
        assert_eq!(commit(&mut store, vec![]), Err(StoreError::Poisoned));
        assert_eq!(disk.open().head(&tape.stream).unwrap().unwrap().tail, Seq(tail), "{afterwards:?}");
    }
}

#[test]
fn a_disk_that_confirms_early_loses_what_it_confirmed() {
    let (disk, mut tape) = (SimDisk::new(), tape());
    let mut store = disk.open();
    commit(&mut store, vec![tape.begin(), tape.run(&["1"])]).unwrap();
    let durable = disk.snapshot();
    disk.lie(true);
    commit(&mut store, vec![tape.run(&["2"]), tape.put("k", "2")]).unwrap();
    commit(&mut store, vec![tape.trim(vec![]), tape.put("k", "3")]).unwrap();
    assert_eq!(store.head(&tape.stream).unwrap().unwrap().tail, Seq(2));
    assert_eq!(disk.snapshot(), durable, "a backup holds what is durable only");
    assert_eq!(disk.crash(), 2);
    assert_eq!(disk.open().head(&tape.stream).unwrap().unwrap().tail, Seq(1));
    assert_eq!(disk.snapshot(), durable);
    assert_eq!(disk.bites().lost, 2);
}

#[test]
fn a_full_disk_refuses_before_writing_and_takes_trims() {
    let (disk, mut tape) = (SimDisk::new(), tape());
    let mut store = disk.open();
    commit(&mut store, vec![tape.begin(), tape.run(&["1"])]).unwrap();
    disk.set_free(Some(1));
    let append = tape.clone().run(&["2"]);
    assert!(matches!(commit(&mut store, vec![append.clone()]), Err(StoreError::Full { free: 1, .. })));
    commit(&mut store, vec![tape.trim(vec![])]).unwrap();
    disk.set_free(None);
    commit(&mut store, vec![append]).unwrap();
}

#[test]
fn a_corrupt_run_is_never_served() {
    let (disk, mut tape) = (SimDisk::new(), tape());
    let mut store = disk.open();
    commit(&mut store, vec![tape.begin(), tape.run(&["1", "2"]), tape.run(&["3"])]).unwrap();
    assert!(disk.corrupt(&tape.stream, Seq(1)));
    assert!(!disk.corrupt(&tape.stream, Seq(4)));
    assert!(matches!(store.run_at(&tape.stream, Seq(2)), Err(StoreError::Corrupt { .. })));
    assert!(matches!(store.runs(&tape.stream, Seq(0), 1), Err(StoreError::Corrupt { .. })));
    assert_eq!(store.runs(&tape.stream, Seq(2), 1).unwrap().len(), 1);
}

#[test]
fn a_restored_backup_is_the_old_disk() {
    let (disk, mut tape) = (SimDisk::new(), tape());
    let mut store = disk.open();
    commit(&mut store, vec![tape.begin()]).unwrap();
    let (backup, before) = (disk.snapshot(), Model::observe(&store));
    commit(&mut store, vec![tape.run(&["1"])]).unwrap();
    let clone = SimDisk::new();
    clone.restore(&disk.snapshot());
    disk.restore(&backup);
    assert_eq!(commit(&mut store, vec![]), Err(StoreError::Poisoned), "its process went with the disk");
    assert_eq!(Model::observe(&disk.open()), before);
    assert_eq!(clone.tails()[&tape.stream], (Seq(0), Seq(1)));
}
