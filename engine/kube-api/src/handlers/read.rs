//! `GET` of one object.

use axum::{http::StatusCode, response::Response};

use super::{Call, list, reply_object};
use crate::status::ApiError;

pub(super) async fn get(call: &Call) -> Result<Response, ApiError> {
    if let Some(asked) = list::revision(call.query.get("resourceVersion"))? {
        list::wait_for(call, asked).await?;
    }
    let stored = call.api.store.get(&call.key(call.name())).await?;
    let stored = stored.ok_or_else(|| ApiError::not_found(&call.resource, call.name()))?;
    Ok(reply_object(call, StatusCode::OK, &stored.object, stored.revision, &[]))
}
