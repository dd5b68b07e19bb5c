//! OpenAPI documents: what `kubectl explain`, validation and apply read.

use std::collections::BTreeSet;

use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::{Map, Value, json};

use crate::{
    patch::{JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH},
    registry::{LIST_META, Registry, Resource},
    respond::{self, Output},
    schema::PROTOBUF_NUMBER,
    status::ApiError,
};

/// `/openapi/v3`: where the documents of the group versions are.
pub(crate) fn v3_index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for (group, version) in registry.group_versions() {
        let path = document_path(group, version);
        // The hash lets clients keep the document; it changes with the documents of this build only.
        let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    json!({ "paths": paths })
}

/// `/openapi/v3/api/v1` and `/openapi/v3/apis/GROUP/VERSION`.
pub(crate) fn v3(registry: &Registry, path: &str, server_version: &str) -> Option<Value> {
    let (group, version) =
        registry.group_versions().into_iter().find(|(g, v)| document_path(g, v) == path)?;
    let served: Vec<&Resource> = registry
        .resources()
        .map(AsRef::as_ref)
        .filter(|r: &&Resource| r.id.group == group && r.version == version)
        .collect();
    let mut schemas = schemas(registry, &served);
    schemas.values_mut().for_each(|schema| point(schema, "#/components/schemas/"));
    let mut paths = Map::new();
    for resource in served {
        for (path, item) in resource_paths(resource, version3_operation) {
            paths.insert(path, item);
        }
    }
    Some(json!({ "openapi": "3.0.0", "info": { "title": "Ledge", "version": server_version },
        "paths": paths, "components": { "schemas": schemas } }))
}

/// `/openapi/v2` as JSON; clients that want protobuf get 406 and read version 3.
pub(crate) fn v2(
    registry: &Registry,
    server_version: &str,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    Output::negotiate(headers)?;
    let served: Vec<&Resource> = registry.resources().map(AsRef::as_ref).collect();
    let mut paths = Map::new();
    for resource in &served {
        for (path, item) in resource_paths(resource, version2_operation) {
            paths.insert(path, item);
        }
    }
    let mut definitions = schemas(registry, &served);
    definitions.values_mut().for_each(|schema| point(schema, "#/definitions/"));
    let body = json!({ "swagger": "2.0", "info": { "title": "Ledge", "version": server_version },
        "paths": paths, "definitions": definitions });
    Ok(respond::reply(StatusCode::OK, Output::JSON, &body, &[]))
}

fn document_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn kind_of(resource: &Resource) -> Value {
    json!({ "group": resource.id.group, "version": resource.version, "kind": resource.kind })
}

/// The schemas of the resources and their lists, and all that they refer to, by name.
fn schemas(registry: &Registry, served: &[&Resource]) -> Map<String, Value> {
    let mut schemas = Map::new();
    let mut referred = BTreeSet::from([LIST_META.to_owned()]);
    for resource in served {
        let mut schema = resource.raw_schema.clone();
        schema["x-kubernetes-group-version-kind"] = json!([kind_of(resource)]);
        references(&schema, &mut referred);
        schemas.insert(resource.schema_name.clone(), schema);
        let mut list_kind = kind_of(resource);
        list_kind["kind"] = json!(resource.list_kind);
        let list = json!({ "type": "object", "description": format!("A list of {}.", resource.kind), "required": ["items"],
            "x-kubernetes-group-version-kind": [list_kind],
            "properties": {
                "apiVersion": { "type": "string", "description": "Version of the schema of this object." },
                "kind": { "type": "string", "description": "Kind of this object." },
                "metadata": { "$ref": format!("#/definitions/{LIST_META}"), "description": "Metadata of the list." },
                "items": { "type": "array", "description": "The objects.",
                    "items": { "$ref": format!("#/definitions/{}", resource.schema_name) } } } });
        schemas.insert(format!("{}List", resource.schema_name), list);
    }
    while let Some(name) = referred.iter().find(|name| !schemas.contains_key(*name)).cloned() {
        let schema = registry.definitions()[&name].clone();
        references(&schema, &mut referred);
        schemas.insert(name, schema);
    }
    schemas
}

fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                found.insert(target.trim_start_matches("#/definitions/").to_owned());
            }
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// Rewrites references for the document; beside a reference nothing else counts, so the rest stays with an `allOf`.
fn point(schema: &mut Value, base: &str) {
    match schema {
        Value::Object(fields) => {
            if fields.get(PROTOBUF_NUMBER).is_some_and(Value::is_number) {
                fields.remove(PROTOBUF_NUMBER);
            }
            if let Some(Value::String(target)) = fields.get("$ref") {
                let target = target.replace("#/definitions/", base);
                fields.remove("$ref");
                if fields.is_empty() {
                    fields.insert("$ref".to_owned(), json!(target));
                } else {
                    fields.insert("allOf".to_owned(), json!([{ "$ref": target }]));
                }
                return;
            }
            fields.values_mut().for_each(|field| point(field, base));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point(item, base)),
        _ => {}
    }
}

type Operation = fn(&Resource, method: &str, action: &str) -> Value;

fn resource_paths(resource: &Resource, operation: Operation) -> Vec<(String, Value)> {
    let base = match resource.id.group.as_str() {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    let plural = &resource.id.plural;
    let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = json!({ "get": operation(resource, "get", "list"), "post": operation(resource, "post", "post"),
        "delete": operation(resource, "delete", "deletecollection") });
    let object = |resource| {
        json!({ "get": operation(resource, "get", "get"), "put": operation(resource, "put", "put"),
            "patch": operation(resource, "patch", "patch"), "delete": operation(resource, "delete", "delete") })
    };
    let mut paths = vec![
        (format!("{base}{scope}/{plural}"), collection),
        (format!("{base}{scope}/{plural}/{{name}}"), object(resource)),
    ];
    if resource.namespaced {
        paths.push((format!("{base}/{plural}"), json!({ "get": operation(resource, "get", "list") })));
    }
    if resource.status_subresource {
        let mut part = object(resource);
        part.as_object_mut().map(|methods| methods.remove("delete"));
        paths.push((format!("{base}{scope}/{plural}/{{name}}/status"), part));
    }
    paths
}

/// The query parameters that writing takes.
fn write_parameters(method: &str) -> Vec<(&'static str, &'static str)> {
    let mut parameters = vec![("pretty", "Whether to indent the answer.")];
    if method != "get" {
        parameters.push(("dryRun", "All: check everything and write nothing."));
    }
    if matches!(method, "post" | "put" | "patch") {
        parameters.push(("fieldManager", "Name of the writer."));
        parameters.push(("fieldValidation", "What happens to unknown fields: Ignore, Warn or Strict."));
    }
    parameters
}

fn patch_types(resource: &Resource) -> Vec<&'static str> {
    if resource.is_builtin() {
        vec![JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH]
    } else {
        vec![JSON_PATCH, MERGE_PATCH]
    }
}

fn version3_operation(resource: &Resource, method: &str, action: &str) -> Value {
    let parameters: Vec<Value> = write_parameters(method)
        .into_iter()
        .map(|(name, description)| {
            json!({ "name": name, "in": "query", "description": description, "schema": { "type": "string", "uniqueItems": true } })
        })
        .collect();
    let schema = json!({ "$ref": format!("#/components/schemas/{}", resource.schema_name) });
    let mut operation = json!({ "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind_of(resource),
        "parameters": parameters,
        "responses": { "200": { "description": "OK", "content": { "application/json": { "schema": schema } } } } });
    match method {
        "patch" => {
            let any = json!({ "schema": { "type": "object" } });
            let content: Map<String, Value> =
                patch_types(resource).into_iter().map(|one| (one.to_owned(), any.clone())).collect();
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        "post" | "put" => {
            operation["requestBody"] =
                json!({ "required": true, "content": { "*/*": { "schema": schema } } });
        }
        _ => {}
    }
    operation
}

fn version2_operation(resource: &Resource, method: &str, action: &str) -> Value {
    let mut parameters: Vec<Value> = write_parameters(method)
        .into_iter()
        .map(|(name, description)| {
            json!({ "name": name, "in": "query", "description": description, "type": "string", "uniqueItems": true })
        })
        .collect();
    let schema = json!({ "$ref": format!("#/definitions/{}", resource.schema_name) });
    if matches!(method, "post" | "put" | "patch") {
        parameters.push(json!({ "name": "body", "in": "body", "required": true, "schema": schema }));
    }
    let consumes = if method == "patch" { patch_types(resource) } else { vec!["*/*"] };
    json!({ "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind_of(resource), "consumes": consumes,
        "produces": ["application/json", "application/yaml"], "parameters": parameters,
        "responses": { "200": { "description": "OK", "schema": schema } } })
}
