//! What the server adds to objects, keeps in them and checks before they are stored.

use serde_json::{Value, json};

use super::Call;
use crate::{
    metadata,
    registry::Resource,
    schema::validate,
    status::{ApiError, FieldError},
    store::{Expect, ObjectKey, ResourceId},
};

/// Whether nothing keeps an object that is being deleted.
pub(crate) fn may_go(object: &Value, resource: &Resource) -> bool {
    let held = resource.is_namespace()
        && object["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    metadata::finalizers(object).is_empty() && !held
}

/// Completes and checks an object that is to be created. Its name is in it afterwards.
pub(super) fn complete_new(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let options = &call.api.options;
    if !metadata::text(object, "resourceVersion").is_empty() {
        return Err(ApiError::version_on_create());
    }
    place(call, object)?;
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
        "resourceVersion",
        "generation",
    ] {
        metadata::set(object, field, Value::Null);
    }
    let uid = (options.uid)();
    let prefix = metadata::text(object, "generateName").to_owned();
    if metadata::text(object, "name").is_empty() && !prefix.is_empty() {
        let name = metadata::generated_name(&prefix, &uid);
        metadata::set(object, "name", json!(name));
    }
    metadata::set(object, "uid", json!(uid));
    metadata::set(object, "creationTimestamp", json!(options.now_text()));
    if !call.resource.is_builtin() {
        metadata::set(object, "generation", json!(1));
        if call.resource.status_subresource {
            object.as_object_mut().map(|fields| fields.remove("status"));
        }
    }
    (call.resource.hooks.prepare)(object, None);
    check(&call.resource, object, None)
}

/// Completes and checks an object that replaces `old`. Says whether anything but metadata changed, in `generation`.
pub(super) fn complete_changed(call: &Call, new: &mut Value, old: &Value) -> Result<(), ApiError> {
    let resource = &call.resource;
    place(call, new)?;
    match call.subresource() {
        Some("status") => {
            let mut merged = old.clone();
            copy(new, &mut merged, "status");
            if resource.is_builtin() {
                merged["metadata"] = new["metadata"].clone();
            }
            *new = merged;
        }
        Some(_) => copy(old, new, "status"),
        None if resource.status_subresource => copy(old, new, "status"),
        None => {}
    }
    for field in metadata::SYSTEM_FIELDS {
        metadata::set(new, field, old["metadata"][field].clone());
    }
    metadata::set(new, "resourceVersion", Value::Null);
    metadata::set(new, "managedFields", old["metadata"]["managedFields"].clone());
    if call.subresource().is_none() {
        (resource.hooks.prepare)(new, Some(old));
    }
    if !resource.is_builtin() && call.subresource().is_none() && differs(new, old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        metadata::set(new, "generation", json!(generation));
    }
    check(resource, new, Some(old))
}

/// Creation in a namespace needs the namespace, and it must not be on its way out.
pub(super) async fn namespace_must_be_active(call: &Call, name: &str) -> Result<(), ApiError> {
    let Some(namespace) = call.namespace() else { return Ok(()) };
    let id = ResourceId::new("", "namespaces");
    let Some(resource) = call.api.registry.by_id(&id) else { return Ok(()) };
    let key = ObjectKey { resource: id, namespace: None, name: namespace.to_owned() };
    match call.api.store.get(&key).await? {
        None => Err(ApiError::not_found(resource, namespace)),
        Some(stored) if metadata::is_deleting(&stored.object) => {
            Err(ApiError::namespace_terminating(&call.resource, name, namespace))
        }
        Some(_) => Ok(()),
    }
}

/// Stores `new` over `old`; an object that nothing keeps goes instead. Returns its revision; the old one if nothing changed.
pub(super) async fn store_changed(
    call: &Call,
    new: &Value,
    old: &Value,
    revision: u64,
    dry_run: bool,
) -> Result<u64, ApiError> {
    let leaves = metadata::is_deleting(new) && may_go(new, &call.resource);
    if dry_run || (*new == *old && !leaves) {
        return Ok(revision);
    }
    let key = call.key(call.name());
    let value = if leaves { None } else { Some(new.clone()) };
    let written = call.api.store.write(&key, Expect::Revision(revision), value).await;
    written.map_err(|error| ApiError::from_write(&error, &call.resource, call.name()))
}

/// The namespace (and, for existing objects, the name) of the body must be those of the path.
fn place(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let namespace = call.namespace().unwrap_or_default();
    match metadata::text(object, "namespace") {
        "" if call.resource.namespaced => metadata::set(object, "namespace", json!(namespace)),
        found if found == namespace => {}
        _ if !call.resource.namespaced => metadata::set(object, "namespace", Value::Null),
        _ => {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    Ok(())
}

fn copy(from: &Value, to: &mut Value, field: &str) {
    if let Some(fields) = to.as_object_mut() {
        match from.get(field) {
            Some(value) => fields.insert(field.to_owned(), value.clone()),
            None => fields.remove(field),
        };
    }
}

/// Whether anything but metadata differs.
fn differs(new: &Value, old: &Value) -> bool {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else { return true };
    let rest =
        |fields: &serde_json::Map<String, Value>| fields.keys().filter(|key| *key != "metadata").count();
    rest(new) != rest(old) || new.iter().any(|(key, value)| key != "metadata" && old.get(key) != Some(value))
}

fn check(resource: &Resource, new: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let mut errors: Vec<FieldError> = metadata::validate(new, old, resource);
    if !resource.is_builtin() {
        errors.extend(validate::validate(new, &resource.schema));
    }
    errors.extend((resource.hooks.validate)(new, old));
    if errors.is_empty() {
        return Ok(());
    }
    let name = metadata::text(new, "name");
    Err(ApiError::invalid_object(resource, name, &errors))
}
