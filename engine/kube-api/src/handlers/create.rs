//! `POST` to a collection.

use axum::{http::StatusCode, response::Response};
use serde_json::Value;

use super::{Call, intake, lifecycle, reply_object};
use crate::{
    metadata,
    status::ApiError,
    store::{Expect, WriteError},
};

/// How often a generated name that is taken is made anew.
const NAME_ATTEMPTS: usize = 8;

pub(super) async fn create(call: &Call) -> Result<Response, ApiError> {
    let dry_run = call.query.dry_run("CreateOptions")?;
    let taken = intake::take(call, "CreateOptions")?;
    let (object, revision) = store_new(call, taken.object, dry_run).await?;
    Ok(reply_object(call, StatusCode::CREATED, &object, revision, &taken.warnings))
}

/// Completes, checks and stores a new object.
pub(super) async fn store_new(call: &Call, object: Value, dry_run: bool) -> Result<(Value, u64), ApiError> {
    let resource = &call.resource;
    lifecycle::namespace_must_be_active(call, metadata::text(&object, "name")).await?;
    let generated = metadata::text(&object, "name").is_empty();
    for attempt in 1.. {
        let mut new = object.clone();
        lifecycle::complete_new(call, &mut new)?;
        let name = metadata::text(&new, "name").to_owned();
        let key = call.key(&name);
        if dry_run {
            return match call.api.store.get(&key).await? {
                Some(_) => Err(ApiError::already_exists(resource, &name)),
                None => Ok((new, 0)),
            };
        }
        match call.api.store.write(&key, Expect::Absent, Some(new.clone())).await {
            Ok(revision) => return Ok((new, revision)),
            Err(WriteError::Exists) if generated && attempt < NAME_ATTEMPTS => {}
            Err(error) => return Err(ApiError::from_write(&error, resource, &name)),
        }
    }
    Err(ApiError::already_exists(resource, metadata::text(&object, "generateName")))
}
