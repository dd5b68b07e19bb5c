//! The seam to whatever keeps the objects: keys, revisions, compare-and-write, watch.

use std::{fmt, sync::Arc};

use futures::{future::BoxFuture, stream::BoxStream};
use serde_json::Value;

/// Names a kind of stored object: API group ("" for the core group) and plural.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// API group, "" for the core group.
    pub group: String,
    /// Plural, as in the URL.
    pub plural: String,
}

impl ResourceId {
    /// Names the resource `plural` of `group`.
    pub fn new(group: impl Into<String>, plural: impl Into<String>) -> Self {
        Self { group: group.into(), plural: plural.into() }
    }
}

/// `plural.group`, or `plural` alone in the core group.
impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.plural),
            group => write!(f, "{}.{group}", self.plural),
        }
    }
}

/// Names one stored object. Ordered by resource, namespace, name: the order of lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Kind of object.
    pub resource: ResourceId,
    /// `None` for cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name, unique in the namespace.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.resource, self.name),
            None => write!(f, "{} {}", self.resource, self.name),
        }
    }
}

/// An object as stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object without `metadata.resourceVersion`.
    pub object: Arc<Value>,
    /// Revision of its last change: what `metadata.resourceVersion` shows.
    pub revision: u64,
}

/// What a list found, in the order of the keys.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The objects with their keys, ascending.
    pub items: Vec<(ObjectKey, Stored)>,
    /// The state is exactly that after this revision.
    pub revision: u64,
}

/// What must be true for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such object.
    Absent,
    /// The object's last change has exactly this revision.
    Revision(u64),
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The object.
    pub key: ObjectKey,
    /// Revision of this change.
    pub revision: u64,
    /// The object before, `None` when this created it.
    pub previous: Option<Arc<Value>>,
    /// The object after, `None` when this deleted it.
    pub current: Option<Arc<Value>>,
}

/// Why a read did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot answer now.
    #[error("the store cannot be read: {reason}; try again")]
    Unavailable {
        /// What is wrong.
        reason: String,
    },
}

/// Why a write did not happen, or that nobody knows.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// `Expect::Revision` did not hold; the object is at `current` (`None`: not known).
    #[error("the object changed meanwhile (it is now at {current:?})")]
    Conflict {
        /// Revision of the object now.
        current: Option<u64>,
    },
    /// `Expect::Absent` did not hold.
    #[error("the object exists")]
    Exists,
    /// `Expect::Revision` was given and there is no such object.
    #[error("there is no such object")]
    NotFound,
    /// The object exceeds the store's limit.
    #[error("the object has more than {limit} bytes; make it smaller")]
    TooLarge {
        /// Largest object, in bytes of its JSON.
        limit: usize,
    },
    /// Nothing was written.
    #[error("the store takes no writes now: {reason}")]
    Unavailable {
        /// What is wrong.
        reason: String,
        /// Whether trying again may help.
        retryable: bool,
    },
    /// The write may or may not have happened.
    #[error("it is not known whether the write happened; read the object before trying again")]
    Unknown,
}

/// Why a watch did not start or ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WatchError {
    /// Changes after the asked revision are no longer kept.
    #[error("changes are kept after revision {oldest} only; list and watch again")]
    Expired {
        /// The smallest `after` that can be watched.
        oldest: u64,
    },
    /// The reader was too slow for the store's bounded buffer. It can resume where it stopped.
    #[error("the watcher fell behind; resume at the last revision seen")]
    Lagged,
    /// The store cannot answer now.
    #[error("the store cannot be watched: {reason}; try again")]
    Unavailable {
        /// What is wrong.
        reason: String,
    },
}

/// Changes in ascending order of revision; ends after an error or when the store stops.
pub type ChangeStream = BoxStream<'static, Result<Change, WatchError>>;

/// A linearisable object store with one revision counter for everything in it.
///
/// - A write that returned is seen by every later `get` and `list`, and its revision is greater than all before.
/// - `watch(after)` yields every change with a revision greater than `after`, each once, in order, and nothing else.
/// - A watcher that is not polled costs the store bounded memory; it gets [`WatchError::Lagged`] instead of more.
/// - Revisions are at least 1; an empty store that was never written may be at 0.
pub trait ObjectStore: Send + Sync + 'static {
    /// The object, or `None`.
    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>>;

    /// All objects of a resource, of one namespace or (`None`) of all and the cluster's.
    fn list<'a>(
        &'a self,
        resource: &'a ResourceId,
        namespace: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Listing, StoreError>>;

    /// Writes the object (`None` deletes it) if `expect` holds; returns the revision of the change.
    fn write<'a>(
        &'a self,
        key: &'a ObjectKey,
        expect: Expect,
        object: Option<Value>,
    ) -> BoxFuture<'a, Result<u64, WriteError>>;

    /// Every change of the resource (in one namespace, if given) after revision `after`.
    fn watch<'a>(
        &'a self,
        resource: &'a ResourceId,
        namespace: Option<&'a str>,
        after: u64,
    ) -> BoxFuture<'a, Result<ChangeStream, WatchError>>;

    /// Revision of the newest change of any object.
    fn current_revision(&self) -> u64;
}
