//! Errors as clients see them: `Status` objects with the code, reason, message and details of a Kubernetes API server.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    registry::Resource,
    store::{StoreError, WatchError, WriteError},
};

/// Seconds that clients are asked to wait when the store is not available.
const RETRY_SECONDS: u32 = 1;

/// One wrong field: a cause in the details of an `Invalid` status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path such as `spec.properties[0].type`.
    pub field: String,
    /// Kind of the error, such as `FieldValueInvalid`.
    pub reason: &'static str,
    /// What is wrong, without the path.
    pub message: String,
}

impl FieldError {
    fn new(field: impl Into<String>, reason: &'static str, message: String) -> Self {
        Self { field: field.into(), reason, message }
    }

    /// The value is of the right type and still wrong.
    pub fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self::new(field, "FieldValueInvalid", format!("Invalid value: {}: {why}", shown(value)))
    }

    /// The value is of the wrong type: `type_name` stands where the value would.
    pub fn type_invalid(field: impl Into<String>, type_name: &str, why: &str) -> Self {
        Self::new(field, "FieldValueTypeInvalid", format!("Invalid value: {type_name:?}: {why}"))
    }

    /// The value must be present; `why` may be empty.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self::new(field, "FieldValueRequired", message)
    }

    /// The value is none of those that there are.
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[Value]) -> Self {
        let list = supported.iter().map(shown).collect::<Vec<_>>().join(", ");
        let message = format!("Unsupported value: {}: supported values: {list}", shown(value));
        Self::new(field, "FieldValueNotSupported", message)
    }

    /// The value is there already.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new(field, "FieldValueDuplicate", format!("Duplicate value: {}", shown(value)))
    }

    /// The value must not be given.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self::new(field, "FieldValueForbidden", format!("Forbidden: {why}"))
    }

    /// Longer than `max` bytes.
    pub fn too_long(field: impl Into<String>, max: usize) -> Self {
        Self::new(field, "FieldValueTooLong", format!("Too long: may not be more than {max} bytes"))
    }

    /// More than `max` items.
    pub fn too_many(field: impl Into<String>, actual: usize, max: usize) -> Self {
        Self::new(field, "FieldValueTooMany", format!("Too many: {actual}: must have at most {max} items"))
    }
}

/// A value as messages show it: text quoted, anything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// An error response.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    retry_after: Option<u32>,
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, retry_after: None }
    }

    fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// HTTP status code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason, one word.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: nobody knows who asks.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 with the object (or "" for none) and why.
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let id = &resource.id;
        let what = if name.is_empty() { id.to_string() } else { format!("{id} {name:?}") };
        Self::new(403, "Forbidden", format!("{what} is forbidden: {why}"))
            .with_details(details(resource, name))
    }

    /// 403: the namespace is being deleted.
    pub fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut error = Self::forbidden(resource, name, &why);
        if let Some(details) = &mut error.details {
            details["causes"] = json!([{ "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"), "field": "metadata.namespace" }]);
        }
        error
    }

    /// 404: no such object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", resource.id))
            .with_details(details(resource, name))
    }

    /// 404: no such path, resource or subresource.
    pub fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details(json!({}))
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with_details(json!({}))
    }

    /// 406 with the types there are.
    pub fn not_acceptable(types: &[&str]) -> Self {
        let list = types.join(", ");
        Self::new(406, "NotAcceptable", format!("only the following media types are accepted: {list}"))
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", resource.id))
            .with_details(details(resource, name))
    }

    /// 409: something else was expected.
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.id);
        Self::new(409, "Conflict", message).with_details(details(resource, name))
    }

    /// 409: the object changed since it was read.
    pub fn modified(resource: &Resource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 410: the revision is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    /// 413: a patch with too many operations.
    pub fn too_large_patch(message: &str) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415 with the types there are.
    pub fn unsupported_media_type(types: &[&str]) -> Self {
        let list = types.join(", ");
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {list}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422 with one cause per wrong field. `kind` and `name` may be empty, as for a patch that is wrong by itself.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let texts: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let causes: Vec<Value> = errors
            .iter()
            .map(|e| json!({ "reason": e.reason, "message": e.message, "field": e.field }))
            .collect();
        let mut details = json!({ "causes": causes });
        for (key, text) in [("name", name), ("group", group), ("kind", kind)] {
            if !text.is_empty() {
                details[key] = json!(text);
            }
        }
        Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {list}")).with_details(details)
    }

    /// 422: the object of this resource is wrong.
    pub fn invalid_object(resource: &Resource, name: &str, errors: &[FieldError]) -> Self {
        Self::invalid(&resource.id.group, &resource.kind, name, errors)
    }

    /// 422: the patch can be read and not be applied. As on a Kubernetes server, clients are not told more.
    pub fn unprocessable_patch() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request")
            .with_details(json!({}))
    }

    /// 429: not now.
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        let mut error = Self::new(429, "TooManyRequests", message);
        error.details = Some(json!({ "retryAfterSeconds": RETRY_SECONDS }));
        error.retry_after = Some(RETRY_SECONDS);
        error
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        let message = message.into();
        let details = json!({ "causes": [{ "message": message }] });
        Self::new(500, "InternalError", format!("Internal error occurred: {message}")).with_details(details)
    }

    /// 500: `resourceVersion` was set on an object to be created.
    pub fn version_on_create() -> Self {
        Self::new(500, "", "resourceVersion should not be set on objects to be created")
    }

    /// 504: a revision that is not there yet.
    pub fn version_too_large(asked: u64, current: u64) -> Self {
        let mut error = Self::timeout(format!("Too large resource version: {asked}, current: {current}"));
        error.details = Some(json!({ "retryAfterSeconds": RETRY_SECONDS, "causes": [
            { "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }] }));
        error.retry_after = Some(RETRY_SECONDS);
        error
    }

    /// 504: it took too long, the outcome may be unknown.
    pub fn timeout(message: String) -> Self {
        Self::new(504, "Timeout", format!("Timeout: {message}")).with_details(json!({}))
    }

    /// What a failed write means for a request on `name`.
    pub fn from_write(error: &WriteError, resource: &Resource, name: &str) -> Self {
        match error {
            WriteError::Conflict { .. } => Self::modified(resource, name),
            WriteError::Exists => Self::already_exists(resource, name),
            WriteError::NotFound => Self::not_found(resource, name),
            WriteError::TooLarge { limit } => Self::too_large(*limit),
            WriteError::Unavailable { retryable: true, .. } => Self::too_many_requests(error.to_string()),
            WriteError::Unavailable { retryable: false, .. } => {
                Self::new(503, "ServiceUnavailable", error.to_string())
            }
            WriteError::Unknown => Self::timeout(error.to_string()),
        }
    }

    /// What a failed or ended watch means for a watcher that asked for `after`.
    pub fn from_watch(error: &WatchError, after: u64) -> Self {
        match error {
            WatchError::Expired { oldest } => {
                Self::expired(format!("too old resource version: {after} ({oldest})"))
            }
            WatchError::Lagged | WatchError::Unavailable { .. } => Self::too_many_requests(error.to_string()),
        }
    }

    /// The `Status` object.
    pub fn to_json(&self) -> Value {
        let mut status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::too_many_requests(error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.to_json().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn details(resource: &Resource, name: &str) -> Value {
    let mut details = json!({ "kind": resource.id.plural });
    if !name.is_empty() {
        details["name"] = json!(name);
    }
    if !resource.id.group.is_empty() {
        details["group"] = json!(resource.id.group);
    }
    details
}
