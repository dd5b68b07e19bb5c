//! The witness: a second, tiny file that says what was durable a moment ago. RocksDB takes a
//! log that ends early for one that was never longer; the witness knows better.
//!
//! Two slots of 4 KiB are written in turn, so that one is always whole. Little-endian.
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 8 | `LEDGEWIT` |
//! | 8 | 1 | format version |
//! | 9 | 3 | zero |
//! | 12 | 4 | CRC32C of bytes 0 … 12 and 16 … 4096 |
//! | 16 | 8 | generation; the higher slot counts |
//! | 24 | 8 | RocksDB's sequence number: the count of everything ever written |
//! | 32 | 2 | number of tails |
//! | 34 | | tails: ordinal (4), log id (16), seq (8), chain (32), length of name (2), name |
//!
//! The sequence number alone notices every lost write; the tails, of the streams that changed last and
//! as many as fit, say whose events went and notice a log that was exchanged for another.
//!
//! Written at most [`LAG`] after a change, or after [`LAG_EVENTS`] events if that is sooner (but not
//! more often than every [`PAUSE`], so that a loaded writer keeps its disk), and when the store is
//! closed. When nothing changes, nothing is written.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledge_core::Chain;
use ledge_log::crash_point;
use ledge_schemas::{LogId, Seq, StreamId, format};

use crate::metric_definitions as metric;
use crate::reader::Inner;
use crate::scan;

/// Longest time between a change and its witness.
pub(crate) const LAG: Duration = Duration::from_secs(1);
/// Events after which the witness is written sooner.
pub(crate) const LAG_EVENTS: u64 = 1_000;
/// Shortest time between two writes.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Name of the file in the log's directory.
pub(crate) const FILE: &str = "witness";
const SLOT: usize = 4096;
const MAGIC: [u8; 8] = *b"LEDGEWIT";
const TAILS: usize = 34;

/// A stream's tail as it was durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) stream: StreamId,
    pub(crate) ordinal: u32,
    pub(crate) log_id: LogId,
    pub(crate) seq: Seq,
    pub(crate) chain: Chain,
}

/// What one slot says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
    /// Latest change first.
    pub(crate) tails: Vec<Tail>,
}

/// The log holds less than was once durable: a lost tail, or a directory restored from a backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log holds {found} of at least {witnessed} writes that were durable; {} streams are known to be shorter",
    .streams.len()
)]
pub struct Regress {
    /// Writes that were durable, at least.
    pub witnessed: u64,
    /// Writes that are there.
    pub found: u64,
    /// Streams that are known to be shorter, or other ones.
    pub streams: Vec<LostTail>,
}

/// A stream that does not reach what was durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostTail {
    /// Which stream.
    pub stream: StreamId,
    /// Incarnation that was there.
    pub log_id: LogId,
    /// Seq that was durable.
    pub witnessed: Seq,
    /// Incarnation and tail that are there now; `None` if the stream is not.
    pub found: Option<(LogId, Seq)>,
}

fn checksum(slot: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&slot[..12]), &slot[16..])
}

impl Witness {
    /// As many tails as fit.
    pub(crate) fn encode(&self) -> [u8; SLOT] {
        let mut slot = [0; SLOT];
        let (mut at, mut count) = (TAILS, 0_u16);
        for tail in &self.tails {
            let name = tail.stream.to_string();
            let length = u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes();
            let (ordinal, seq) = (tail.ordinal.to_le_bytes(), tail.seq.0.to_le_bytes());
            let fields = [&ordinal[..], &tail.log_id.0, &seq, &tail.chain.0, &length, name.as_bytes()];
            if at + fields.iter().map(|f| f.len()).sum::<usize>() > SLOT {
                break;
            }
            for field in fields {
                slot[at..at + field.len()].copy_from_slice(field);
                at += field.len();
            }
            count += 1;
        }
        slot[..8].copy_from_slice(&MAGIC);
        slot[8] = format::FORMAT;
        slot[16..24].copy_from_slice(&self.generation.to_le_bytes());
        slot[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        slot[32..34].copy_from_slice(&count.to_le_bytes());
        let crc = checksum(&slot);
        slot[12..16].copy_from_slice(&crc.to_le_bytes());
        slot
    }

    /// `None` if the slot was never wholly written.
    pub(crate) fn decode(slot: &[u8]) -> Option<Self> {
        let stated = u32::from_le_bytes(slot.get(12..16)?.try_into().ok()?);
        let known = (format::FORMAT_OLDEST..=format::FORMAT).contains(slot.get(8)?);
        if slot.len() != SLOT || slot[..8] != MAGIC || checksum(slot) != stated || !known {
            return None;
        }
        let mut rest = &slot[16..];
        let generation = u64::from_le_bytes(take(&mut rest)?);
        let sequence = u64::from_le_bytes(take(&mut rest)?);
        let count = u16::from_le_bytes(take(&mut rest)?);
        let tails = (0..count).map(|_| {
            let ordinal = u32::from_le_bytes(take(&mut rest)?);
            let (log_id, seq, chain) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
            let length = u16::from_le_bytes(take(&mut rest)?);
            let (name, behind) = rest.split_at_checked(length.into())?;
            rest = behind;
            let stream = std::str::from_utf8(name).ok()?.parse().ok()?;
            let (log_id, seq, chain) = (LogId(log_id), Seq(u64::from_le_bytes(seq)), Chain(chain));
            Some(Tail { stream, ordinal, log_id, seq, chain })
        });
        Some(Self { generation, sequence, tails: tails.collect::<Option<_>>()? })
    }

    /// The later of the two slots in a directory; `None` if there is no file or no slot is whole.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let bytes = match std::fs::read(dir.join(FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let latest = bytes.chunks(SLOT).filter_map(Self::decode).max_by_key(|witness| witness.generation);
        if latest.is_none() && bytes.iter().any(|byte| *byte != 0) {
            tracing::error!(dir = %dir.display(), "no slot of the witness is whole; a lost tail would go unnoticed");
        }
        Ok(latest)
    }

