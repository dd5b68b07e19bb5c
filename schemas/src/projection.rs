//! What of a Kubernetes object goes down to a node: the object without what the API server keeps
//! for itself, as canonical JSON (sorted keys, no white space). Equal projections mean that a node
//! has nothing new to learn.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::limits;

/// Names one object: `<plural>[.<group>]/<namespace>/<name>`; an empty namespace is cluster scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// API group, empty for the core group.
    pub group: String,
    /// Plural resource name, for example `devices`.
    pub plural: String,
    /// Namespace, empty for cluster scope.
    pub namespace: String,
    /// Object name.
    pub name: String,
}

impl ObjectKey {
    /// From its parts; nothing is checked beyond what [`FromStr`] checks.
    #[must_use]
    pub fn new(group: &str, plural: &str, namespace: &str, name: &str) -> Self {
        Self { group: group.into(), plural: plural.into(), namespace: namespace.into(), name: name.into() }
    }

    /// Key of a Device.
    #[must_use]
    pub fn device(namespace: &str, name: &str) -> Self {
        Self::new(DEVICES_GROUP, "devices", namespace, name)
    }

    /// Text that all keys of one resource begin with, for prefix scans.
    #[must_use]
    pub fn prefix(group: &str, plural: &str) -> String {
        if group.is_empty() { format!("{plural}/") } else { format!("{plural}.{group}/") }
    }
}

/// API group of Device, DeviceModel and DeviceStatus.
pub const DEVICES_GROUP: &str = "devices.kubeedge.io";

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", Self::prefix(&self.group, &self.plural), self.namespace, self.name)
    }
}

/// Text that is not an object key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("object key {0:?} is not <plural>[.<group>]/<namespace>/<name>")]
pub struct ObjectKeyError(String);

impl FromStr for ObjectKey {
    type Err = ObjectKeyError;
    fn from_str(s: &str) -> Result<Self, ObjectKeyError> {
        let parse = || {
            let mut parts = s.splitn(3, '/');
            let (resource, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
            let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
            (!plural.is_empty() && !name.is_empty() && !name.contains('/'))
                .then(|| Self::new(group, plural, namespace, name))
        };
        parse().ok_or_else(|| ObjectKeyError(s.to_owned()))
    }
}

/// An object that cannot go down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// Too large even without what stays in the cloud.
    #[error("object of {len} bytes is over the limit of {limit}: split it", limit = limits::OBJECT_BYTES)]
    TooLarge {
        /// Bytes of the projection.
        len: usize,
    },
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotAnObject,
}

/// Metadata that a node has a use for; everything else the API server keeps for itself.
const METADATA: [&str; 7] =
    ["name", "namespace", "uid", "labels", "annotations", "generation", "creationTimestamp"];

/// Annotation in which `kubectl apply` keeps a copy of what was typed; of no use to a node.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The projection of an object as canonical JSON.
pub fn project(object: &Value) -> Result<Vec<u8>, ProjectionError> {
    let source = object.as_object().ok_or(ProjectionError::NotAnObject)?;
    let mut out = serde_json::Map::new();
    for (key, value) in source {
        if key == "status" {
            continue;
        }
        let value = if key == "metadata" { project_metadata(value) } else { value.clone() };
        out.insert(key.clone(), value);
    }
    let bytes = canonical(&Value::Object(out));
    if bytes.len() > limits::OBJECT_BYTES {
        return Err(ProjectionError::TooLarge { len: bytes.len() });
    }
    Ok(bytes)
}

fn project_metadata(metadata: &Value) -> Value {
    let Some(source) = metadata.as_object() else { return Value::Null };
    let mut out = serde_json::Map::new();
    for name in METADATA {
        let Some(value) = source.get(name) else { continue };
        let mut value = value.clone();
        if let ("annotations", Some(annotations)) = (name, value.as_object_mut()) {
            annotations.remove(LAST_APPLIED);
            if annotations.is_empty() {
                continue;
            }
        }
        out.insert(name.to_owned(), value);
    }
    Value::Object(out)
}

/// Canonical JSON: keys sorted (`serde_json`'s map is ordered), no white space.
#[must_use]
pub fn canonical(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_api_server_keeps_for_itself_stays_there() {
        let spec = json!({"nodeName": "oslo"});
        let fresh = json!({"kind": "Device", "metadata": {"name": "a", "uid": "u"}, "spec": spec});
        let written = json!({
            "kind": "Device", "spec": spec, "status": {"state": "online"},
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "managedFields": [{}],
                         "annotations": {LAST_APPLIED: "{}"}},
        });
        assert_eq!(project(&fresh), project(&written));
        assert!(project(&json!([])).is_err());
    }

    #[test]
    fn keys_round_trip_through_text() {
        for text in ["devices.devices.kubeedge.io/dev/pump", "configmaps/default/a.b", "nodes//oslo"] {
            assert_eq!(text.parse::<ObjectKey>().map(|k| k.to_string()), Ok(text.to_owned()));
        }
        assert!("devices/x".parse::<ObjectKey>().is_err());
    }
}
