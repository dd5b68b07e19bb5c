//! What the API wants of every node, kept from watches: pure bookkeeping.
//!
//! A Device goes to the node in `spec.nodeName`, with the DeviceModel that it refers to. A change marks
//! the keys that it concerns, per node; [`Desired::take`] hands them to a pass.

use std::collections::{BTreeMap, BTreeSet};

use ledge_core::desired::{Gone, Held, Wanted};
use ledge_schemas::kinds::down::RemovalReason;
use ledge_schemas::projection::{ObjectKey, project};
use ledge_schemas::{Cause, DeviceName, NodeName, Position, StreamId};
use serde_json::Value;

use super::client::Kind;
use crate::metric_definitions as names;

/// A Device, as far as placement and status need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) uid: String,
    pub(super) node: Option<NodeName>,
    model: Option<String>,
    wanted: Wanted,
}

/// What a pass over a node has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Every object of the node.
    All,
    /// These.
    Keys(BTreeSet<String>),
}

#[derive(Debug, Default)]
struct Work {
    all: bool,
    keys: BTreeSet<String>,
    /// Deletions that were recorded and that no pass has carried out yet.
    deleted: BTreeMap<String, Gone>,
    held: BTreeMap<String, Held>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Desired {
    devices: BTreeMap<String, Device>,
    models: BTreeMap<String, Wanted>,
    by_node: BTreeMap<NodeName, BTreeSet<String>>,
    by_model: BTreeMap<String, BTreeSet<String>>,
    work: BTreeMap<NodeName, Work>,
    /// Keys seen in lists that are under way.
    listing: BTreeMap<Kind, BTreeSet<String>>,
    complete: BTreeSet<Kind>,
}

/// What concerns others after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// Nodes that a pass is due for.
    pub(super) nodes: BTreeSet<NodeName>,
    /// Devices whose status may have to be written.
    pub(super) devices: BTreeSet<DeviceName>,
}

