//! A store in memory for tests, with a history short enough to run out of.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::store::{
    Change, ChangeStream, Expect, Listing, ObjectKey, ObjectStore, ResourceId, StoreError, Stored,
    WatchError, WriteError,
};

/// Changes that a watcher may lag behind.
const BUFFER: usize = 4096;

/// Keeps objects, and the last `history` changes, in memory.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    revision: AtomicU64,
    changes: broadcast::Sender<Change>,
    history: usize,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<ObjectKey, Stored>,
    history: VecDeque<Change>,
    revision: u64,
    /// Watches can begin at or after this.
    oldest: u64,
}

impl MemoryStore {
    /// An empty store that remembers this many changes.
    pub fn new(history: usize) -> Self {
        let (changes, _) = broadcast::channel(BUFFER);
        Self { state: Mutex::default(), revision: AtomicU64::new(0), changes, history }
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write_now(&self, key: &ObjectKey, expect: Expect, object: Option<Value>) -> Result<u64, WriteError> {
        self.with(|state| {
            let found = state.objects.get(key);
            match (expect, found) {
                (Expect::Absent, Some(_)) => return Err(WriteError::Exists),
                (Expect::Revision(_), None) => return Err(WriteError::NotFound),
                (Expect::Revision(wanted), Some(stored)) if stored.revision != wanted => {
                    return Err(WriteError::Conflict { current: Some(stored.revision) });
                }
                _ => {}
            }
            let previous = found.map(|stored| Arc::clone(&stored.object));
            let current = object.map(Arc::new);
            state.revision += 1;
            let revision = state.revision;
            match &current {
                Some(object) => {
                    state.objects.insert(key.clone(), Stored { object: Arc::clone(object), revision })
                }
                None => state.objects.remove(key),
            };
            let change = Change { key: key.clone(), revision, previous, current };
            state.history.push_back(change.clone());
            while state.history.len() > self.history {
                if let Some(gone) = state.history.pop_front() {
                    state.oldest = gone.revision;
                }
            }
            self.revision.store(revision, Ordering::SeqCst);
            // Nobody watching is no error.
            let _ = self.changes.send(change);
            Ok(revision)
        })
    }

    fn watch_now(
        &self,
        id: &ResourceId,
        namespace: Option<&str>,
        after: u64,
    ) -> Result<ChangeStream, WatchError> {
        let id = id.clone();
        let namespace = namespace.map(str::to_owned);
        let wanted = move |change: &Change| {
            change.revision > after
                && change.key.resource == id
                && namespace
                    .as_deref()
                    .is_none_or(|namespace| change.key.namespace.as_deref() == Some(namespace))
        };
        self.with(|state| {
            if after < state.oldest {
                return Err(WatchError::Expired { oldest: state.oldest });
            }
            let past: Vec<Change> = state.history.iter().filter(|change| wanted(change)).cloned().collect();
            let receiver = self.changes.subscribe();
            let live = futures::stream::unfold(Some(receiver), |receiver| async move {
                let mut receiver = receiver?;
                match receiver.recv().await {
                    Ok(change) => Some((Ok(change), Some(receiver))),
                    Err(broadcast::error::RecvError::Lagged(_)) => Some((Err(WatchError::Lagged), None)),
                    Err(broadcast::error::RecvError::Closed) => None,
                }
            });
            let live = live.filter(move |item| std::future::ready(item.as_ref().map_or(true, &wanted)));
            Ok(futures::stream::iter(past.into_iter().map(Ok)).chain(live).boxed())
        })
    }
}

impl ObjectStore for MemoryStore {
    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        async move { Ok(self.with(|state| state.objects.get(key).cloned())) }.boxed()
    }

    fn list<'a>(
        &'a self,
        resource: &'a ResourceId,
        namespace: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        async move {
            Ok(self.with(|state| {
                let wanted = |key: &ObjectKey| {
                    key.resource == *resource
                        && namespace.is_none_or(|namespace| key.namespace.as_deref() == Some(namespace))
                };
                let items =
                    state.objects.iter().filter(|(key, _)| wanted(key)).map(|(k, s)| (k.clone(), s.clone()));
                Listing { items: items.collect(), revision: state.revision }
            }))
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        key: &'a ObjectKey,
        expect: Expect,
        object: Option<Value>,
    ) -> BoxFuture<'a, Result<u64, WriteError>> {
        async move { self.write_now(key, expect, object) }.boxed()
    }

    fn watch<'a>(
        &'a self,
        resource: &'a ResourceId,
        namespace: Option<&'a str>,
        after: u64,
    ) -> BoxFuture<'a, Result<ChangeStream, WatchError>> {
        async move { self.watch_now(resource, namespace, after) }.boxed()
    }

    fn current_revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }
}
