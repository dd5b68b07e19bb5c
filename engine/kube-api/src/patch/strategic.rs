//! Strategic merge patch: like a merge patch, but lists that the schema marks are merged element by element, and directives
//! (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/…`, `$setElementOrder/…`) say what else to do.

use serde_json::{Map, Value};

use super::PatchError;
use crate::schema::Schema;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// `object` with `patch` merged in.
pub(crate) fn apply(object: Value, patch: &Value, schema: &Schema) -> Result<Value, PatchError> {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => merge_map(object, patch, schema).map(Value::Object),
        _ => Err(PatchError::Apply("a strategic merge patch and its object must be objects".to_owned())),
    }
}

fn merge_map(
    mut object: Map<String, Value>,
    patch: &Map<String, Value>,
    schema: &Schema,
) -> Result<Map<String, Value>, PatchError> {
    match patch.get(DIRECTIVE).map(Value::as_str) {
        None | Some(Some("merge")) => {}
        Some(Some("replace")) => {
            return Ok(patch
                .iter()
                .filter(|(key, _)| *key != DIRECTIVE)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect());
        }
        Some(Some("delete")) => return Ok(Map::new()),
        Some(other) => {
            return Err(PatchError::Apply(format!(
                "unrecognized patch directive: {}",
                other.unwrap_or("(not text)")
            )));
        }
    }
    if let Some(retained) = patch.get(RETAIN_KEYS) {
        let keys = retained.as_array().ok_or_else(|| {
            PatchError::Apply("invalid patch format of retainKeys: it must be a list".to_owned())
        })?;
        object.retain(|name, _| keys.iter().any(|key| key == name.as_str()));
    }
    for (name, gone) in directives(patch, DELETE_FROM) {
        if let (Some(Value::Array(items)), Some(gone)) = (object.get_mut(name), gone.as_array()) {
            items.retain(|item| !gone.contains(item));
        }
    }
    for (name, change) in patch {
        if name.starts_with('$') {
            continue;
        }
        let inner = schema.field(name);
        let merged = match (object.remove(name), change) {
            (_, Value::Null) => continue,
            (before, Value::Object(change)) => {
                let before = match before {
                    Some(Value::Object(before)) => before,
                    _ => Map::new(),
                };
                Value::Object(merge_map(before, change, inner.unwrap_or(&Schema::default()))?)
            }
            (before, Value::Array(change)) => match inner.filter(|inner| inner.patch.merge) {
                Some(inner) => {
                    let before = match before {
                        Some(Value::Array(before)) => before,
                        _ => Vec::new(),
                    };
                    Value::Array(merge_list(before, change, inner)?)
                }
                None => Value::Array(change.clone()),
            },
            (_, other) => other.clone(),
        };
        object.insert(name.clone(), merged);
    }
    for (name, order) in directives(patch, ORDER) {
        let key = schema.field(name).and_then(|inner| inner.patch.key.as_deref());
        if let (Some(Value::Array(items)), Some(order)) = (object.get_mut(name), order.as_array()) {
            *items = in_order(std::mem::take(items), order, key);
        }
    }
    Ok(object)
}

fn directives<'a>(patch: &'a Map<String, Value>, prefix: &str) -> Vec<(&'a str, &'a Value)> {
    patch.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value))).collect()
}

fn merge_list(mut items: Vec<Value>, change: &[Value], schema: &Schema) -> Result<Vec<Value>, PatchError> {
    let Some(key) = schema.patch.key.as_deref() else {
        for value in change {
            if !items.contains(value) {
                items.push(value.clone());
            }
        }
        return Ok(items);
    };
    if change.iter().any(|element| element[DIRECTIVE] == "replace") {
        return Ok(change.iter().filter(|element| element.get(DIRECTIVE).is_none()).cloned().collect());
    }
    let inner = schema.items.as_deref();
    for element in change {
        let fields = element.as_object().ok_or_else(|| {
            PatchError::Apply(format!("an element of a list merged by {key:?} must be an object"))
        })?;
        let Some(identity) = fields.get(key) else {
            return Err(PatchError::Apply(format!(
                "map: {element} does not contain declared merge key: {key}"
            )));
        };
        let found = items.iter().position(|item| item.get(key) == Some(identity));
        if element[DIRECTIVE] == "delete" {
            items.retain(|item| item.get(key) != Some(identity));
            continue;
        }
        let before = match found {
            Some(at) => items[at].as_object().cloned().unwrap_or_default(),
            None => Map::new(),
        };
        let merged = Value::Object(merge_map(before, fields, inner.unwrap_or(&Schema::default()))?);
        match found {
            Some(at) => items[at] = merged,
            None => items.push(merged),
        }
    }
    Ok(items)
}

