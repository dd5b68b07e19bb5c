//! What all requests share: store, registry, options, and the lists that are being read page by page.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    options::Options,
    registry::Registry,
    store::{Listing, ObjectStore, ResourceId},
};

/// Most lists kept for readers of pages; the oldest goes first.
const MAX_SNAPSHOTS: usize = 32;

/// A server over one store; cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) options: Arc<Options>,
    snapshots: Arc<Mutex<VecDeque<Snapshot>>>,
}

struct Snapshot {
    resource: ResourceId,
    namespace: Option<String>,
    listing: Arc<Listing>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Api {
    /// A server of the registry's resources, kept in `store`.
    pub fn new(store: Arc<dyn ObjectStore>, registry: Arc<Registry>, options: Options) -> Self {
        Self { store, registry, options: Arc::new(options), snapshots: Arc::default() }
    }

    /// Keeps a list for the readers of its further pages.
    pub(crate) fn keep(&self, resource: &ResourceId, namespace: Option<&str>, listing: &Arc<Listing>) {
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |s: &Snapshot| {
            s.listing.revision == listing.revision
                && s.resource == *resource
                && s.namespace.as_deref() == namespace
        };
        if snapshots.iter().any(same) {
            return;
        }
        if snapshots.len() >= MAX_SNAPSHOTS {
            snapshots.pop_front();
        }
        let (resource, namespace) = (resource.clone(), namespace.map(str::to_owned));
        snapshots.push_back(Snapshot { resource, namespace, listing: Arc::clone(listing) });
    }

    /// The list as it was at exactly `revision`, if it is still kept.
    pub(crate) fn kept(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        revision: u64,
    ) -> Option<Arc<Listing>> {
        let snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let found = snapshots.iter().find(|s| {
            s.listing.revision == revision && s.resource == *resource && s.namespace.as_deref() == namespace
        });
        found.map(|snapshot| Arc::clone(&snapshot.listing))
    }
}
