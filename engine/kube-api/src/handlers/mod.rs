//! From a request to a response.
//!
//! ```text
//! request ─► who? (401) ─► what? path, resource (404) ─► may they? (403) ─► verb ─► response
//! ```
//!
//! Reading order: this file → intake (bodies) → lifecycle (what the server adds and checks) → one file per verb.

mod create;
mod delete;
mod intake;
mod lifecycle;
mod list;
mod patch;
mod read;
mod update;
mod watch;

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    api::Api,
    auth::{Attributes, Identity},
    discovery, metric_definitions as names, openapi,
    path::ResourcePath,
    query::Query,
    registry::Resource,
    respond::{self, Output},
    status::ApiError,
    store::ObjectKey,
};

pub(crate) use delete::{FOREGROUND, ORPHAN, PropagationPolicy, start_deletion};
pub(crate) use lifecycle::may_go;

/// Paths that need no identity.
const OPEN: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];
/// How often a write is tried again when another writer was faster.
pub(crate) const WRITE_ATTEMPTS: usize = 5;

/// All endpoints of `api`.
pub fn router(api: Api) -> Router {
    Router::new().fallback(handle).with_state(api)
}

/// One request on a resource.
pub(crate) struct Call {
    pub(crate) api: Api,
    pub(crate) resource: Arc<Resource>,
    pub(crate) path: ResourcePath,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) output: Output,
    pub(crate) body: Bytes,
}

impl Call {
    fn namespace(&self) -> Option<&str> {
        self.path.namespace.as_deref()
    }

    /// Name in the path, "" for a collection.
    fn name(&self) -> &str {
        self.path.name.as_deref().unwrap_or_default()
    }

    fn subresource(&self) -> Option<&str> {
        self.path.subresource.as_deref()
    }

    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey {
            resource: self.resource.id.clone(),
            namespace: self.path.namespace.clone(),
            name: name.to_owned(),
        }
    }

    /// Media type of the body, without parameters.
    fn content_type(&self) -> &str {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        respond::split(value.unwrap_or_default()).0
    }
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let (verb, result) = route(api, request).await;
    let response = result.unwrap_or_else(IntoResponse::into_response);
    let code = response.status().as_u16().to_string();
    metrics::counter!(names::REQUESTS, "verb" => verb, "code" => code).increment(1);
    metrics::histogram!(names::REQUEST_TIME, "verb" => verb).record(started.elapsed().as_secs_f64());
    if method == Method::HEAD {
        return (response.status(), response.headers().clone()).into_response();
    }
    response
}

async fn route(api: Api, request: Request) -> (&'static str, Result<Response, ApiError>) {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let identity = parts.extensions.get::<Identity>().cloned();
    if identity.is_none() && !OPEN.iter().any(|open| path == *open || path.starts_with(&format!("{open}/"))) {
        return ("other", Err(ApiError::unauthorized()));
    }
    let resource_path = ResourcePath::parse(&path);
    let (Some(resource_path), Some(identity)) = (resource_path, identity) else {
        let get = parts.method == Method::GET || parts.method == Method::HEAD;
        return (
            "other",
            if get { document(&api, &path, &parts.headers) } else { Err(ApiError::method_not_allowed()) },
        );
    };
    let call = match call(api, resource_path, &parts, body).await {
        Ok(call) => call,
        Err(error) => return ("other", Err(error)),
    };
    let verb = match verb(&parts.method, &call) {
        Ok(verb) => verb,
        Err(error) => return ("other", Err(error)),
    };
    if let Err(error) = authorize(&call, &identity, verb) {
        return (verb, Err(error));
    }
    let result = match verb {
        "get" => read::get(&call).await,
        "list" => list::list(&call).await,
        "watch" => watch::watch(&call).await,
        "create" => create::create(&call).await,
        "update" => update::replace(&call).await,
        "patch" => patch::patch(&call).await,
        "delete" => delete::delete(&call).await,
        _ => delete::delete_collection(&call).await,
    };
    (verb, result)
}

async fn call(
    api: Api,
    path: ResourcePath,
    parts: &axum::http::request::Parts,
    body: Body,
) -> Result<Call, ApiError> {
    let found = api.registry.find(&path.group, &path.version, &path.plural);
    let resource = Arc::clone(found.ok_or_else(ApiError::no_such_resource)?);
    let misplaced = if resource.namespaced {
        path.namespace.is_none() && path.name.is_some()
    } else {
        path.namespace.is_some()
    };
    let known_part = match path.subresource.as_deref() {
        None => true,
        Some("status") => resource.status_subresource,
        Some("finalize") => resource.is_namespace(),
        Some(_) => false,
    };
    if misplaced || !known_part {
        return Err(ApiError::no_such_resource());
    }
    let query = Query::read(&parts.uri)?;
    let mut output = Output::negotiate(&parts.headers)?;
    output.pretty = query.flag("pretty");
    output.include = match query.get("includeObject") {
        None | Some("Metadata") => crate::table::IncludeObject::Metadata,
        Some("None") => crate::table::IncludeObject::None,
        Some("Object") => crate::table::IncludeObject::Object,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "includeObject: {other:?} is none of \"\", None, Metadata, Object"
            )));
        }
    };
    let limit = api.options.max_body;
    let body = axum::body::to_bytes(body, limit).await.map_err(|_| ApiError::too_large(limit))?;
    Ok(Call { api, resource, path, query, headers: parts.headers.clone(), output, body })
}

