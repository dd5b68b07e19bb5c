//! Discovery: which groups, versions, resources and verbs there are.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use crate::{
    registry::{Registry, Resource},
    respond::{self, Output},
    status::ApiError,
};

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// `/`
pub(crate) fn paths(registry: &Registry) -> Value {
    let mut paths: Vec<String> =
        ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned)
            .to_vec();
    for (group, version) in registry.group_versions() {
        paths.push(if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        });
    }
    paths.sort();
    json!({ "paths": paths })
}

/// `/version`
pub(crate) fn version(git_version: &str) -> Value {
    let mut numbers = git_version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or("1"), numbers.next().unwrap_or("0"));
    json!({ "major": major, "minor": minor, "gitVersion": git_version, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH) })
}

/// `/api`
pub(crate) fn core(registry: &Registry, headers: &HeaderMap) -> Result<Response, ApiError> {
    let versions: Vec<&str> = versions(registry, "");
    if let Some(version) = aggregated(headers) {
        return Ok(aggregated_reply(registry, version, |group| group.is_empty()));
    }
    Output::negotiate(headers)?;
    let body = json!({ "kind": "APIVersions", "versions": versions,
        "serverAddressByClientCIDRs": [] });
    Ok(respond::reply(StatusCode::OK, Output::JSON, &body, &[]))
}

/// `/apis`
pub(crate) fn groups(registry: &Registry, headers: &HeaderMap) -> Result<Response, ApiError> {
    if let Some(version) = aggregated(headers) {
        return Ok(aggregated_reply(registry, version, |group| !group.is_empty()));
    }
    Output::negotiate(headers)?;
    let groups: Vec<Value> = group_names(registry)
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| group_body(registry, name))
        .collect();
    let body = json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups });
    Ok(respond::reply(StatusCode::OK, Output::JSON, &body, &[]))
}

/// `/apis/GROUP`
pub(crate) fn group(registry: &Registry, name: &str) -> Option<Value> {
    if name.is_empty() || !group_names(registry).contains(&name) {
        return None;
    }
    let mut body = group_body(registry, name);
    body["kind"] = json!("APIGroup");
    body["apiVersion"] = json!("v1");
    Some(body)
}

/// `/api/VERSION` and `/apis/GROUP/VERSION`
pub(crate) fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let served: Vec<_> = of(registry, group, version).collect();
    if served.is_empty() {
        return None;
    }
    let mut resources = Vec::new();
    for resource in served {
        let mut entry = json!({ "name": resource.id.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": verbs(resource) });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        resources.push(entry);
        for (part, verbs) in parts(resource) {
            resources.push(json!({ "name": format!("{}/{part}", resource.id.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs }));
        }
    }
    let group_version = group_version(group, version);
    Some(
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources }),
    )
}

fn of<'a>(registry: &'a Registry, group: &'a str, version: &'a str) -> impl Iterator<Item = &'a Resource> {
    registry
        .resources()
        .map(AsRef::as_ref)
        .filter(move |r: &&Resource| r.id.group == group && r.version == version)
}

fn verbs(resource: &Resource) -> Vec<&'static str> {
    let namespaces = resource.is_namespace();
    VERBS.into_iter().filter(|verb| !(namespaces && *verb == "deletecollection")).collect()
}

fn parts(resource: &Resource) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut parts = Vec::new();
    if resource.is_namespace() {
        parts.push(("finalize", vec!["update"]));
    }
    if resource.status_subresource {
        parts.push(("status", vec!["get", "patch", "update"]));
    }
    parts
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn group_names(registry: &Registry) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (group, _) in registry.group_versions() {
        if !names.contains(&group) {
            names.push(group);
        }
    }
    names
}

fn versions<'a>(registry: &'a Registry, group: &str) -> Vec<&'a str> {
    registry
        .group_versions()
        .into_iter()
        .filter(|(name, _)| *name == group)
        .map(|(_, version)| version)
        .collect()
}

fn group_body(registry: &Registry, name: &str) -> Value {
    let versions: Vec<Value> = versions(registry, name)
        .into_iter()
        .map(|version| json!({ "groupVersion": format!("{name}/{version}"), "version": version }))
        .collect();
    json!({ "name": name, "preferredVersion": versions.first(), "versions": versions })
}

/// The version of aggregated discovery that the client prefers to the plain one, if any.
fn aggregated(headers: &HeaderMap) -> Option<&'static str> {
    for clause in respond::clauses(headers) {
        let (media_type, parameters) = respond::split(clause);
        let has = |name: &str, value: &str| parameters.contains(&(name, value));
        if media_type != "application/json" {
            continue;
        }
        if !parameters.iter().any(|(name, _)| *name == "as") {
            return None;
        }
        if has("as", "APIGroupDiscoveryList") && has("g", "apidiscovery.k8s.io") {
            return ["v2", "v2beta1"].into_iter().find(|version| has("v", version));
        }
    }
    None
}

fn aggregated_reply(registry: &Registry, version: &'static str, wanted: impl Fn(&str) -> bool) -> Response {
    let items: Vec<Value> = group_names(registry)
        .into_iter()
        .filter(|name| wanted(name))
        .map(|name| aggregated_group(registry, name))
        .collect();
    let body = json!({ "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items });
    let mut response = respond::reply(StatusCode::OK, Output::JSON, &body, &[]);
    let media_type = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    if let Ok(value) = HeaderValue::from_str(&media_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

fn aggregated_group(registry: &Registry, group: &str) -> Value {
    let versions: Vec<Value> = versions(registry, group)
        .into_iter()
        .map(|version| {
            let resources: Vec<Value> = of(registry, group, version).map(aggregated_resource).collect();
            json!({ "version": version, "resources": resources, "freshness": "Current" })
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
    json!({ "metadata": metadata, "versions": versions })
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = json!({ "group": resource.id.group, "version": resource.version, "kind": resource.kind });
    let mut entry = json!({ "resource": resource.id.plural, "responseKind": kind, "singularResource": resource.singular,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" }, "verbs": verbs(resource) });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let parts: Vec<Value> = parts(resource)
        .into_iter()
        .map(|(part, verbs)| json!({ "subresource": part, "responseKind": kind, "verbs": verbs }))
        .collect();
    if !parts.is_empty() {
        entry["subresources"] = json!(parts);
    }
    entry
}
