//! Who is connected now, and what they showed ahead of their history. In memory only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledge_core::Row;
use ledge_schemas::{NodeName, Position, Seq};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::metric_definitions as names;

/// Bytes of overlay rows kept per node; more are not shown ahead of the history.
const OVERLAY_BYTES: usize = 8 * 1024 * 1024;
/// Events that a controller may lag behind before it looks at every node instead.
const EVENTS: usize = 4096;

/// Something about a node changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeEvent {
    /// It has a certificate, or another one.
    Joined(NodeName),
    /// Its session is live.
    Live(NodeName),
    /// Its `down` stream is agreed on: what it lacks is being sent.
    Settled(NodeName),
    /// It showed rows ahead of its history.
    Overlay(NodeName),
    /// A connection of it ended.
    Ended(NodeName),
    /// What the cloud decided about it changed: quarantine, objects held back.
    Decided(NodeName),
}

impl NodeEvent {
    /// Which node.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        match self {
            Self::Joined(node)
            | Self::Live(node)
            | Self::Settled(node)
            | Self::Overlay(node)
            | Self::Ended(node)
            | Self::Decided(node) => node,
        }
    }
}

/// A receiver of [`NodeEvent`]s.
pub type NodeEvents = broadcast::Receiver<NodeEvent>;

/// A live session, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its number.
    pub session: u64,
    /// Where from.
    pub address: SocketAddr,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
    /// `up` events that the node said to have at its hello.
    pub up_head: Seq,
    /// `down` events that it has; `None` until its stream is agreed on.
    pub down_acked: Option<Seq>,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    session: u64,
    since_ms: u64,
    progress: Arc<Progress>,
    overlay: Overlay,
}