/// `items` in the order of `order`; items that it does not name stay behind the one they followed.
fn in_order(items: Vec<Value>, order: &[Value], key: Option<&str>) -> Vec<Value> {
    let identity = |value: &Value| match key {
        Some(key) => value.get(key).cloned().unwrap_or(Value::Null),
        None => value.clone(),
    };
    let wanted: Vec<Value> = order.iter().map(identity).collect();
    let rank = |item: &Value| wanted.iter().position(|one| *one == identity(item));
    let mut last = None;
    let mut ranked: Vec<(Option<usize>, Value)> = Vec::with_capacity(items.len());
    for item in items {
        last = rank(&item).or(last);
        ranked.push((last, item));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let raw = json!({ "type": "object", "properties": {
            "named": { "type": "array", "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name",
                "items": { "type": "object", "properties": { "name": { "type": "string" } } } },
            "words": { "type": "array", "x-kubernetes-patch-strategy": "merge", "items": { "type": "string" } },
            "plain": { "type": "array", "items": { "type": "string" } },
            "map": { "type": "object", "additionalProperties": { "type": "string" } } } });
        Schema::compile(&raw, &json!({})).unwrap()
    }

    #[track_caller]
    fn check(before: Value, patch: Value, after: Value) {
        assert_eq!(apply(before, &patch, &schema()).unwrap(), after);
    }

    #[test]
    fn lists_merge_by_their_key() {
        let before = json!({ "named": [{ "name": "a", "v": 1 }, { "name": "b", "v": 2 }] });
        let patch = json!({ "named": [{ "name": "b", "v": 3 }, { "name": "c" }] });
        check(
            before.clone(),
            patch,
            json!({ "named": [{ "name": "a", "v": 1 }, { "name": "b", "v": 3 }, { "name": "c" }] }),
        );
        let patch = json!({ "named": [{ "$patch": "delete", "name": "a" }] });
        check(before.clone(), patch, json!({ "named": [{ "name": "b", "v": 2 }] }));
        let patch = json!({ "named": [{ "$patch": "replace" }, { "name": "x" }] });
        check(before.clone(), patch, json!({ "named": [{ "name": "x" }] }));
        let patch = json!({ "$setElementOrder/named": [{ "name": "b" }, { "name": "a" }], "named": [{ "name": "b", "v": 9 }] });
        check(before, patch, json!({ "named": [{ "name": "b", "v": 9 }, { "name": "a", "v": 1 }] }));
    }

    #[test]
    fn lists_of_plain_values_merge_or_are_replaced() {
        check(json!({ "words": ["a"] }), json!({ "words": ["b", "a"] }), json!({ "words": ["a", "b"] }));
        check(
            json!({ "words": ["a", "b"] }),
            json!({ "$deleteFromPrimitiveList/words": ["a"] }),
            json!({ "words": ["b"] }),
        );
        check(json!({ "plain": ["a"] }), json!({ "plain": ["b"] }), json!({ "plain": ["b"] }));
    }

    #[test]
    fn objects_merge_and_null_removes() {
        check(
            json!({ "map": { "a": "1", "b": "2" } }),
            json!({ "map": { "a": null, "c": "3" } }),
            json!({ "map": { "b": "2", "c": "3" } }),
        );
        check(
            json!({ "map": { "a": "1" } }),
            json!({ "map": { "$patch": "replace", "z": "0" } }),
            json!({ "map": { "z": "0" } }),
        );
        check(json!({ "map": { "a": "1" } }), json!({ "map": { "$patch": "delete" } }), json!({ "map": {} }));
        check(
            json!({ "map": { "a": "1", "b": "2" } }),
            json!({ "map": { "$retainKeys": ["b"], "b": "3" } }),
            json!({ "map": { "b": "3" } }),
        );
        check(json!({}), json!({ "map": { "a": null, "b": "1" } }), json!({ "map": { "b": "1" } }));
    }

    #[test]
    fn an_element_without_its_key_is_refused() {
        assert!(apply(json!({}), &json!({ "named": [{ "v": 1 }] }), &schema()).is_err());
        assert!(apply(json!({}), &json!({ "$patch": "fly" }), &schema()).is_err());
    }
}
