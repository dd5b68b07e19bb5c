//! `PUT` of one object.

use axum::{http::StatusCode, response::Response};
use serde_json::Value;

use super::{Call, WRITE_ATTEMPTS, intake, lifecycle, reply_object};
use crate::{
    metadata,
    status::{ApiError, FieldError},
};

pub(super) async fn replace(call: &Call) -> Result<Response, ApiError> {
    let dry_run = call.query.dry_run("UpdateOptions")?;
    let taken = intake::take(call, "UpdateOptions")?;
    let name = metadata::text(&taken.object, "name");
    if name.is_empty() {
        let error = FieldError::required("metadata.name", "name or generateName is required");
        return Err(ApiError::invalid_object(&call.resource, name, &[error]));
    }
    if name != call.name() {
        let (url, resource) = (call.name(), &call.resource);
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({url}) of {}",
            resource.id
        )));
    }
    for attempt in 1.. {
        let stored = call.api.store.get(&call.key(name)).await?;
        let stored = stored.ok_or_else(|| ApiError::not_found(&call.resource, name))?;
        let conditional = preconditions(call, &taken.object, &stored.object, stored.revision)?;
        let mut new = taken.object.clone();
        lifecycle::complete_changed(call, &mut new, &stored.object)?;
        match lifecycle::store_changed(call, &new, &stored.object, stored.revision, dry_run).await {
            Ok(revision) => return Ok(reply_object(call, StatusCode::OK, &new, revision, &taken.warnings)),
            Err(error) if error.reason() == "Conflict" && !conditional && attempt < WRITE_ATTEMPTS => {}
            Err(error) => return Err(error),
        }
    }
    Err(ApiError::modified(&call.resource, name))
}

/// Checks `uid` and `resourceVersion` of an object from outside; says whether it names the version that it replaces.
pub(super) fn preconditions(call: &Call, new: &Value, old: &Value, revision: u64) -> Result<bool, ApiError> {
    let (resource, name) = (&call.resource, call.name());
    let (wanted, found) = (metadata::text(new, "uid"), metadata::text(old, "uid"));
    if !wanted.is_empty() && wanted != found {
        let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
        return Err(ApiError::conflict(resource, name, &why));
    }
    match metadata::text(new, "resourceVersion") {
        "" | "0" if resource.is_builtin() => Ok(false),
        "" | "0" => {
            let error = FieldError::invalid(
                "metadata.resourceVersion",
                &Value::from(0),
                "must be specified for an update",
            );
            Err(ApiError::invalid_object(resource, name, &[error]))
        }
        version => match version.parse::<u64>() {
            Ok(version) if version == revision => Ok(true),
            Ok(_) => Err(ApiError::modified(resource, name)),
            Err(_) => {
                let value = Value::from(version);
                let error = FieldError::invalid("metadata.resourceVersion", &value, "must be a number");
                Err(ApiError::invalid_object(resource, name, &[error]))
            }
        },
    }
}