    /// What of it the opened log does not hold.
    pub(crate) fn compare(&self, inner: &Inner) -> Result<Option<Regress>, ledge_core::log::StoreError> {
        let heads = inner.heads();
        let shorter = heads.sequence < self.sequence;
        let mut streams = Vec::new();
        for tail in &self.tails {
            let Tail { stream, ordinal, log_id, seq, chain } = tail;
            let current = heads.current.get(stream);
            let mut known = current.into_iter().chain(heads.archived.get(stream).into_iter().flatten());
            let held = match known.find(|stored| stored.ordinal == *ordinal) {
                Some(stored) if stored.head.base.log_id != *log_id || stored.head.tail < *seq => false,
                // A base above it was made from it.
                Some(stored) if *seq < stored.head.base.seq => true,
                Some(stored) => scan::chain_at(inner, stream, stored, *seq)? == Some(*chain),
                // It was dropped or forgotten since, which wrote something.
                None => !shorter,
            };
            if !held {
                let found = current.map(|stored| (stored.head.base.log_id, stored.head.tail));
                streams.push(LostTail { stream: stream.clone(), log_id: *log_id, witnessed: *seq, found });
            }
        }
        let (witnessed, found) = (self.sequence, heads.sequence);
        Ok((shorter || !streams.is_empty()).then_some(Regress { witnessed, found, streams }))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*field)
}

/// What waits to be witnessed.
#[derive(Debug, Default)]
struct Changes {
    /// Since when; `None` if nothing does.
    since: Option<Instant>,
    streams: BTreeSet<StreamId>,
    events: u64,
    stop: bool,
}

#[derive(Debug, Default)]
struct Shared {
    changes: Mutex<Changes>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the witness from a thread of its own, so that its sync is nobody's wait.
#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// `last` is what the file says now.
    pub(crate) fn start(inner: Arc<Inner>, last: Witness) -> io::Result<Self> {
        let path = inner.dir.join(FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).read(true).open(path)?;
        if file.metadata()?.len() < 2 * SLOT as u64 {
            // Written once, so that later syncs change no metadata and need no room.
            file.write_all_at(&[0; 2 * SLOT], 0)?;
            file.sync_all()?;
            File::open(&inner.dir)?.sync_all()?;
        }
        let shared = Arc::new(Shared::default());
        let mut pen = Pen { inner, file, last };
        let thread =
            std::thread::Builder::new().name("ledge-witness".into()).stack_size(256 << 10).spawn({
                let shared = Arc::clone(&shared);
                move || pen.run(&shared)
            })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Something became durable.
    pub(crate) fn note(&self, streams: Vec<StreamId>, events: u64) {
        let mut changes = self.shared.lock();
        changes.streams.extend(streams);
        let before = changes.events;
        changes.events += events;
        let soon = before < LAG_EVENTS && changes.events >= LAG_EVENTS;
        if changes.since.is_none() {
            changes.since = Some(Instant::now());
        } else if !soon {
            return;
        }
        drop(changes);
        self.shared.wake.notify_one();
    }
}

impl Drop for Keeper {
    /// Writes what is left.
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It panics only if a lock of ours was broken by another panic, which was told then.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Pen {
    inner: Arc<Inner>,
    file: File,
    last: Witness,
}

impl Pen {
    fn run(&mut self, shared: &Shared) {
        let mut written = None;
        while let Some(streams) = wait(shared, written) {
            if let Err(error) = self.write(streams) {
                // Not tried again: what a failed sync left behind is unknown. The log itself is sound.
                tracing::error!(%error, "the witness cannot be written; a lost tail would go unnoticed");
                return;
            }
            written = Some(Instant::now());
        }
    }