impl Desired {
    /// Both lists are complete.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.len() == 2
    }

    pub(super) fn device(&self, device: &DeviceName) -> Option<&Device> {
        self.devices.get(&Kind::Device.key(&device.namespace, &device.name).to_string())
    }

    /// Whether the API has the object, on whatever node.
    pub(super) fn has(&self, key: &str) -> bool {
        self.devices.contains_key(key) || self.models.contains_key(key)
    }

    /// Whether its deletion was recorded and not carried out on this node.
    pub(super) fn is_deleted(&self, node: &NodeName, key: &str) -> bool {
        self.work.get(node).is_some_and(|work| work.deleted.contains_key(key))
    }

    pub(super) fn held(&self, node: &NodeName) -> usize {
        self.work.get(node).map_or(0, |work| work.held.len())
    }

    pub(super) fn all_held(&self) -> usize {
        self.work.values().map(|work| work.held.len()).sum()
    }

    /// Notes what a pass held back; `true` if that is news.
    pub(super) fn set_held(&mut self, node: &NodeName, scope: &Scope, held: BTreeMap<String, Held>) -> bool {
        let work = self.work.entry(node.clone()).or_default();
        let before = work.held.clone();
        match scope {
            Scope::All => work.held = held,
            Scope::Keys(keys) => {
                work.held.retain(|key, _| !keys.contains(key));
                work.held.extend(held);
            }
        }
        work.held != before
    }

    /// A list begins.
    pub(super) fn begin(&mut self, kind: Kind) {
        self.listing.insert(kind, BTreeSet::new());
    }

    /// A list is complete: what it does not hold is not there, and nothing says why.
    pub(super) fn end(&mut self, kind: Kind) -> Touched {
        let mut touched = Touched::default();
        let Some(listed) = self.listing.remove(&kind) else { return touched };
        let all: Vec<String> = match kind {
            Kind::DeviceModel => self.models.keys().cloned().collect(),
            _ => self.devices.keys().cloned().collect(),
        };
        for key in all.into_iter().filter(|key| !listed.contains(key)) {
            self.forget(kind, &key, None, &mut touched);
        }
        self.complete.insert(kind);
        for node in self.by_node.keys().chain(self.work.keys()) {
            touched.nodes.insert(node.clone());
        }
        for node in &touched.nodes {
            self.work.entry(node.clone()).or_default().all = true;
        }
        touched
    }

    /// An object is there, like this.
    pub(super) fn apply(&mut self, kind: Kind, namespace: &str, name: &str, object: &Value) -> Touched {
        let key = kind.key(namespace, name).to_string();
        if let Some(listed) = self.listing.get_mut(&kind) {
            listed.insert(key.clone());
        }
        let wanted = wanted(object);
        let mut touched = Touched::default();
        if kind == Kind::DeviceModel {
            if self.models.insert(key.clone(), wanted.clone()) != Some(wanted) {
                self.touch_model(&key, &mut touched);
            }
            return touched;
        }
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let model = text("/spec/deviceModelRef/name");
        let device = Device {
            uid: text("/metadata/uid").unwrap_or_default().to_owned(),
            // A node name that cannot be is no node's.
            node: text("/spec/nodeName").and_then(|node| NodeName::new(node).ok()),
            model: model.map(|model| Kind::DeviceModel.key(namespace, model).to_string()),
            wanted,
        };
        let old = self.devices.insert(key.clone(), device.clone());
        if old.as_ref() == Some(&device) {
            return touched;
        }
        if let Some(old) = old {
            self.unlink(&key, &old, &mut touched);
        }
        if let Some(node) = &device.node {
            self.by_node.entry(node.clone()).or_default().insert(key.clone());
            self.touch(node, &key, &mut touched);
            device.model.iter().for_each(|model| self.touch(node, model, &mut touched));
        }
        if let Some(model) = device.model {
            self.by_model.entry(model).or_default().insert(key);
        }
        touched.devices.extend(DeviceName::new(namespace, name).ok());
        touched
    }

    /// An object was deleted: this is on record.
    pub(super) fn delete(&mut self, kind: Kind, namespace: &str, name: &str, object: &Value) -> Touched {
        let mut touched = Touched::default();
        let gone = Gone { reason: RemovalReason::Deleted, cause: wanted(object).cause };
        self.forget(kind, &kind.key(namespace, name).to_string(), Some(gone), &mut touched);
        touched
    }

    fn forget(&mut self, kind: Kind, key: &str, gone: Option<Gone>, touched: &mut Touched) {
        let nodes: BTreeSet<NodeName> = if kind == Kind::DeviceModel {
            self.models.remove(key);
            self.touch_model(key, touched)
        } else {
            let Some(device) = self.devices.remove(key) else { return };
            self.unlink(key, &device, touched);
            device.node.into_iter().collect()
        };
        for node in nodes {
            let work = self.work.entry(node).or_default();
            match &gone {
                Some(gone) => drop(work.deleted.insert(key.to_owned(), gone.clone())),
                None => work.all = true,
            }
        }
    }

    fn unlink(&mut self, key: &str, device: &Device, touched: &mut Touched) {
        if let Some(node) = &device.node {
            if let Some(devices) = self.by_node.get_mut(node) {
                devices.remove(key);
            }
            self.touch(node, key, touched);
            device.model.iter().for_each(|model| self.touch(node, model, touched));
        }
        let by_model = device.model.as_ref().and_then(|model| self.by_model.get_mut(model));
        if let Some(devices) = by_model {
            devices.remove(key);
        }
    }

    fn touch(&mut self, node: &NodeName, key: &str, touched: &mut Touched) {
        let work = self.work.entry(node.clone()).or_default();
        work.keys.insert(key.to_owned());
        touched.nodes.insert(node.clone());
    }

    fn touch_model(&mut self, model: &str, touched: &mut Touched) -> BTreeSet<NodeName> {
        let devices = self.by_model.get(model).into_iter().flatten();
        let nodes: BTreeSet<NodeName> =
            devices.filter_map(|key| self.devices.get(key)?.node.clone()).collect();
        nodes.iter().for_each(|node| self.touch(node, model, touched));
        nodes
    }

    /// Everything of a node is due for a look.
    pub(super) fn look_at_all(&mut self, node: &NodeName) {
        self.work.entry(node.clone()).or_default().all = true;
    }

    /// What a pass is to look at; `None` if there is nothing, or no complete list yet.
    pub(super) fn take(&mut self, node: &NodeName) -> Option<Scope> {
        if !self.is_complete() {
            return None;
        }
        let work = self.work.get_mut(node)?;
        let keys = std::mem::take(&mut work.keys);
        match std::mem::take(&mut work.all) {
            true => Some(Scope::All),
            false if keys.is_empty() => None,
            false => Some(Scope::Keys(keys)),
        }
    }

    /// Puts back what a pass could not do.
    pub(super) fn give_back(&mut self, node: &NodeName, scope: Scope) {
        let work = self.work.entry(node.clone()).or_default();
        match scope {
            Scope::All => work.all = true,
            Scope::Keys(keys) => work.keys.extend(keys),
        }
    }

    /// Recorded deletions were carried out.
    pub(super) fn carried_out<'a>(&mut self, node: &NodeName, keys: impl Iterator<Item = &'a String>) {
        if let Some(work) = self.work.get_mut(node) {
            keys.for_each(|key| drop(work.deleted.remove(key)));
        }
    }

    /// What the node is to have, within a scope.
    pub(super) fn wanted(&self, node: &NodeName, scope: &Scope) -> BTreeMap<String, Wanted> {
        let of_node = self.by_node.get(node);
        let mut wanted = BTreeMap::new();
        for key in of_node.into_iter().flatten() {
            let Some(device) = self.devices.get(key) else { continue };
            let model = device.model.as_ref().and_then(|key| self.models.get_key_value(key));
            for (key, object) in model.into_iter().chain([(key, &device.wanted)]) {
                if scope.holds(key) && !wanted.contains_key(key) {
                    wanted.insert(key.clone(), object.clone());
                }
            }
        }
        wanted
    }

    /// What is on record about objects that the node has and is not to have.
    pub(super) fn gone<'a>(
        &self,
        node: &NodeName,
        unwanted: impl Iterator<Item = &'a String>,
    ) -> BTreeMap<String, Gone> {
        let deleted = self.work.get(node).map(|work| &work.deleted);
        let evidence = |key: &String| {
            let elsewhere =
                self.devices.get(key).map(|device| &device.wanted).or_else(|| self.models.get(key));
            match elsewhere {
                Some(wanted) => Some(Gone { reason: RemovalReason::Moved, cause: wanted.cause.clone() }),
                None => deleted?.get(key).cloned(),
            }
        };
        unwanted.filter_map(|key| Some((key.clone(), evidence(key)?))).collect()
    }
}

impl Scope {
    pub(super) fn holds(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Keys(keys) => keys.contains(key),
        }
    }
}

/// An object's projection, and where it was written.
fn wanted(object: &Value) -> Wanted {
    let revision = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    let position = revision.and_then(|text| text.parse().ok()).and_then(Position::from_revision);
    let cause = position.map(|position| Cause { stream: StreamId::Cluster, position });
    let object = project(object).inspect_err(|error| {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        tracing::warn!(name, %error, "an object cannot go down to its node");
        metrics::counter!(names::UNPROJECTABLE).increment(1);
    });
    Wanted { object: object.ok(), cause }
}

/// The key of a `down` row's object, as text.
pub(super) fn parse_key(key: &str) -> Option<ObjectKey> {
    key.parse().ok()
}
