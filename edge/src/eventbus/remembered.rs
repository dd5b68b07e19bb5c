//! Messages that may come again: (client id, packet id, hash) of what was appended, kept until the client
//! has surely been acknowledged.
//!
//! The triple is written in the transaction that appends the message, so that it survives a crash between
//! the append and the `PUBACK`. It goes a while after the `PUBACK` was handed to the client's connection,
//! together with a later append; a `PUBACK` lost on the way is thereby still recognised by the message's
//! return. The next message with the same packet id takes its place at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ledge_core::journal::Txn;
use ledge_core::log::{Reader, Store, StoreError};
use ledge_mqtt::{Incoming, Origin};

/// Prefix of the local keys.
const PREFIX: &str = "mqtt/";
/// How long a triple stays after the acknowledgement.
const KEPT: Duration = Duration::from_secs(30);
/// How long one stays that a former process left: its client may be away for longer than the process was.
const KEPT_OVER_RESTART: Duration = Duration::from_secs(600);
/// Triples kept at most; beyond it the oldest goes early.
const KEPT_AT_MOST: usize = 65_536;
/// Triples removed together with one append. More than one, so that they grow fewer.
const REMOVED_AT_ONCE: usize = 4;

/// A message by client, packet id and hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Triple {
    key: String,
    /// Hash of topic and payload, and a number that tells this message from another one like it.
    value: [u8; 40],
}

impl Triple {
    /// Of a message with a packet id: QoS 0 is never sent again.
    pub(super) fn of(from: &Origin, message: &Incoming) -> Option<Self> {
        let packet_id = from.packet_id?;
        let client = blake3::hash(from.client_id.as_bytes());
        let mut hash = blake3::Hasher::new();
        hash.update(&(message.topic.len() as u64).to_le_bytes());
        hash.update(message.topic.as_bytes()).update(&message.payload);
        let mut value = [0; 40];
        value[..32].copy_from_slice(hash.finalize().as_bytes());
        value[32..].copy_from_slice(&rand::random::<[u8; 8]>());
        let client = &client.to_hex()[..32];
        Some(Self { key: format!("{PREFIX}{client}/{packet_id}"), value })
    }

    /// Whether this very message was appended before.
    pub(super) fn is_known<S: Store>(&self, txn: &Txn<'_, S>) -> Result<bool, StoreError> {
        Ok(txn.local(&self.key)?.is_some_and(|known| known.get(..32) == self.value.get(..32)))
    }

    /// Remembers it with the append of this transaction.
    pub(super) fn remember<S: Store>(&self, txn: &mut Txn<'_, S>) {
        txn.set_local(&self.key, Some(self.value.to_vec()));
    }

    /// Removes it, unless another message has taken its place.
    pub(super) fn forget<S: Store>(&self, txn: &mut Txn<'_, S>) -> Result<(), StoreError> {
        if txn.local(&self.key)?.is_some_and(|known| known == self.value) {
            txn.set_local(&self.key, None);
        }
        Ok(())
    }
}

/// Triples whose messages were acknowledged, oldest first.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    due: VecDeque<(Instant, Triple)>,
}

impl Acknowledged {
    /// What a former process left.
    pub(super) fn load(reader: &impl Reader) -> Result<Self, StoreError> {
        let due_at = Instant::now() + KEPT_OVER_RESTART;
        let triple =
            |(key, value): (String, Vec<u8>)| Some((due_at, Triple { key, value: value.try_into().ok()? }));
        Ok(Self { due: reader.locals(PREFIX)?.into_iter().filter_map(triple).collect() })
    }

    pub(super) fn push(&mut self, triple: Triple) {
        self.due.push_back((Instant::now() + KEPT, triple));
    }

    /// Those to remove with the next append.
    pub(super) fn take(&mut self) -> Vec<Triple> {
        let now = Instant::now();
        let mut taken = Vec::new();
        while taken.len() < REMOVED_AT_ONCE
            && (self.due.len() > KEPT_AT_MOST || self.due.front().is_some_and(|(due, _)| *due <= now))
        {
            taken.extend(self.due.pop_front().map(|(_, triple)| triple));
        }
        taken
    }
}