    fn write(&mut self, streams: BTreeSet<StreamId>) -> io::Result<()> {
        let mut next = self.last.clone();
        next.generation += 1;
        next.tails.retain(|tail| !streams.contains(&tail.stream));
        {
            let heads = self.inner.heads();
            next.sequence = heads.sequence;
            let tail = |stream: StreamId| {
                let stored = heads.current.get(&stream)?;
                let (ordinal, head) = (stored.ordinal, &stored.head);
                Some(Tail { stream, ordinal, log_id: head.base.log_id, seq: head.tail, chain: head.chain })
            };
            next.tails.splice(0..0, streams.into_iter().filter_map(tail));
        }
        let slot = next.encode();
        // What did not fit is not kept either.
        next.tails.truncate(usize::from(u16::from_le_bytes([slot[32], slot[33]])));
        crash_point("witness.before-write");
        self.file.write_all_at(&slot, (next.generation % 2) * SLOT as u64)?;
        self.file.sync_data()?;
        crash_point("witness.after-write");
        metrics::counter!(metric::WITNESS).increment(1);
        self.last = next;
        Ok(())
    }
}

/// Waits until a write is due, and returns the streams that changed; `None` when all is written and
/// the store is being closed.
fn wait(shared: &Shared, written: Option<Instant>) -> Option<BTreeSet<StreamId>> {
    let mut changes = shared.lock();
    loop {
        let due = match (changes.since, changes.stop) {
            (None, true) => return None,
            (Some(_), true) => Duration::ZERO,
            (None, false) => {
                changes = shared.wake.wait(changes).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            (Some(since), false) => {
                let lag = if changes.events >= LAG_EVENTS { Duration::ZERO } else { LAG };
                let pause = written.map_or(Duration::ZERO, |at: Instant| PAUSE.saturating_sub(at.elapsed()));
                lag.saturating_sub(since.elapsed()).max(pause)
            }
        };
        if due.is_zero() {
            (changes.since, changes.events) = (None, 0);
            return Some(std::mem::take(&mut changes.streams));
        }
        changes = shared.wake.wait_timeout(changes, due).unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn witness(tails: u8) -> Witness {
        let tail = |n: u8| Tail {
            stream: format!("up/node-{n}").parse().unwrap(),
            ordinal: n.into(),
            log_id: LogId([n; 16]),
            seq: Seq(n.into()),
            chain: Chain([n; 32]),
        };
        Witness { generation: 3, sequence: 9, tails: (0..tails).map(tail).collect() }
    }

    #[test]
    fn a_slot_reads_back_as_written() {
        assert_eq!(Witness::decode(&witness(3).encode()), Some(witness(3)));
        assert_eq!(Witness::decode(&Witness::default().encode()), Some(Witness::default()));
    }

    #[test]
    fn a_slot_holds_the_latest_tails_that_fit() {
        let found = Witness::decode(&witness(200).encode()).unwrap();
        assert!(found.tails.len() > 50, "{}", found.tails.len());
        assert_eq!(found.tails, witness(200).tails[..found.tails.len()]);
    }

    #[test]
    fn the_later_whole_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Witness::read(dir.path()).unwrap(), None);
        let (old, new) = (Witness { generation: 2, ..witness(1) }, Witness { generation: 3, ..witness(2) });
        let mut bytes = [old.encode(), new.encode()].concat();
        std::fs::write(dir.path().join(FILE), &bytes).unwrap();
        assert_eq!(Witness::read(dir.path()).unwrap(), Some(new));
        bytes[SLOT + 100] ^= 1;
        std::fs::write(dir.path().join(FILE), &bytes).unwrap();
        assert_eq!(Witness::read(dir.path()).unwrap(), Some(old));
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_noticed(bit in 0..SLOT * 8) {
            let mut slot = witness(3).encode();
            slot[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Witness::decode(&slot), None);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Witness::decode(&bytes);
            let mut slot = [0; SLOT];
            slot[..bytes.len().min(SLOT)].copy_from_slice(&bytes[..bytes.len().min(SLOT)]);
            slot[..8].copy_from_slice(&MAGIC);
            slot[8] = format::FORMAT;
            let crc = checksum(&slot);
            slot[12..16].copy_from_slice(&crc.to_le_bytes());
            let _ = Witness::decode(&slot);
        }
    }
}
