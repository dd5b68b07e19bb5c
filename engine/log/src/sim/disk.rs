//! The simulated disk: outlives the stores opened on it, and is where its owner injects faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledge_core::log::{Batch, Op, StoreError};
use ledge_schemas::{Seq, StreamId};

use super::SimStore;
use super::image::{Image, Undo};

/// What becomes of a batch whose sync failed, seen when the disk is opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It had reached the disk.
    Present,
    /// It had not.
    Absent,
}

/// How often each fault bit since the disk was made. A run that meant to exercise a fault looks here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bites {
    /// Batches made durable.
    pub synced: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Batches refused for want of room.
    pub full: u64,
    /// Batches that a crash took although a commit had confirmed them (lie mode only).
    pub lost: u64,
    /// Reads that met a corrupt run.
    pub corrupt_reads: u64,
}

/// State shared by the disk's handle and the stores on it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What readers see: the durable state and, in lie mode, what was confirmed early.
    pub(super) image: Image,
    /// Confirmed but not synced, oldest first; only lie mode leaves anything here.
    unsynced: Vec<Undo>,
    /// A batch whose sync failed but that did reach the disk; seen from the next opening on.
    surfacing: Option<Batch>,
    fail_next: Option<Afterwards>,
    lying: bool,
    free: Option<u64>,
    /// Rises with each crash and opening, so that stores of an earlier process notice.
    pub(super) generation: u64,
    pub(super) bites: Bites,
}

/// Rough size of a batch on the disk.
fn size(batch: &Batch) -> u64 {
    let rows = |rows: &[ledge_core::Row]| rows.iter().map(|r| r.key.len() + r.value.len()).sum();
    let op = |op: &Op| match op {
        Op::Begin { rows: r, .. } | Op::Trim { rows: r, .. } => rows(r),
        Op::Append { run, .. } => run.bytes().len(),
        Op::PutRow { key, value, .. } => key.len() + value.len(),
        Op::PutLocal { key, value } => key.len() + value.len(),
        _ => 0,
    };
    batch.ops.iter().map(|o| op(o) as u64 + 64).sum()
}

impl Disk {
    pub(super) fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        let frees = batch.ops.iter().any(|op| matches!(op, Op::Trim { .. } | Op::Drop { .. }));
        let needed = size(&batch);
        if let Some(free) = self.free
            && free < needed
            && !frees
        {
            self.bites.full += 1;
            return Err(StoreError::Full { free, needed });
        }
        if let Some(afterwards) = self.fail_next {
            // Refused batches never reach the sync, so they do not use the fault up.
            let undo = self.image.apply(batch.clone())?;
            self.image.take_back(undo);
            self.fail_next = None;
            self.bites.failed_syncs += 1;
            self.surfacing = (afterwards == Afterwards::Present).then_some(batch);
            return Err(StoreError::Failed("simulated sync failure".into()));
        }
        let undo = self.image.apply(batch)?;
        self.free = self.free.map(|free| free.saturating_sub(needed));
        if self.lying {
            self.unsynced.push(undo);
        } else {
            // An honest sync covers everything before it.
            self.bites.synced += 1 + self.unsynced.len() as u64;
            self.unsynced.clear();
        }
        Ok(())
    }

    fn lose_unsynced(&mut self) -> usize {
        let lost = self.unsynced.len();
        while let Some(undo) = self.unsynced.pop() {
            self.image.take_back(undo);
        }
        self.bites.lost += lost as u64;
        lost
    }
}

/// Handle of a simulated disk. Clones are the same disk.
///
/// Deterministic: no clock, no randomness, ordered maps; whatever chance decides is passed in.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<Disk>>);

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Never poisoned for long: a panic elsewhere leaves the disk as the last whole batch did.
    pub(super) fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process on the disk. Stores opened earlier answer errors from now on.
    #[must_use]
    pub fn open(&self) -> SimStore {
        let mut disk = self.lock();
        disk.generation += 1;
        if let Some(batch) = disk.surfacing.take() {
            // It was valid on exactly this image; nothing was committed since, as the store was poisoned.
            let applied = disk.image.apply(batch);
            debug_assert!(applied.is_ok(), "{applied:?}");
        }
        SimStore::new(self.clone(), disk.generation)
    }

    /// Kills the process and cuts the power: whatever is not synced is gone, batch by batch whole.
    /// Returns how many confirmed batches went, which is more than none in lie mode only.
    pub fn crash(&self) -> usize {
        let mut disk = self.lock();
        disk.generation += 1;
        disk.lose_unsynced()
    }

    /// Makes the next sync fail. Its batch is there after reopening, or not, as `afterwards` says.
    pub fn fail_next_sync(&self, afterwards: Afterwards) {
        self.lock().fail_next = Some(afterwards);
    }

    /// Bytes that may still be written; `None` for no limit. Batches that trim or drop are always taken.
    pub fn set_free(&self, free: Option<u64>) {
        self.lock().free = free;
    }

    /// Lie mode: commits are confirmed before they are synced. For showing that the checks notice.
    pub fn lie(&self, lying: bool) {
        self.lock().lying = lying;
    }

    /// Drops what lie mode confirmed without syncing, as a power cut would, and returns how many
    /// batches that were. The process lives on.
    pub fn lose_unsynced(&self) -> usize {
        self.lock().lose_unsynced()
    }

    /// Makes lie mode's unsynced batches durable.
    pub fn sync(&self) {
        let mut disk = self.lock();
        disk.bites.synced += disk.unsynced.len() as u64;
        disk.unsynced.clear();
    }

    /// Makes the stored run that holds `seq` unreadable. False if there is none.
    pub fn corrupt(&self, stream: &StreamId, seq: Seq) -> bool {
        let mut disk = self.lock();
        let Some(stream) = disk.image.streams.get_mut(stream) else { return false };
        let last =
            stream.runs.range(seq..).next().filter(|(_, e)| e.run.first() <= seq).map(|(last, _)| *last);
        last.is_some_and(|last| stream.corrupt.insert(last))
    }

    /// A backup of the whole disk as it is durable now.
    #[must_use]
    pub fn snapshot(&self) -> Image {
        let disk = self.lock();
        let mut image = disk.image.clone();
        for undo in disk.unsynced.iter().rev() {
            image.take_back(undo.clone());
        }
        image
    }

    /// Puts a backup, or another node's disk, in place of what is here. The process is gone with it.
    pub fn restore(&self, image: &Image) {
        let mut disk = self.lock();
        disk.generation += 1;
        (disk.image, disk.surfacing) = (image.clone(), None);
        disk.unsynced.clear();
    }

    /// How often each fault bit.
    #[must_use]
    pub fn bites(&self) -> Bites {
        self.lock().bites
    }

    /// Every stream here with the seq of its base and of its tail.
    #[must_use]
    pub fn tails(&self) -> BTreeMap<StreamId, (Seq, Seq)> {
        let disk = self.lock();
        disk.image.streams.iter().map(|(id, s)| (id.clone(), (s.head.base.seq, s.head.tail))).collect()
    }
}