fn verb(method: &Method, call: &Call) -> Result<&'static str, ApiError> {
    let (path, part) = (&call.path, call.subresource());
    let verb = match (method.as_str(), path.name.is_some()) {
        ("GET" | "HEAD", true) if path.watch => "watch",
        ("GET" | "HEAD", true) => "get",
        ("GET" | "HEAD", false) if path.watch || call.query.flag("watch") => "watch",
        ("GET" | "HEAD", false) => "list",
        ("POST", false) => "create",
        ("PUT", true) => "update",
        ("PATCH", true) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return Err(ApiError::method_not_allowed()),
    };
    let allowed = match part {
        None => !(verb == "deletecollection" && call.resource.is_namespace()),
        Some("finalize") => verb == "update",
        Some(_) => matches!(verb, "get" | "update" | "patch"),
    };
    // Objects in namespaces are created and deleted in one namespace, listed and watched in all.
    let scoped = !call.resource.namespaced || path.namespace.is_some() || matches!(verb, "list" | "watch");
    if allowed && scoped { Ok(verb) } else { Err(ApiError::method_not_allowed()) }
}

fn authorize(call: &Call, identity: &Identity, verb: &str) -> Result<(), ApiError> {
    let id = &call.resource.id;
    let attributes = Attributes {
        verb,
        group: &id.group,
        resource: &id.plural,
        subresource: call.subresource().unwrap_or_default(),
        namespace: call.namespace().unwrap_or_default(),
        name: call.name(),
    };
    if call.api.options.authorizer.allows(identity, &attributes) {
        return Ok(());
    }
    let scope = match call.namespace() {
        Some(namespace) => format!("in the namespace {namespace:?}"),
        None => "at the cluster scope".to_owned(),
    };
    let (user, plural, group) = (&identity.user, &id.plural, &id.group);
    let why = format!("User {user:?} cannot {verb} resource {plural:?} in API group {group:?} {scope}");
    Err(ApiError::forbidden(&call.resource, call.name(), &why))
}

/// Everything that is not an object: discovery, schemas, health, version.
fn document(api: &Api, path: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let ok = |body: serde_json::Value| Ok(respond::reply(StatusCode::OK, Output::JSON, &body, &[]));
    match path.trim_end_matches('/') {
        "" => ok(discovery::paths(&api.registry)),
        "/version" => ok(discovery::version(&api.options.git_version)),
        "/api" => discovery::core(&api.registry, headers),
        "/apis" => discovery::groups(&api.registry, headers),
        "/openapi/v2" => openapi::v2(&api.registry, &api.options.git_version, headers),
        "/openapi/v3" => ok(openapi::v3_index(&api.registry)),
        other if OPEN[..3].iter().any(|open| other == *open || other.starts_with(&format!("{open}/"))) => {
            Ok((StatusCode::OK, "ok").into_response())
        }
        other => {
            if let Some(rest) = other.strip_prefix("/openapi/v3/") {
                return openapi::v3(&api.registry, rest, &api.options.git_version)
                    .map_or_else(not_found_page, ok);
            }
            let segments: Vec<&str> = other.split('/').skip(1).collect();
            let found = match segments.as_slice() {
                ["api", version] => discovery::resources(&api.registry, "", version),
                ["apis", group] => discovery::group(&api.registry, group),
                ["apis", group, version] => discovery::resources(&api.registry, group, version),
                _ => None,
            };
            found.map_or_else(not_found_page, ok)
        }
    }
}

/// What a Kubernetes API server says of paths that it knows nothing of.
fn not_found_page() -> Result<Response, ApiError> {
    let body = "404 page not found\n";
    Ok((StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}

/// Answers with one object in the form that the client accepts.
fn reply_object(
    call: &Call,
    status: StatusCode,
    object: &serde_json::Value,
    revision: u64,
    warnings: &[String],
) -> Response {
    let shown = respond::with_version(object, revision);
    let now = (call.api.options.clock)();
    let body = match call.output.form {
        respond::Form::Whole => shown,
        respond::Form::Partial => crate::table::partial(&shown),
        respond::Form::Table => json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1",
            "metadata": { "resourceVersion": revision.to_string() },
            "columnDefinitions": crate::table::columns(&call.resource),
            "rows": [crate::table::row(&shown, &call.resource, call.output.include, now)] }),
    };
    respond::reply(status, call.output, &body, warnings)
}
