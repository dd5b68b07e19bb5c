//! `PATCH` of one object.

use axum::{http::StatusCode, response::Response};

use super::{Call, WRITE_ATTEMPTS, intake, lifecycle, reply_object, update};
use crate::{
    metadata,
    patch::{JSON_PATCH, MERGE_PATCH, Patch, PatchError, STRATEGIC_PATCH},
    respond,
    status::ApiError,
};

pub(super) async fn patch(call: &Call) -> Result<Response, ApiError> {
    let dry_run = call.query.dry_run("PatchOptions")?;
    let validation = call.query.field_validation("PatchOptions")?;
    let patch = read(call)?;
    let name = call.name();
    for attempt in 1.. {
        let stored = call.api.store.get(&call.key(name)).await?;
        let stored = stored.ok_or_else(|| ApiError::not_found(&call.resource, name))?;
        let before = respond::with_version(&stored.object, stored.revision);
        let mut new = patch.apply(&before, &call.resource.schema).map_err(|error| match error {
            PatchError::Apply(why) => {
                tracing::debug!(object = %call.key(name), %why, "patch does not fit");
                ApiError::unprocessable_patch()
            }
            other => ApiError::bad_request(other.to_string()),
        })?;
        if !new.is_object() {
            return Err(ApiError::unprocessable_patch());
        }
        for field in ["apiVersion", "kind"] {
            if new[field] != before[field] {
                let why = format!("{field} cannot be changed by a patch");
                return Err(ApiError::bad_request(why));
            }
        }
        let warnings = intake::shape_patched(&mut new, &call.resource, validation, &call.body)?;
        if metadata::text(&new, "resourceVersion").is_empty() {
            metadata::set(&mut new, "resourceVersion", before["metadata"]["resourceVersion"].clone());
        }
        update::preconditions(call, &new, &stored.object, stored.revision)?;
        lifecycle::complete_changed(call, &mut new, &stored.object)?;
        match lifecycle::store_changed(call, &new, &stored.object, stored.revision, dry_run).await {
            Ok(revision) => return Ok(reply_object(call, StatusCode::OK, &new, revision, &warnings)),
            Err(error) if error.reason() == "Conflict" && attempt < WRITE_ATTEMPTS => {}
            Err(error) => return Err(error),
        }
    }
    Err(ApiError::modified(&call.resource, name))
}

/// The patch in the body; 415 for media types that the resource does not take.
fn read(call: &Call) -> Result<Patch, ApiError> {
    let strategic = call.resource.is_builtin();
    let media_types: &[&str] =
        if strategic { &[JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH] } else { &[JSON_PATCH, MERGE_PATCH] };
    let media_type = call.content_type();
    if !media_types.contains(&media_type) {
        return Err(ApiError::unsupported_media_type(media_types));
    }
    let read =
        Patch::read(media_type, &call.body).ok_or_else(|| ApiError::unsupported_media_type(media_types))?;
    read.map_err(|error| match error {
        PatchError::TooMany(_) => ApiError::too_large_patch(&error.to_string()),
        other => ApiError::bad_request(other.to_string()),
    })
}
