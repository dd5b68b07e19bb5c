//! Watches: the runs of `cluster` after a revision, then every commit that follows. A watcher reads at
//! its own pace and holds one chunk of runs, so a slow one costs nothing but its place in the log.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use ledge_core::log::{Reader, StoreError};
use ledge_kube_api::store::{Change, ChangeStream, WatchError};
use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::cluster::{ObjectDeleted, ObjectWritten};
use ledge_schemas::{Epoch, EventRef, Position, Seq, StreamId};
use serde_json::Value;
use tokio::sync::watch;

use super::key::object_key;
use super::read::written_at;
use crate::log::Log;

/// Bytes of runs read at once.
const READ: usize = 128 * 1024;

struct Watch {
    log: Log,
    /// What the keys begin with.
    prefix: String,
    epoch: Epoch,
    /// Changes after this are told.
    after: Seq,
    /// Runs after this boundary are read next.
    boundary: Seq,
    queue: VecDeque<Change>,
    tail: watch::Receiver<Option<Position>>,
    over: bool,
}

/// A watch of the keys with this prefix, after a revision.
pub(super) fn begin(log: &Log, prefix: String, after: u64) -> Result<ChangeStream, WatchError> {
    let unavailable = |error: StoreError| WatchError::Unavailable { reason: error.to_string() };
    let tail = log.writer.watch(&StreamId::Cluster);
    let head = log.reader.head(&StreamId::Cluster).map_err(unavailable)?;
    let head = head.ok_or_else(|| unavailable(StoreError::NoStream(StreamId::Cluster)))?;
    let (base, epoch) = (head.base.seq, head.base.epoch);
    let oldest = Position { epoch, seq: base };
    let asked = Position::from_revision(after).unwrap_or_default();
    if asked < oldest {
        return Err(WatchError::Expired { oldest: oldest.revision() });
    }
    // A revision that was not given out yet (another epoch, or the future): what comes next is after it.
    let after = if asked.epoch == epoch { asked.seq } else { head.tail };
    let boundary = if after >= head.tail {
        head.tail
    } else {
        let next = log.reader.run_at(&StreamId::Cluster, after.next()).map_err(unavailable)?;
        next.map_or(base, |entry| Seq(entry.run.first().0 - 1))
    };
    let watch =
        Watch { log: log.clone(), prefix, epoch, after, boundary, queue: VecDeque::new(), tail, over: false };
    Ok(futures::stream::unfold(watch, next).boxed())
}

async fn next(mut watch: Watch) -> Option<(Result<Change, WatchError>, Watch)> {
    loop {
        if watch.over {
            return None;
        }
        if let Some(change) = watch.queue.pop_front() {
            return Some((Ok(change), watch));
        }
        watch.tail.borrow_and_update();
        match watch.read() {
            Ok(true) => {}
            Ok(false) => watch.tail.changed().await.ok()?,
            Err(error) => {
                watch.over = true;
                return Some((Err(error), watch));
            }
        }
    }
}

impl Watch {
    /// Reads the next runs; `false` if there are none yet.
    fn read(&mut self) -> Result<bool, WatchError> {
        let entries = match self.log.reader.runs(&StreamId::Cluster, self.boundary, READ) {
            Ok(entries) => entries,
            Err(StoreError::Trimmed { oldest, .. }) => {
                return Err(WatchError::Expired {
                    oldest: Position { epoch: self.epoch, seq: oldest }.revision(),
                });
            }
            Err(error) => return Err(WatchError::Unavailable { reason: error.to_string() }),
        };
        for entry in &entries {
            for event in entry.run.events() {
                let (seq, event) =
                    event.map_err(|error| WatchError::Unavailable { reason: error.to_string() })?;
                if seq > self.after && event.key.starts_with(&self.prefix) {
                    let change = self.change(seq, &event);
                    self.queue.extend(change?);
                }
            }
            self.boundary = entry.run.last();
        }
        Ok(!entries.is_empty())
    }

    /// The change that an event tells of; `None` for kinds that tell of none.
    fn change(&self, seq: Seq, event: &EventRef<'_>) -> Result<Option<Change>, WatchError> {
        let unavailable = |reason: String| WatchError::Unavailable { reason };
        let Some(key) = object_key(event.key) else { return Ok(None) };
        let parse = |bytes: &[u8]| -> Result<Option<Arc<Value>>, WatchError> {
            let value = serde_json::from_slice(bytes)
                .map_err(|error| unavailable(format!("{}: {error}", event.key)))?;
            Ok(Some(Arc::new(value)))
        };
        let (previous, current) = match event.kind {
            ObjectWritten::KIND => {
                let body =
                    ObjectWritten::from_body(event.body).map_err(|error| unavailable(error.to_string()))?;
                let previous = match body.previous {
                    Some(seq) => written_at(&self.log.reader, seq).map_err(|e| unavailable(e.to_string()))?,
                    None => None,
                };
                (previous.map(Arc::new), parse(&body.object)?)
            }
            ObjectDeleted::KIND => {
                let body =
                    ObjectDeleted::from_body(event.body).map_err(|error| unavailable(error.to_string()))?;
                (parse(&body.object)?, None)
            }
            _ => return Ok(None),
        };
        let revision = Position { epoch: self.epoch, seq }.revision();
        Ok(Some(Change { key, revision, previous, current }))
    }
}
