//! Who owns whom, as far as the changes seen so far tell.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    metadata,
    store::{Change, ObjectKey, ResourceId},
};

#[derive(Debug)]
struct Entry {
    uid: String,
    owners: Vec<String>,
}

/// Objects by key, and dependents by the owner's UID.
#[derive(Debug, Default)]
pub(super) struct Graph {
    objects: BTreeMap<ObjectKey, Entry>,
    by_uid: BTreeMap<String, ObjectKey>,
    dependents: BTreeMap<String, BTreeSet<ObjectKey>>,
}

impl Graph {
    pub(super) fn put(&mut self, key: &ObjectKey, object: &Value) {
        self.remove(key);
        let uid = metadata::text(object, "uid").to_owned();
        let owners: Vec<String> = owner_uids(object).map(str::to_owned).collect();
        for owner in &owners {
            self.dependents.entry(owner.clone()).or_default().insert(key.clone());
        }
        self.by_uid.insert(uid.clone(), key.clone());
        self.objects.insert(key.clone(), Entry { uid, owners });
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) {
        let Some(entry) = self.objects.remove(key) else { return };
        self.by_uid.remove(&entry.uid);
        for owner in entry.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner) {
                dependents.remove(key);
                if dependents.is_empty() {
                    self.dependents.remove(&owner);
                }
            }
        }
    }

    pub(super) fn contains(&self, key: &ObjectKey) -> bool {
        self.objects.contains_key(key)
    }

    /// Objects that name `uid` as an owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<ObjectKey> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Objects to look at after a change.
    pub(super) fn concerned(&self, change: &Change) -> Vec<ObjectKey> {
        let mut keys = Vec::new();
        if let Some(object) = &change.current
            && (owner_uids(object).next().is_some() || metadata::is_deleting(object))
        {
            keys.push(change.key.clone());
        }
        if let Some(before) = &change.previous {
            // An owner that waits for its dependents, and dependents of an owner that went.
            keys.extend(owner_uids(before).filter_map(|uid| self.by_uid.get(uid).cloned()));
            if change.current.is_none() {
                keys.extend(self.dependents(metadata::text(before, "uid")));
                keys.extend(change.key.namespace.clone().map(|name| ObjectKey {
                    resource: ResourceId::new("", "namespaces"),
                    namespace: None,
                    name,
                }));
            }
        }
        keys
    }
}

fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}
