//! The API's objects as events in `cluster`; a revision is a position.

use futures::FutureExt;
use futures::future::BoxFuture;
use ledge_core::journal::{Draft, Txn};
use ledge_core::log::{Reader, Store, StoreError as LogStoreError};
use ledge_core::view::row;
use ledge_kube_api::store::{
    ChangeStream, Expect, Listing, ObjectKey, ObjectStore, ResourceId, StoreError, Stored, WatchError,
    WriteError,
};
use ledge_log::{Class, WriteError as LogWriteError};
use ledge_schemas::kinds::cluster::{ObjectDeleted, ObjectWritten};
use ledge_schemas::{Position, StreamId, limits};
use serde_json::Value;
use tokio::sync::watch;

use super::key::{event_key, event_prefix, row_key};
use super::read::{self, unavailable};
use super::watch as changes;
use crate::log::Log;
use crate::metric_definitions as names;

/// See the module.
#[derive(Debug)]
pub struct ClusterStore {
    log: Log,
    tail: watch::Receiver<Option<Position>>,
}

impl ClusterStore {
    /// Over a log whose `cluster` stream has begun.
    #[must_use]
    pub fn new(log: Log) -> Self {
        let tail = log.writer.watch(&StreamId::Cluster);
        Self { log, tail }
    }
}

/// Checks `expect` against the object's row and appends the change; inside the writer.
fn put<S: Store>(
    txn: &mut Txn<'_, S>,
    key: &str,
    expect: Expect,
    object: Option<Vec<u8>>,
) -> Result<u64, WriteError> {
    let failed = |error: LogStoreError| WriteError::Unavailable {
        retryable: error.retryable(),
        reason: error.to_string(),
    };
    let head =
        txn.head(&StreamId::Cluster).ok_or_else(|| failed(LogStoreError::NoStream(StreamId::Cluster)))?;
    let epoch = head.base.epoch;
    let row = txn.row(&StreamId::Cluster, &row_key(key)).map_err(failed)?;
    let found = match row.as_deref().map(row::split).transpose() {
        Ok(found) => found,
        Err(error) => return Err(WriteError::Unavailable { reason: error.to_string(), retryable: false }),
    };
    match (expect, found) {
        (Expect::Absent, Some(_)) => return Err(WriteError::Exists),
        (Expect::Revision(_), None) => return Err(WriteError::NotFound),
        (Expect::Revision(wanted), Some((seq, _))) => {
            let current = Position { epoch, seq }.revision();
            if current != wanted {
                return Err(WriteError::Conflict { current: Some(current) });
            }
        }
        (Expect::Absent, None) => {}
    }
    let previous = found.map(|(seq, _)| seq);
    let draft = match (object, found) {
        (Some(object), _) => Draft::new(key, &ObjectWritten { object, previous }),
        (None, Some((_, old))) => Draft::new(key, &ObjectDeleted { object: old.to_vec(), previous }),
        (None, None) => return Err(WriteError::NotFound),
    };
    let draft = draft.map_err(|error| failed(LogStoreError::Failed(error.to_string())))?;
    Ok(txn.append(&StreamId::Cluster, draft).map_err(failed)?.revision())
}

/// What devices say often gives way to configuration as the disk fills.
fn class(key: &ObjectKey) -> Class {
    if key.resource.plural == "devicestatuses" { Class::State } else { Class::Configuration }
}

fn into_api(error: LogWriteError<WriteError>) -> WriteError {
    match error {
        LogWriteError::Refused(error) => error,
        LogWriteError::Unknown(_) => WriteError::Unknown,
        LogWriteError::Store(error) => {
            WriteError::Unavailable { retryable: error.retryable(), reason: error.to_string() }
        }
        other @ LogWriteError::Admission(_) => {
            WriteError::Unavailable { reason: other.to_string(), retryable: true }
        }
        other @ (LogWriteError::Stopped(_) | LogWriteError::Closed) => {
            WriteError::Unavailable { reason: other.to_string(), retryable: false }
        }
    }
}

impl ObjectStore for ClusterStore {
    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        let get = || {
            let epoch = read::tail(&self.log.reader)?.epoch;
            let key = row_key(&event_key(key));
            let row = self.log.reader.row(&StreamId::Cluster, &key)?;
            row.map(|bytes| read::stored(epoch, &key, &bytes)).transpose()
        };
        std::future::ready(get().map_err(unavailable)).boxed()
    }

    fn list<'a>(
        &'a self,
        resource: &'a ResourceId,
        namespace: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        let prefix = row_key(&event_prefix(resource, namespace));
        async move {
            let (reader, sought) = (self.log.reader.clone(), prefix.clone());
            let quiet = tokio::task::spawn_blocking(move || read::list(&reader, &sought)).await;
            let quiet = quiet.map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
            if let Some(listing) = quiet.map_err(unavailable)? {
                return Ok(listing);
            }
            // Inside the writer every moment is quiet.
            let listed = self.log.writer.write(Class::Configuration, move |txn| {
                let head = txn.head(&StreamId::Cluster).ok_or(LogStoreError::NoStream(StreamId::Cluster))?;
                Ok::<_, LogStoreError>((head.position(), txn.rows(&StreamId::Cluster, &prefix)?))
            });
            let (at, rows) =
                listed.await.map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
            read::listing(at, rows).map_err(unavailable)
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        key: &'a ObjectKey,
        expect: Expect,
        object: Option<Value>,
    ) -> BoxFuture<'a, Result<u64, WriteError>> {
        async move {
            let object = object.map(|object| object.to_string().into_bytes());
            let size = object.as_ref().map_or(0, Vec::len);
            if size > limits::OBJECT_BYTES {
                return Err(WriteError::TooLarge { limit: limits::OBJECT_BYTES });
            }
            let text = event_key(key);
            let command = move |txn: &mut Txn<'_, _>| put(txn, &text, expect, object);
            let written = self.log.writer.write_sized(class(key), size + 512, command).await.map_err(into_api);
            let outcome = match &written {
                Ok(_) => "ok",
                Err(WriteError::Conflict { .. } | WriteError::Exists | WriteError::NotFound) => "conflict",
                Err(_) => "failed",
            };
            metrics::counter!(names::OBJECT_WRITES, "resource" => key.resource.plural.clone(), "outcome" => outcome)
                .increment(1);
            written
        }
        .boxed()
    }

    fn watch<'a>(
        &'a self,
        resource: &'a ResourceId,
        namespace: Option<&'a str>,
        after: u64,
    ) -> BoxFuture<'a, Result<ChangeStream, WatchError>> {
        let prefix = event_prefix(resource, namespace);
        std::future::ready(changes::begin(&self.log, prefix, after)).boxed()
    }

    fn current_revision(&self) -> u64 {
        self.tail.borrow().map_or(0, Position::revision)
    }
}
