//! Keys of the API's objects as the log writes them, and back.

use ledge_core::view::cluster::OBJECT;
use ledge_kube_api::store::{ObjectKey, ResourceId};
use ledge_schemas::projection;

/// The event key of an object.
pub(super) fn event_key(key: &ObjectKey) -> String {
    let namespace = key.namespace.as_deref().unwrap_or_default();
    format!(
        "{}{namespace}/{}",
        projection::ObjectKey::prefix(&key.resource.group, &key.resource.plural),
        key.name
    )
}

/// What the event keys of a resource (in one namespace, if given) begin with.
pub(super) fn event_prefix(resource: &ResourceId, namespace: Option<&str>) -> String {
    let mut prefix = projection::ObjectKey::prefix(&resource.group, &resource.plural);
    if let Some(namespace) = namespace {
        prefix.push_str(namespace);
        prefix.push('/');
    }
    prefix
}

/// The row key of an event key.
pub(super) fn row_key(event_key: &str) -> Vec<u8> {
    format!("{OBJECT}{event_key}").into_bytes()
}

/// The object that an event key names.
pub(super) fn object_key(event_key: &str) -> Option<ObjectKey> {
    let key: projection::ObjectKey = event_key.parse().ok()?;
    let namespace = (!key.namespace.is_empty()).then_some(key.namespace);
    Some(ObjectKey { resource: ResourceId::new(key.group, key.plural), namespace, name: key.name })
}
