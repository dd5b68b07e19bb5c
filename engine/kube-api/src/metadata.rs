//! Rules for `metadata` that hold for every kind.

use serde_json::{Value, json};

use crate::{
    names,
    registry::{NameRule, Resource},
    status::FieldError,
};

/// Largest sum of all annotations, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;
/// Longest prefix that `generateName` uses: 253 less the suffix.
const MAX_PREFIX: usize = 58;
/// Letters of generated suffixes: none that make words.
const SUFFIX_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;

/// Fields that the server alone writes, kept from the old object at every update.
pub(crate) const SYSTEM_FIELDS: [&str; 6] =
    ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"];

/// A text field of `metadata`, "" when absent.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// Whether deletion has begun.
pub(crate) fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// `metadata.finalizers`.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Sets `metadata.finalizers`; an empty list is left out.
pub(crate) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    set(object, "finalizers", if finalizers.is_empty() { Value::Null } else { json!(finalizers) });
}

/// Sets a field of `metadata`; `null` removes it.
pub(crate) fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        if value.is_null() {
            metadata.remove(field);
        } else {
            metadata.insert(field.to_owned(), value);
        }
    }
}

/// The name made from `prefix` and a random `seed`.
pub(crate) fn generated_name(prefix: &str, seed: &str) -> String {
    let mut end = prefix.len().min(MAX_PREFIX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let digits: Vec<u8> = seed.bytes().filter(u8::is_ascii_hexdigit).collect();
    let suffix = (0..SUFFIX_LENGTH).map(|n| {
        let pair =
            digits.iter().skip(n * 2).take(2).fold(0usize, |sum, digit| sum * 131 + usize::from(*digit));
        char::from(SUFFIX_LETTERS[pair % SUFFIX_LETTERS.len()])
    });
    prefix[..end].chars().chain(suffix).collect()
}

/// Everything wrong with `metadata`, of a new object or (with `old`) of a changed one.
pub(crate) fn validate(new: &Value, old: Option<&Value>, resource: &Resource) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let metadata = &new["metadata"];
    validate_name(metadata, resource, &mut errors);
    validate_pairs(metadata, &mut errors);
    for (index, finalizer) in finalizers(new).into_iter().enumerate() {
        let at = format!("metadata.finalizers[{index}]");
        if let Some(why) = names::label_key_error(finalizer) {
            errors.push(FieldError::invalid(at, &json!(finalizer), &why));
        }
    }
    validate_owners(&metadata["ownerReferences"], &mut errors);
    if let Some(old) = old {
        validate_update(new, old, &mut errors);
    }
    errors
}

fn validate_name(metadata: &Value, resource: &Resource, errors: &mut Vec<FieldError>) {
    let rule = |name: &str| match resource.names {
        NameRule::Label => names::label_error(name),
        NameRule::Subdomain => names::subdomain_error(name),
    };
    let prefix = metadata["generateName"].as_str().unwrap_or_default();
    if !prefix.is_empty()
        && let Some(why) = rule(prefix.trim_end_matches('-'))
    {
        errors.push(FieldError::invalid("metadata.generateName", &json!(prefix), &why));
    }
    match metadata["name"].as_str().unwrap_or_default() {
        "" => errors.push(FieldError::required("metadata.name", "name or generateName is required")),
        name => {
            if let Some(why) = rule(name) {
                errors.push(FieldError::invalid("metadata.name", &json!(name), &why));
            }
        }
    }
}

fn validate_pairs(metadata: &Value, errors: &mut Vec<FieldError>) {
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        if let Some(why) = names::label_key_error(key) {
            errors.push(FieldError::invalid("metadata.labels", &json!(key), &why));
        }
        if let Some(why) = names::label_value_error(value.as_str().unwrap_or_default()) {
            errors.push(FieldError::invalid("metadata.labels", value, &why));
        }
    }
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        if let Some(why) = names::label_key_error(&key.to_lowercase()) {
            errors.push(FieldError::invalid("metadata.annotations", &json!(key), &why));
        }
        size += key.len() + value.as_str().unwrap_or_default().len();
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long("metadata.annotations", MAX_ANNOTATIONS));
    }
}

fn validate_owners(owners: &Value, errors: &mut Vec<FieldError>) {
    let mut controllers = 0;
    for (index, owner) in owners.as_array().into_iter().flatten().enumerate() {
        for (field, why) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                let at = format!("metadata.ownerReferences[{index}].{field}");
                errors.push(FieldError::invalid(at, &json!(""), why));
            }
        }
        controllers += usize::from(owner["controller"] == true);
    }
    if controllers > 1 {
        let why = "Only one reference can have Controller set to true";
        errors.push(FieldError::invalid("metadata.ownerReferences", owners, why));
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for field in ["name", "namespace"] {
        let value = &new["metadata"][field];
        if *value != old["metadata"][field] {
            errors.push(FieldError::invalid(format!("metadata.{field}"), value, "field is immutable"));
        }
    }
    if is_deleting(old) {
        let before = finalizers(old);
        let added: Vec<String> = finalizers(new)
            .into_iter()
            .filter(|one| !before.contains(one))
            .map(|one| format!("{one:?}"))
            .collect();
        if !added.is_empty() {
            let list = added.join(", ");
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"
            );
            errors.push(FieldError::forbidden("metadata.finalizers", &why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_have_the_prefix_and_five_letters() {
        let name = generated_name("edge-", "0123456789abcdef");
        assert!(name.starts_with("edge-") && name.len() == 10, "{name}");
        assert_ne!(name, generated_name("edge-", "fedcba9876543210"));
        assert_eq!(generated_name(&"a".repeat(300), "00").len(), MAX_PREFIX + SUFFIX_LENGTH);
    }
}
