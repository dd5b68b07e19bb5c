//! Defaulting: absent fields get the value that the schema names.

use serde_json::Value;

use super::Schema;

/// Fills in defaults, also inside of what was filled in. A `null` where none is allowed counts as absent if there is a default.
pub fn fill(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in &schema.properties {
                let Some(default) = &inner.default else { continue };
                let absent = fields.get(name).is_none_or(|field| field.is_null() && !inner.nullable);
                if absent {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, field) in fields.iter_mut() {
                if let Some(inner) = schema.field(name) {
                    fill(field, inner);
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| fill(item, inner));
            }
        }
        _ => {}
    }
}
