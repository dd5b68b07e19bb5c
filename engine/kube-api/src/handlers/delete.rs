//! `DELETE` of one object or of a collection.

use axum::{http::StatusCode, response::Response};
use serde_json::{Value, json};

use super::{Call, WRITE_ATTEMPTS, intake, lifecycle, list, reply_object};
use crate::{
    api::Api,
    decode, metadata,
    query::{Query, unsupported},
    registry::Resource,
    respond,
    status::ApiError,
    store::{Expect, ObjectKey, WriteError},
};

/// Finalizer while dependents lose their reference to an owner that leaves without them.
pub(crate) const ORPHAN: &str = "orphan";
/// Finalizer while dependents go before their owner.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Namespaces that always stay.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PropagationPolicy {
    /// They stay, without their reference.
    Orphan,
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
}

struct DeleteOptions {
    uid: Option<String>,
    version: Option<u64>,
    policy: PropagationPolicy,
    dry_run: bool,
}

/// What a deletion did.
pub(crate) enum Deleted {
    /// The object is gone.
    Gone(Value, u64),
    /// It waits for finalizers.
    Marked(Value, u64),
}

pub(super) async fn delete(call: &Call) -> Result<Response, ApiError> {
    let options = options(call)?;
    let (resource, name) = (&call.resource, call.name());
    if resource.is_namespace() && IMMORTAL.contains(&name) {
        return Err(ApiError::forbidden(resource, name, "this namespace may not be deleted"));
    }
    match remove(&call.api, resource, &call.key(name), &options).await? {
        Deleted::Marked(object, revision) => Ok(reply_object(call, StatusCode::OK, &object, revision, &[])),
        Deleted::Gone(object, _) => {
            let mut details =
                json!({ "name": name, "kind": resource.id.plural, "uid": metadata::text(&object, "uid") });
            if !resource.id.group.is_empty() {
                details["group"] = json!(resource.id.group);
            }
            let body = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details });
            Ok(respond::reply(StatusCode::OK, call.output, &body, &[]))
        }
    }
}

pub(super) async fn delete_collection(call: &Call) -> Result<Response, ApiError> {
    let options = options(call)?;
    let selected = list::selected(call).await?;
    let mut items = Vec::with_capacity(selected.items.len());
    for (key, _) in &selected.items {
        match remove(&call.api, &call.resource, key, &options).await {
            Ok(Deleted::Gone(object, revision) | Deleted::Marked(object, revision)) => {
                items.push(respond::with_version(&object, revision));
            }
            Err(error) if error.code() == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let body = json!({ "kind": call.resource.list_kind, "apiVersion": call.resource.api_version(),
        "metadata": { "resourceVersion": selected.revision.to_string() }, "items": items });
    Ok(respond::reply(
        StatusCode::OK,
        respond::Output { form: respond::Form::Whole, ..call.output },
        &body,
        &[],
    ))
}

/// Deletes an object, or begins to: what the background controllers do to dependents and contents.
pub(crate) async fn start_deletion(
    api: &Api,
    resource: &Resource,
    key: &ObjectKey,
    uid: &str,
    policy: PropagationPolicy,
) -> Result<Deleted, ApiError> {
    let options = DeleteOptions { uid: Some(uid.to_owned()), version: None, policy, dry_run: false };
    remove(api, resource, key, &options).await
}

async fn remove(
    api: &Api,
    resource: &Resource,
    key: &ObjectKey,
    options: &DeleteOptions,
) -> Result<Deleted, ApiError> {
    let name = &key.name;
    for _ in 0..WRITE_ATTEMPTS {
        let stored = api.store.get(key).await?.ok_or_else(|| ApiError::not_found(resource, name))?;
        let found = metadata::text(&stored.object, "uid");
        if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != found) {
            let why =
                format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
            return Err(ApiError::conflict(resource, name, &why));
        }
        if let Some(wanted) = options.version.filter(|wanted| *wanted != stored.revision) {
            let found = stored.revision;
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {found}"
            );
            return Err(ApiError::conflict(resource, name, &why));
        }
        let marked = marked(api, resource, &stored.object, options.policy);
        let goes = lifecycle::may_go(&marked, resource);
        let unchanged = !goes && marked == *stored.object;
        if options.dry_run || unchanged {
            let deleted = if goes { Deleted::Gone } else { Deleted::Marked };
            return Ok(deleted(marked, stored.revision));
        }
        let value = if goes { None } else { Some(marked.clone()) };
        match api.store.write(key, Expect::Revision(stored.revision), value).await {
            Ok(revision) if goes => return Ok(Deleted::Gone(stored.object.as_ref().clone(), revision)),
            Ok(revision) => return Ok(Deleted::Marked(marked, revision)),
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => return Err(ApiError::from_write(&error, resource, name)),
        }
    }
    Err(ApiError::modified(resource, name))
}

