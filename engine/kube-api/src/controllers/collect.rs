//! Looks at one object and does what is due.

use serde_json::{Value, json};

use super::{Graph, finalizers_without};
use crate::{
    api::Api,
    handlers::{FOREGROUND, ORPHAN, PropagationPolicy, may_go, start_deletion},
    metadata, metric_definitions as names,
    registry::Resource,
    status::ApiError,
    store::{Expect, ObjectKey, Stored},
};

/// Deletes the object if its owners are gone, and goes on with its deletion if that has begun.
pub(super) async fn look_at(api: &Api, graph: &Graph, key: &ObjectKey) -> Result<(), ApiError> {
    let Some(resource) = api.registry.by_id(&key.resource) else { return Ok(()) };
    let Some(stored) = api.store.get(key).await? else { return Ok(()) };
    if metadata::is_deleting(&stored.object) {
        let finalizers = metadata::finalizers(&stored.object);
        if resource.is_namespace() && !stored.object["spec"]["finalizers"].is_null() {
            return empty_namespace(api, resource, key, &stored).await;
        }
        if finalizers.contains(&ORPHAN) {
            return orphan(api, graph, resource, key, &stored).await;
        }
        if finalizers.contains(&FOREGROUND) {
            return foreground(api, graph, resource, key, &stored).await;
        }
        return Ok(());
    }
    check_owners(api, resource, key, &stored).await
}

async fn check_owners(
    api: &Api,
    resource: &Resource,
    key: &ObjectKey,
    stored: &Stored,
) -> Result<(), ApiError> {
    let owners = owners(&stored.object);
    if owners.is_empty() {
        return Ok(());
    }
    let mut present = Vec::with_capacity(owners.len());
    for owner in &owners {
        if exists(api, key, owner).await? {
            present.push(owner.clone());
        }
    }
    if present.len() == owners.len() {
        return Ok(());
    }
    if present.is_empty() {
        let uid = metadata::text(&stored.object, "uid");
        delete(api, resource, key, uid, PropagationPolicy::Background, "owner").await
    } else {
        let mut object = stored.object.as_ref().clone();
        metadata::set(&mut object, "ownerReferences", json!(present));
        write(api, resource, key, stored, object).await
    }
}

/// Whether an owner is there. An owner of a kind that is not served here is taken to be.
async fn exists(api: &Api, dependent: &ObjectKey, owner: &Value) -> Result<bool, ApiError> {
    let text = |field: &str| owner[field].as_str().unwrap_or_default();
    let Some(resource) = api.registry.by_kind(text("apiVersion"), text("kind")) else { return Ok(true) };
    let namespace = if resource.namespaced { dependent.namespace.clone() } else { None };
    let key = ObjectKey { resource: resource.id.clone(), namespace, name: text("name").to_owned() };
    let found = api.store.get(&key).await?;
    Ok(found.is_some_and(|stored| metadata::text(&stored.object, "uid") == text("uid")))
}

async fn empty_namespace(
    api: &Api,
    resource: &Resource,
    key: &ObjectKey,
    stored: &Stored,
) -> Result<(), ApiError> {
    let mut left = 0;
    for inside in api.registry.resources().filter(|resource| resource.namespaced) {
        let listing = api.store.list(&inside.id, Some(&key.name)).await?;
        for (inner, stored) in listing.items {
            left += 1;
            let uid = metadata::text(&stored.object, "uid");
            if !metadata::is_deleting(&stored.object) {
                delete(api, inside, &inner, uid, PropagationPolicy::Background, "namespace").await?;
            }
        }
    }
    if left > 0 {
        // The deletion of the last object brings us back here.
        return Ok(());
    }
    let mut object = stored.object.as_ref().clone();
    let kept: Vec<Value> = object["spec"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| *one != crate::registry::NAMESPACE_FINALIZER)
        .cloned()
        .collect();
    if kept.is_empty() {
        object["spec"] = json!({});
    } else {
        object["spec"]["finalizers"] = json!(kept);
    }
    write(api, resource, key, stored, object).await
}

async fn orphan(
    api: &Api,
    graph: &Graph,
    resource: &Resource,
    key: &ObjectKey,
    stored: &Stored,
) -> Result<(), ApiError> {
    let uid = metadata::text(&stored.object, "uid");
    for dependent in graph.dependents(uid) {
        let Some(inner) = api.registry.by_id(&dependent.resource) else { continue };
        let Some(found) = api.store.get(&dependent).await? else { continue };
        let mut kept = owners(&found.object);
        kept.retain(|owner| owner["uid"] != uid);
        let mut object = found.object.as_ref().clone();
        metadata::set(
            &mut object,
            "ownerReferences",
            if kept.is_empty() { Value::Null } else { json!(kept) },
        );
        write(api, inner, &dependent, &found, object).await?;
    }
    let mut object = stored.object.as_ref().clone();
    metadata::set_finalizers(&mut object, &finalizers_without(&stored.object, ORPHAN));
    write(api, resource, key, stored, object).await
}

async fn foreground(
    api: &Api,
    graph: &Graph,
    resource: &Resource,
    key: &ObjectKey,
    stored: &Stored,
) -> Result<(), ApiError> {
    let uid = metadata::text(&stored.object, "uid");
    let mut blocked = false;
    for dependent in graph.dependents(uid) {
        let Some(inner) = api.registry.by_id(&dependent.resource) else { continue };
        let Some(found) = api.store.get(&dependent).await? else { continue };
        blocked |= owners(&found.object)
            .iter()
            .any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == true);
        if !metadata::is_deleting(&found.object) {
            let inner_uid = metadata::text(&found.object, "uid");
            delete(api, inner, &dependent, inner_uid, PropagationPolicy::Foreground, "owner").await?;
        }
    }
    if blocked {
        // The deletion of the dependents brings us back here.
        return Ok(());
    }
    let mut object = stored.object.as_ref().clone();
    metadata::set_finalizers(&mut object, &finalizers_without(&stored.object, FOREGROUND));
    write(api, resource, key, stored, object).await
}

fn owners(object: &Value) -> Vec<Value> {
    object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default()
}

async fn delete(
    api: &Api,
    resource: &Resource,
    key: &ObjectKey,
    uid: &str,
    policy: PropagationPolicy,
    reason: &'static str,
) -> Result<(), ApiError> {
    match start_deletion(api, resource, key, uid, policy).await {
        Ok(_) => {
            metrics::counter!(names::COLLECTED, "reason" => reason).increment(1);
            Ok(())
        }
        // Gone already, or another object by now.
        Err(error) if error.code() == 404 || error.code() == 409 => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes the object unless it changed since; one that is being deleted and kept by nothing goes.
async fn write(
    api: &Api,
    resource: &Resource,
    key: &ObjectKey,
    stored: &Stored,
    object: Value,
) -> Result<(), ApiError> {
    let goes = metadata::is_deleting(&object) && may_go(&object, resource);
    let value = if goes { None } else { Some(object) };
    let written = api.store.write(key, Expect::Revision(stored.revision), value).await;
    written.map(|_| ()).map_err(|error| ApiError::from_write(&error, resource, &key.name))
}
