//! What is known to be true from outside: every event appended, every confirmation given, every
//! object that the API ever held or deleted.

use std::collections::{BTreeMap, BTreeSet};

use ledge_core::invariant::{self, Invariant, Violation, hash_of};
use ledge_core::log::Reader;
use ledge_core::view::down;
use ledge_schemas::{LogId, NodeName, Seq, StreamId};

/// History of one log as one disk wrote it.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Hash of each event durable at some time.
    pub appended: BTreeMap<Seq, [u8; 32]>,
    /// Confirmed to the one who appended.
    pub confirmed: Seq,
}

/// How often things happened. A profile names the ones that must not be zero.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    /// Counts one.
    pub fn hit(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// How often.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// All counts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, times)| (*what, *times))
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Oracle {
    /// By process and log id of its `up`.
    pub up: BTreeMap<(usize, LogId), History>,
    /// Payload that the cloud took at each place of an `up` log.
    accepted: BTreeMap<(NodeName, LogId), BTreeMap<Seq, [u8; 32]>>,
    /// What an edge was told is proved, by process and log.
    pub proved: BTreeMap<(usize, LogId), Seq>,
    /// Session that counts for each node, and its connection.
    pub confirmed: BTreeMap<NodeName, (u64, u64)>,
    /// Objects as the API has them.
    pub api: BTreeMap<String, ApiObject>,
    /// (node, row key) that the API once wanted gone.
    pub removable: BTreeSet<(NodeName, Vec<u8>)>,
    /// An operator accepted: anything may go.
    pub accepted_by_operator: bool,
    /// Object rows of each edge as last seen.
    seen: BTreeMap<usize, BTreeSet<Vec<u8>>>,
    /// What was exercised.
    pub coverage: Coverage,
    /// Times at which the cloud's store lost something.
    pub cloud_losses: u64,
}

/// An object of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiObject {
    /// Node that it is for.
    pub node: NodeName,
    /// Its JSON.
    pub json: Vec<u8>,
}

impl Oracle {
    /// An edge's log reached the disk through here: remembers what is new.
    pub(super) fn appended<R: Reader>(
        &mut self,
        process: usize,
        reader: &R,
        node: &NodeName,
    ) -> Result<(), Violation> {
        let stream = StreamId::Up(node.clone());
        let read = |error| Violation::new(Invariant::Prefix, &stream, error);
        let Some(head) = reader.head(&stream).map_err(read)? else { return Ok(()) };
        let history = self.up.entry((process, head.base.log_id)).or_default();
        let known = history.appended.last_key_value().map_or(head.base.seq, |(seq, _)| *seq);
        let mut at = known.max(head.base.seq);
        while at < head.tail {
            for entry in reader.runs(&stream, at, usize::MAX).map_err(read)? {
                for (seq, event) in entry.run.events().filter_map(Result::ok) {
                    history.appended.insert(seq, hash_of(&event));
                    at = seq;
                }
            }
        }
        Ok(())
    }

    /// A process came up: its log is a prefix of its history, at least through what was confirmed.
    pub(super) fn recovered<R: Reader>(
        &self,
        process: usize,
        reader: &R,
        node: &NodeName,
    ) -> Result<(), Violation> {
        let stream = StreamId::Up(node.clone());
        let head = reader.head(&stream).map_err(|e| Violation::new(Invariant::Prefix, &stream, e))?;
        let Some(head) = head else { return Ok(()) };
        let Some(history) = self.up.get(&(process, head.base.log_id)) else { return Ok(()) };
        invariant::history(reader, &stream, head.base.log_id, &history.appended, history.confirmed)
    }

    /// The cloud took events: a place never gets another payload.
    pub(super) fn accepted<R: Reader>(
        &mut self,
        reader: &R,
        node: &NodeName,
        after: Seq,
    ) -> Result<(), Violation> {
        let stream = StreamId::Up(node.clone());
        let read = |error| Violation::new(Invariant::Monotone, &stream, error);
        let Some(head) = reader.head(&stream).map_err(read)? else { return Ok(()) };
        let places = self.accepted.entry((node.clone(), head.base.log_id)).or_default();
        let mut at = after.max(head.base.seq);
        while at < head.tail {
            for entry in reader.runs(&stream, at, usize::MAX).map_err(read)? {
                for (seq, event) in entry.run.events().filter_map(Result::ok) {
                    at = seq;
                    let hash = hash_of(&event);
                    if *places.entry(seq).or_insert(hash) != hash {
                        let what = format!("{} of log {} got a second payload", seq, head.base.log_id);
                        return Err(Violation::new(Invariant::Monotone, &stream, what));
                    }
                }
            }
        }
        Ok(())
    }

    /// An edge's object rows changed: what went had been deleted, or moved, in the API.
    pub(super) fn removals<R: Reader>(
        &mut self,
        process: usize,
        reader: &R,
        node: &NodeName,
    ) -> Result<(), Violation> {
        let stream = StreamId::Down(node.clone());
        let read = |error| Violation::new(Invariant::Absence, &stream, error);
        let rows = match reader.head(&stream).map_err(read)? {
            Some(_) => reader.rows(&stream, down::OBJECT.as_bytes(), None, usize::MAX).map_err(read)?,
            None => Vec::new(),
        };
        let now: BTreeSet<Vec<u8>> = rows.into_iter().map(|row| row.key).collect();
        let before = self.seen.insert(process, now.clone()).unwrap_or_default();
        let gone = before.difference(&now).find(|key| {
            !self.accepted_by_operator && !self.removable.contains(&(node.clone(), (*key).clone()))
        });
        match gone {
            None => Ok(()),
            Some(key) => {
                let what = format!("{} went, nobody deleted it", String::from_utf8_lossy(key));
                Err(Violation::new(Invariant::Absence, format!("process {process} {stream}"), what))
            }
        }
    }

    /// The rows of a process are no longer those seen before (its disk was exchanged).
    pub(super) fn forget_rows(&mut self, process: usize) {
        self.seen.remove(&process);
    }
}
