//! Pruning: fields that the schema does not know are removed, and named so that the writer can be told.

use serde_json::Value;

use super::Schema;

/// Removes unknown fields from `value`; returns their paths, such as `spec.properties[0].colour`.
pub fn prune(value: &mut Value, schema: &Schema) -> Vec<String> {
    let mut unknown = Vec::new();
    walk(value, schema, "", &mut unknown);
    unknown
}

/// Removes `null` fields of objects everywhere: what decoding into a typed built-in object does.
pub fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn walk(value: &mut Value, schema: &Schema, at: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let path = join(at, &name);
                match schema.field(&name) {
                    Some(inner) => {
                        if let Some(field) = fields.get_mut(&name) {
                            walk(field, inner, &path, unknown);
                        }
                    }
                    None if schema.preserve_unknown => {}
                    None => {
                        fields.remove(&name);
                        unknown.push(path);
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.items.as_deref() {
                for (index, item) in items.iter_mut().enumerate() {
                    walk(item, inner, &format!("{at}[{index}]"), unknown);
                }
            }
        }
        _ => {}
    }
}

/// `at.name`, or `name` at the root.
pub fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