/// The object with its deletion begun.
fn marked(api: &Api, resource: &Resource, object: &Value, policy: PropagationPolicy) -> Value {
    let mut marked = object.clone();
    let mut finalizers: Vec<String> = metadata::finalizers(object).into_iter().map(str::to_owned).collect();
    finalizers.retain(|one| one != ORPHAN && one != FOREGROUND);
    match policy {
        PropagationPolicy::Orphan => finalizers.push(ORPHAN.to_owned()),
        PropagationPolicy::Foreground => finalizers.push(FOREGROUND.to_owned()),
        PropagationPolicy::Background => {}
    }
    metadata::set_finalizers(&mut marked, &finalizers);
    if !metadata::is_deleting(object) {
        metadata::set(&mut marked, "deletionTimestamp", json!(api.options.now_text()));
        if !resource.is_namespace() {
            metadata::set(&mut marked, "deletionGracePeriodSeconds", json!(0));
        }
        if let Some(generation) = object["metadata"]["generation"].as_i64() {
            metadata::set(&mut marked, "generation", json!(generation + 1));
        }
    }
    if resource.is_namespace() {
        marked["status"]["phase"] = json!("Terminating");
    }
    marked
}

/// The options of the body; of the query, if there is no body.
fn options(call: &Call) -> Result<DeleteOptions, ApiError> {
    let query: &Query = &call.query;
    let mut dry_run = query.dry_run("DeleteOptions")?;
    let body = if call.body.is_empty() {
        json!({ "propagationPolicy": query.get("propagationPolicy"), "orphanDependents": query.optional_flag("orphanDependents") })
    } else {
        let decoded = decode::decode(&call.body, intake::encoding(call)?, call.api.registry.delete_options());
        decoded.map_err(|error| ApiError::bad_request(error.to_string()))?.value
    };
    match body["dryRun"].as_array().map(Vec::as_slice).unwrap_or_default() {
        [] => {}
        [one] if one == "All" => dry_run = true,
        [first, ..] => {
            return Err(unsupported("DeleteOptions", "dryRun", first.as_str().unwrap_or_default(), &["All"]));
        }
    }
    let policy = match (body["propagationPolicy"].as_str(), body["orphanDependents"].as_bool()) {
        (Some(_), Some(_)) => {
            let error = crate::status::FieldError::invalid(
                "propagationPolicy",
                &body["propagationPolicy"],
                "orphanDependents and deletionPropagation cannot be both set",
            );
            return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &[error]));
        }
        (Some("Orphan"), _) | (None, Some(true)) => PropagationPolicy::Orphan,
        (Some("Foreground"), _) => PropagationPolicy::Foreground,
        (Some("Background"), _) | (None, _) => PropagationPolicy::Background,
        (Some(other), _) => {
            return Err(unsupported(
                "DeleteOptions",
                "propagationPolicy",
                other,
                &["Foreground", "Background", "Orphan", "nil"],
            ));
        }
    };
    let preconditions = &body["preconditions"];
    let version = match preconditions["resourceVersion"].as_str() {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(|_| {
            ApiError::bad_request(format!("preconditions.resourceVersion: {text:?} is not a number"))
        })?),
    };
    let uid = preconditions["uid"].as_str().filter(|uid| !uid.is_empty()).map(str::to_owned);
    Ok(DeleteOptions { uid, version, policy, dry_run })
}