#[derive(Debug)]
struct Progress {
    node: NodeName,
    serial: String,
    address: SocketAddr,
    up_head: AtomicU64,
    /// One more than the seq; 0 for none.
    down_acked: AtomicU64,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Overlay {
    position: Position,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

#[derive(Debug)]
struct Shared {
    live: Mutex<BTreeMap<NodeName, Entry>>,
    /// Every connection by its id, those that are not live yet too.
    open: Mutex<BTreeMap<u64, Arc<Progress>>>,
    events: broadcast::Sender<NodeEvent>,
    next_id: AtomicU64,
}

/// The registry. Clones share it.
#[derive(Clone, Debug)]
pub struct Sessions {
    shared: Arc<Shared>,
}

impl Default for Sessions {
    fn default() -> Self {
        let (live, open, next_id) = (Mutex::default(), Mutex::default(), AtomicU64::new(1));
        Self { shared: Arc::new(Shared { live, open, events: broadcast::Sender::new(EVENTS), next_id }) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// Told of every change from now on.
    #[must_use]
    pub fn events(&self) -> NodeEvents {
        self.shared.events.subscribe()
    }

    /// Tells the controllers.
    pub fn tell(&self, event: NodeEvent) {
        // Nobody listening is no error.
        let _ = self.shared.events.send(event);
    }

    /// The node's live session.
    #[must_use]
    pub fn get(&self, node: &NodeName) -> Option<Snapshot> {
        lock(&self.shared.live).get(node).map(snapshot)
    }

    /// How many sessions are live.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.shared.live).len()
    }

    /// Whether no session is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends every connection that showed this certificate.
    pub fn revoke(&self, serial: &str) {
        for progress in lock(&self.shared.open).values().filter(|progress| progress.serial == serial) {
            progress.stop.cancel();
        }
    }

    /// Overlay rows of a node under a prefix, with the `up` position that they reflect; none once the
    /// view has passed it.
    #[must_use]
    pub fn overlay(&self, node: &NodeName, applied: Position, prefix: &[u8]) -> Option<(Position, Vec<Row>)> {
        let mut live = lock(&self.shared.live);
        let overlay = &mut live.get_mut(node)?.overlay;
        if overlay.position <= applied {
            *overlay = Overlay::default();
            return None;
        }
        let rows = overlay.rows.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let rows: Vec<Row> =
            rows.map(|(key, value)| Row { key: key.clone(), value: value.clone() }).collect();
        (!rows.is_empty()).then_some((overlay.position, rows))
    }

    /// Keys of a node's overlay rows.
    #[must_use]
    pub fn overlay_keys(&self, node: &NodeName) -> Vec<Vec<u8>> {
        lock(&self.shared.live)
            .get(node)
            .map(|entry| entry.overlay.rows.keys().cloned().collect())
            .unwrap_or_default()
    }

    pub(super) fn connected(
        &self,
        node: &NodeName,
        serial: &str,
        address: SocketAddr,
        stop: CancellationToken,
    ) -> Connection {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (up_head, down_acked) = (AtomicU64::new(0), AtomicU64::new(0));
        let (node, serial) = (node.clone(), serial.to_owned());
        let progress = Arc::new(Progress { node, serial, address, up_head, down_acked, stop });
        lock(&self.shared.open).insert(id, Arc::clone(&progress));
        Connection { id, progress, sessions: self.clone() }
    }
}

fn snapshot(entry: &Entry) -> Snapshot {
    let progress = &entry.progress;
    Snapshot {
        session: entry.session,
        address: progress.address,
        since_ms: entry.since_ms,
        up_head: Seq(progress.up_head.load(Ordering::Relaxed)),
        down_acked: progress.down_acked.load(Ordering::Relaxed).checked_sub(1).map(Seq),
    }
}

/// One connection of a node.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    id: u64,
    progress: Arc<Progress>,
    sessions: Sessions,
}

impl Connection {
    pub(super) fn says(&self, up_head: Seq) {
        self.progress.up_head.store(up_head.0, Ordering::Relaxed);
    }

    pub(super) fn acknowledged(&self, seq: Seq) {
        if self.progress.down_acked.swap(seq.0.saturating_add(1), Ordering::Relaxed) == 0 {
            self.sessions.tell(NodeEvent::Settled(self.progress.node.clone()));
        }
    }

    /// From here on it is the node's session; an earlier one is fenced and is ended.
    pub(super) fn live(&self, session: u64) {
        let entry = Entry {
            id: self.id,
            session,
            since_ms: clock::unix_ms(),
            progress: Arc::clone(&self.progress),
            overlay: Overlay::default(),
        };
        let mut live = lock(&self.sessions.shared.live);
        if live.get(&self.progress.node).is_some_and(|other| other.session > session) {
            // A later one was faster to say so.
            return self.progress.stop.cancel();
        }
        let earlier = live.insert(self.progress.node.clone(), entry);
        drop(live);
        if let Some(earlier) = earlier.filter(|earlier| earlier.id != self.id) {
            earlier.progress.stop.cancel();
        }
        self.sessions.tell(NodeEvent::Live(self.progress.node.clone()));
    }

    pub(super) fn overlay(&self, position: Position, rows: Vec<Row>) {
        let mut live = lock(&self.sessions.shared.live);
        let entry = live.get_mut(&self.progress.node).filter(|entry| entry.id == self.id);
        let Some(Entry { overlay, .. }) = entry else { return };
        overlay.position = position;
        for Row { key, value } in rows {
            let size = key.len() + value.len();
            let frees = overlay.rows.get(&key).map_or(0, |old| key.len() + old.len());
            if overlay.bytes - frees + size > OVERLAY_BYTES {
                metrics::counter!(names::OVERLAY_DROPPED).increment(size as u64);
                continue;
            }
            overlay.bytes = overlay.bytes - frees + size;
            overlay.rows.insert(key, value);
        }
        drop(live);
        self.sessions.tell(NodeEvent::Overlay(self.progress.node.clone()));
    }

    pub(super) fn ended(&self) {
        lock(&self.sessions.shared.open).remove(&self.id);
        let mut live = lock(&self.sessions.shared.live);
        if live.get(&self.progress.node).is_some_and(|entry| entry.id == self.id) {
            live.remove(&self.progress.node);
        }
        drop(live);
        self.sessions.tell(NodeEvent::Ended(self.progress.node.clone()));
    }
}
