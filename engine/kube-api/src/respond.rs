//! What clients accept, and responses in that form.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

use crate::{status::ApiError, store::Stored, table::IncludeObject};

/// Media types of responses.
pub(crate) const ACCEPTED: [&str; 2] = ["application/json", "application/yaml"];

/// Form of the objects in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Whole,
    /// As a `Table`.
    Table,
    /// Their metadata alone.
    Partial,
}

/// What a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// Form of the objects.
    pub(crate) form: Form,
    /// YAML rather than JSON.
    pub(crate) yaml: bool,
    /// Indented.
    pub(crate) pretty: bool,
    /// What rows of a table carry.
    pub(crate) include: IncludeObject,
}

impl Output {
    /// JSON as it is.
    pub(crate) const JSON: Self =
        Self { form: Form::Whole, yaml: false, pretty: false, include: IncludeObject::Metadata };

    /// The first of the accepted types that there is; 406 when there is none.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut any = false;
        for clause in clauses(headers) {
            any = true;
            let (media_type, parameters) = split(clause);
            let yaml = match media_type {
                "application/json" | "application/*" | "*/*" => false,
                "application/yaml" => true,
                _ => continue,
            };
            let parameter =
                |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            let form = match (parameter("as"), parameter("g"), parameter("v")) {
                (None, ..) => Form::Whole,
                (Some("Table"), Some("meta.k8s.io"), Some("v1" | "v1beta1")) => Form::Table,
                (
                    Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                    Some("meta.k8s.io"),
                    Some("v1" | "v1beta1"),
                ) => Form::Partial,
                _ => continue,
            };
            return Ok(Self { form, yaml, ..Self::JSON });
        }
        if any { Err(ApiError::not_acceptable(&ACCEPTED)) } else { Ok(Self::JSON) }
    }
}

/// The clauses of all `Accept` headers.
pub(crate) fn clauses(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|clause| !clause.is_empty())
}

/// A media type and its parameters.
pub(crate) fn split(clause: &str) -> (&str, Vec<(&str, &str)>) {
    let mut parts = clause.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    (media_type, parts.filter_map(|part| part.split_once('=')).collect())
}

/// A response with a body; JSON unless the client wanted YAML.
pub(crate) fn reply(
    status: StatusCode,
    output: Output,
    body: &impl Serialize,
    warnings: &[String],
) -> Response {
    let encoded = if output.yaml {
        serde_yaml_ng::to_string(body).map(String::into_bytes).map_err(|error| error.to_string())
    } else if output.pretty {
        serde_json::to_vec_pretty(body).map_err(|error| error.to_string())
    } else {
        serde_json::to_vec(body).map_err(|error| error.to_string())
    };
    let encoded = match encoded {
        Ok(encoded) => encoded,
        Err(error) => return ApiError::internal(error).into_response(),
    };
    let mut response = (status, Body::from(encoded)).into_response();
    let headers = response.headers_mut();
    let media_type = if output.yaml { "application/yaml" } else { "application/json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    for warning in warnings {
        let text: String = warning.chars().filter(|c| !c.is_control()).collect();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            headers.append(header::WARNING, value);
        }
    }
    response
}

/// A stored object as clients see it: with `metadata.resourceVersion`.
pub(crate) fn with_version(object: &Value, revision: u64) -> Value {
    let mut shown = object.clone();
    shown["metadata"]["resourceVersion"] = json!(revision.to_string());
    shown
}

/// Serializes a stored object with `metadata.resourceVersion` without copying it.
#[derive(Debug)]
pub(crate) struct Versioned<'a>(pub &'a Stored);

impl Serialize for Versioned<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(fields) = self.0.object.as_object() else { return self.0.object.serialize(serializer) };
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for (name, field) in fields {
            if name == "metadata" {
                map.serialize_entry(name, &Metadata(field, self.0.revision))?;
            } else {
                map.serialize_entry(name, field)?;
            }
        }
        map.end()
    }
}

struct Metadata<'a>(&'a Value, u64);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, field) in self.0.as_object().into_iter().flatten() {
            map.serialize_entry(name, field)?;
        }
        map.serialize_entry("resourceVersion", &self.1.to_string())?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn accept(value: &str) -> Result<Output, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        Output::negotiate(&headers)
    }

    #[test]
    fn the_first_type_that_there_is_is_taken() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accept(kubectl).unwrap().form, Form::Table);
        assert_eq!(accept("application/vnd.kubernetes.protobuf,application/json").unwrap(), Output::JSON);
        assert_eq!(accept("application/json;as=Chair;v=v1;g=meta.k8s.io,*/*").unwrap(), Output::JSON);
        assert!(accept("application/yaml").unwrap().yaml);
        assert_eq!(accept("application/vnd.kubernetes.protobuf").unwrap_err().code(), 406);
    }
}
