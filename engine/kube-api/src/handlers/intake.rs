//! Reads the object in a request's body and fits it to the resource.

use serde_json::{Value, json};

use super::Call;
use crate::{
    decode::{self, Encoding},
    query::FieldValidation,
    registry::Resource,
    respond,
    schema::{default, prune, validate},
    status::{ApiError, FieldError},
};

/// An object from outside, of the right kind, pruned and with defaults; and warnings for the client.
pub(super) struct Taken {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
}

/// Encoding of the body by its content type; none at all counts as JSON.
pub(super) fn encoding(call: &Call) -> Result<Encoding, ApiError> {
    match call.content_type() {
        "" | "application/json" => Ok(Encoding::Json),
        "application/yaml" => Ok(Encoding::Yaml),
        "application/vnd.kubernetes.protobuf" if call.resource.is_builtin() => Ok(Encoding::Protobuf),
        _ => Err(ApiError::unsupported_media_type(&respond::ACCEPTED)),
    }
}

/// The object in the body of a create or a replace.
pub(super) fn take(call: &Call, options_kind: &str) -> Result<Taken, ApiError> {
    let validation = call.query.field_validation(options_kind)?;
    let resource = &call.resource;
    let decoded = decode::decode(&call.body, encoding(call)?, &resource.schema)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    let mut object = decoded.value;
    if !object.is_object() {
        return Err(ApiError::bad_request("the body must be one object"));
    }
    check_type(&mut object, resource)?;
    let found = shape(&mut object, resource)?;
    let strict = strict_errors(&decoded.duplicates, &found);
    if validation == FieldValidation::Strict && !strict.is_empty() {
        return Err(cannot_be_handled(resource, &format!("strict decoding error: {}", strict.join(", "))));
    }
    let warnings = if validation == FieldValidation::Warn { strict } else { Vec::new() };
    Ok(Taken { object, warnings })
}

/// Names and refuses or reports what a patch brought that the schema does not know.
pub(super) fn shape_patched(
    object: &mut Value,
    resource: &Resource,
    validation: FieldValidation,
    patch: &[u8],
) -> Result<Vec<String>, ApiError> {
    let strict = strict_errors(&[], &shape(object, resource)?);
    match validation {
        FieldValidation::Strict if !strict.is_empty() => {
            let value = json!(String::from_utf8_lossy(patch));
            let why = format!("strict decoding error: {}", strict.join(", "));
            Err(ApiError::invalid("", "", "", &[FieldError::invalid("patch", &value, &why)]))
        }
        FieldValidation::Warn => Ok(strict),
        FieldValidation::Strict | FieldValidation::Ignore => Ok(Vec::new()),
    }
}

/// Prunes and defaults; returns the paths of unknown fields.
fn shape(object: &mut Value, resource: &Resource) -> Result<Vec<String>, ApiError> {
    if resource.is_builtin() {
        prune::drop_nulls(object);
    }
    let unknown = prune::prune(object, &resource.schema);
    default::fill(object, &resource.schema);
    let wrong = if resource.is_builtin() {
        validate::first_wrong_type(object, &resource.schema)
    } else {
        let metadata = resource.schema.field("metadata");
        metadata
            .and_then(|schema| validate::first_wrong_type(&object["metadata"], schema))
            .filter(|_| !object["metadata"].is_null())
            .map(|(at, found, wanted)| (prune::join("metadata", &at), found, wanted))
    };
    if let Some((at, found, wanted)) = wrong {
        let kind = &resource.kind;
        let why = format!("json: cannot unmarshal {found} into Go struct field {kind}.{at} of type {wanted}");
        return Err(cannot_be_handled(resource, &why));
    }
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    Ok(unknown)
}

fn strict_errors(duplicates: &[String], unknown: &[String]) -> Vec<String> {
    let duplicates = duplicates.iter().map(|path| format!("duplicate field {path:?}"));
    duplicates.chain(unknown.iter().map(|path| format!("unknown field {path:?}"))).collect()
}

fn cannot_be_handled(resource: &Resource, why: &str) -> ApiError {
    let (kind, version) = (&resource.kind, &resource.version);
    ApiError::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
}

/// `apiVersion` and `kind` must be the resource's; built-in kinds may leave them out.
fn check_type(object: &mut Value, resource: &Resource) -> Result<(), ApiError> {
    let api_version = resource.api_version();
    for (field, wanted) in [("apiVersion", &api_version), ("kind", &resource.kind)] {
        let found = object[field].as_str().unwrap_or_default().to_owned();
        if found == *wanted {
            continue;
        }
        if found.is_empty() && resource.is_builtin() {
            object[field] = json!(wanted);
            continue;
        }
        if found.is_empty() {
            let mut name = field.to_owned();
            name[..1].make_ascii_uppercase();
            return Err(ApiError::bad_request(format!("Object '{name}' is missing in '{object}'")));
        }
        return Err(if field == "apiVersion" {
            ApiError::bad_request(format!(
                "the API version in the data ({found}) does not match the expected API version ({wanted})"
            ))
        } else if resource.is_builtin() {
            let version = &resource.version;
            ApiError::bad_request(format!(
                "{found} in version {version:?} cannot be handled as a {wanted}: no kind {found:?} is registered for this resource"
            ))
        } else {
            let error = FieldError::invalid("kind", &json!(found), &format!("must be {wanted}"));
            ApiError::invalid_object(
                resource,
                object["metadata"]["name"].as_str().unwrap_or_default(),
                &[error],
            )
        });
    }
    Ok(())
}
