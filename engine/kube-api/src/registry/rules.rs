//! Rules of single kinds that a schema cannot express.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Hooks;
use crate::status::FieldError;

/// The finalizer in `spec.finalizers` that keeps a namespace until it is empty.
pub(crate) const NAMESPACE_FINALIZER: &str = "kubernetes";

pub(super) const NAMESPACE: Hooks = Hooks { prepare: prepare_namespace, validate: |_, _| Vec::new() };
pub(super) const CONFIG_MAP: Hooks = Hooks { prepare: |_, _| {}, validate: validate_config_map };
pub(super) const DEVICE: Hooks = Hooks {
    prepare: |_, _| {},
    validate: |new, _| unique_names(&new["spec"]["properties"], "spec.properties"),
};
pub(super) const DEVICE_MODEL: Hooks = DEVICE;

fn prepare_namespace(new: &mut Value, old: Option<&Value>) {
    if let Some(name) = new["metadata"]["name"].as_str().map(str::to_owned) {
        if !new["metadata"]["labels"].is_object() {
            new["metadata"]["labels"] = json!({});
        }
        new["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
    }
    match old {
        None => {
            new["spec"] = json!({ "finalizers": [NAMESPACE_FINALIZER] });
            new["status"] = json!({ "phase": "Active" });
        }
        Some(old) => new["spec"] = old["spec"].clone(),
    }
}

fn validate_config_map(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["data", "binaryData"] {
        for key in new[field].as_object().into_iter().flat_map(serde_json::Map::keys) {
            let at = format!("{field}[{key}]");
            let legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if key.is_empty() || key.len() > 253 || !key.chars().all(legal) {
                let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', \
                           or 'KEY_NAME', or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                errors.push(FieldError::invalid(at, &json!(key), why));
            } else if field == "data" && new["binaryData"].get(key).is_some() {
                errors.push(FieldError::invalid(at, &json!(key), "duplicate of key present in binaryData"));
            }
        }
    }
    if let Some(old) = old
        && old["immutable"] == true
    {
        let frozen = "field is immutable when `immutable` is set";
        for field in ["data", "binaryData", "immutable"] {
            if new.get(field) != old.get(field) {
                errors.push(FieldError::forbidden(field, frozen));
            }
        }
    }
    errors
}

/// Names of a list's elements must differ.
fn unique_names(list: &Value, at: &str) -> Vec<FieldError> {
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for (index, item) in list.as_array().into_iter().flatten().enumerate() {
        let Some(name) = item["name"].as_str() else { continue };
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{at}[{index}].name"), &item["name"]));
        }
    }
    errors
}
