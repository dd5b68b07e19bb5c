//! The simulated store: in memory, with an explicit line between what is durable and what is not.
//!
//! ```text
//!   SimStore ──commit──► SimDisk ──"sync"──► Image          reads see the image
//!                           ▲
//!       the simulator: crash, fail_next_sync, set_free, lie, corrupt, snapshot, restore
//! ```
//! The disk outlives the stores opened on it, so that a simulated process can crash and come back.

mod disk;
mod image;

pub use disk::{Afterwards, Bites, SimDisk};
pub use image::Image;

use std::ops::Bound;

use ledge_core::log::{Batch, Reader, RunEntry, Store, StoreError, StreamHead};
use ledge_core::{Chain, Row};
use ledge_schemas::{LogId, Seq, StreamId};

use crate::rules;
use disk::Disk;
use image::{Rows, Stream};

/// A store on a [`SimDisk`], as one process has it open.
#[derive(Debug)]
pub struct SimStore {
    disk: SimDisk,
    generation: u64,
    poisoned: bool,
}

impl SimStore {
    fn new(disk: SimDisk, generation: u64) -> Self {
        Self { disk, generation, poisoned: false }
    }

    fn read<R>(&self, read: impl FnOnce(&mut Disk) -> Result<R, StoreError>) -> Result<R, StoreError> {
        let mut disk = self.disk.lock();
        if disk.generation != self.generation {
            return Err(StoreError::Read("the process of this store has crashed".into()));
        }
        read(&mut disk)
    }

    fn stream<R>(
        &self,
        id: &StreamId,
        read: impl FnOnce(&Stream, &mut Bites) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.read(|disk| {
            let Disk { image, bites, .. } = disk;
            read(rules::present(id, image.streams.get(id))?, bites)
        })
    }
}

/// Runs of one incarnation from a boundary on.
fn runs(
    id: &StreamId,
    stream: &Stream,
    after: Seq,
    max_bytes: usize,
    bites: &mut Bites,
) -> Result<Vec<RunEntry>, StoreError> {
    rules::position(id, &stream.head, after)?;
    if stream.chain_at(after).is_none() {
        return Err(StoreError::NotABoundary { stream: id.clone(), asked: after });
    }
    let (mut found, mut bytes) = (Vec::new(), 0);
    for (_, entry) in stream.runs.range(after.next()..) {
        bytes += entry.run.bytes().len();
        if bytes > max_bytes && !found.is_empty() {
            break;
        }
        found.push(checked(id, stream, entry, bites)?);
    }
    Ok(found)
}

/// A run as it is read: refused if its bytes went bad.
fn checked(
    id: &StreamId,
    stream: &Stream,
    entry: &RunEntry,
    bites: &mut Bites,
) -> Result<RunEntry, StoreError> {
    let last = entry.run.last();
    if stream.corrupt.contains(&last) {
        bites.corrupt_reads += 1;
        let place = format!("the run of {id} that ends at {last}");
        return Err(StoreError::Corrupt { place, why: "its bytes went bad (simulated)".into() });
    }
    Ok(entry.clone())
}

fn page(rows: &Rows, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Row> {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let rows = rows.range::<[u8], _>((from, Bound::Unbounded));
    let rows = rows.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
    rows.map(|(key, value)| Row { key: key.clone(), value: value.clone() }).collect()
}

impl Reader for SimStore {
    fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        self.read(|disk| Ok(disk.image.streams.keys().cloned().collect()))
    }

    fn head(&self, stream: &StreamId) -> Result<Option<StreamHead>, StoreError> {
        self.read(|disk| Ok(disk.image.streams.get(stream).map(|s| s.head.clone())))
    }

    fn runs(&self, id: &StreamId, after: Seq, max_bytes: usize) -> Result<Vec<RunEntry>, StoreError> {
        self.stream(id, |stream, bites| runs(id, stream, after, max_bytes, bites))
    }

    fn run_at(&self, id: &StreamId, seq: Seq) -> Result<Option<RunEntry>, StoreError> {
        self.stream(id, |stream, bites| {
            if seq <= stream.head.base.seq {
                return Ok(None);
            }
            let entry = stream.runs.range(seq..).next();
            entry.map(|(_, entry)| checked(id, stream, entry, bites)).transpose()
        })
    }

    fn chain_at(&self, id: &StreamId, seq: Seq) -> Result<Option<Chain>, StoreError> {
        self.stream(id, |stream, _| Ok(stream.chain_at(seq)))
    }

    fn row(&self, id: &StreamId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.stream(id, |stream, _| Ok(stream.rows.get(key).cloned()))
    }

    fn rows(
        &self,
        id: &StreamId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.stream(id, |stream, _| Ok(page(&stream.rows, prefix, after, limit)))
    }

    fn base_rows(&self, id: &StreamId, after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.stream(id, |stream, _| Ok(page(&stream.base_rows, b"", after, limit)))
    }

    fn archived(&self, id: &StreamId) -> Result<Vec<StreamHead>, StoreError> {
        self.read(|disk| {
            let archived = disk.image.archived.get(id).into_iter().flatten();
            Ok(archived.map(|old| old.head.clone()).collect())
        })
    }

    fn archived_runs(
        &self,
        id: &StreamId,
        log_id: LogId,
        after: Seq,
        max_bytes: usize,
    ) -> Result<Vec<RunEntry>, StoreError> {
        self.read(|Disk { image, bites, .. }| {
            let mut archived = image.archived.get(id).into_iter().flatten();
            let old = rules::present(id, archived.find(|old| old.head.base.log_id == log_id))?;
            runs(id, old, after, max_bytes, bites)
        })
    }

    fn local(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|disk| Ok(disk.image.locals.get(key).cloned()))
    }

    fn locals(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(|disk| {
            let locals = disk.image.locals.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
            let locals = locals.take_while(|(key, _)| key.starts_with(prefix));
            Ok(locals.map(|(key, value)| (key.clone(), value.clone())).collect())
        })
    }
}

impl Store for SimStore {
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        let mut disk = self.disk.lock();
        if self.poisoned || disk.generation != self.generation {
            return Err(StoreError::Poisoned);
        }
        let result = disk.commit(batch);
        self.poisoned = matches!(result, Err(StoreError::Failed(_)));
        result
    }
}
