//! Validation of a value against a schema, with the messages of a Kubernetes API server.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ListType, Schema, Type, prune::join};
use crate::status::FieldError;

/// Most errors reported for one object.
const MAX_ERRORS: usize = 50;

/// Everything that is wrong with `value`; empty when it fits.
pub fn validate(value: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check(value, schema, "", &mut errors);
    errors.truncate(MAX_ERRORS);
    errors
}

/// The first value of a wrong type: (path, type found, type wanted). For objects that are decoded rather than validated.
pub fn first_wrong_type(value: &Value, schema: &Schema) -> Option<(String, &'static str, &'static str)> {
    wrong_type(value, schema, "")
}

fn wrong_type(value: &Value, schema: &Schema, at: &str) -> Option<(String, &'static str, &'static str)> {
    if !fits(value, schema) {
        return Some((at.to_owned(), type_name(value), schema.kind.map_or("string", Type::name)));
    }
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            schema.field(name).and_then(|inner| wrong_type(field, inner, &join(at, name)))
        }),
        Value::Array(items) => {
            let inner = schema.items.as_deref()?;
            items.iter().find_map(|item| wrong_type(item, inner, at))
        }
        _ => None,
    }
}

fn check(value: &Value, schema: &Schema, at: &str, errors: &mut Vec<FieldError>) {
    if errors.len() >= MAX_ERRORS {
        return;
    }
    if !fits(value, schema) {
        let found = type_name(value);
        let wanted =
            if schema.int_or_string { "integer,string" } else { schema.kind.map_or("any", Type::name) };
        let why = format!("{at} in body must be of type {wanted}: {found:?}");
        errors.push(FieldError::type_invalid(at, found, &why));
        return;
    }
    if !schema.allowed.is_empty() && !value.is_null() && !schema.allowed.contains(value) {
        errors.push(FieldError::not_supported(at, value, &schema.allowed));
    }
    match value {
        Value::Object(fields) => {
            for name in schema.required.iter().filter(|name| !fields.contains_key(*name)) {
                errors.push(FieldError::required(join(at, name), ""));
            }
            check_count(fields.len(), "properties", value, schema, at, errors);
            for (name, field) in fields {
                if let Some(inner) = schema.field(name) {
                    check(field, inner, &join(at, name), errors);
                }
            }
        }
        Value::Array(items) => {
            check_count(items.len(), "items", value, schema, at, errors);
            check_unique(items, schema, at, errors);
            if let Some(inner) = schema.items.as_deref() {
                for (index, item) in items.iter().enumerate() {
                    check(item, inner, &format!("{at}[{index}]"), errors);
                }
            }
        }
        Value::String(text) => check_text(text, value, schema, at, errors),
        Value::Number(_) => check_number(value, schema, at, errors),
        Value::Bool(_) | Value::Null => {}
    }
}

fn fits(value: &Value, schema: &Schema) -> bool {
    if schema.int_or_string {
        return value.is_string() || is_integer(value) || (value.is_null() && schema.nullable);
    }
    match (schema.kind, value) {
        (None, _) => true,
        (Some(_), Value::Null) => schema.nullable,
        (Some(Type::Object), _) => value.is_object(),
        (Some(Type::Array), _) => value.is_array(),
        (Some(Type::String), _) => value.is_string(),
        (Some(Type::Integer), _) => is_integer(value),
        (Some(Type::Number), _) => value.is_number(),
        (Some(Type::Boolean), _) => value.is_boolean(),
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_text(text: &str, value: &Value, schema: &Schema, at: &str, errors: &mut Vec<FieldError>) {
    let length = text.chars().count();
    if let Some(least) = schema.min_count.filter(|least| length < *least) {
        let why = format!("{at} in body should be at least {least} chars long");
        errors.push(FieldError::invalid(at, value, &why));
    }
    if let Some(most) = schema.max_count.filter(|most| length > *most) {
        errors.push(FieldError::too_long(at, most));
    }
    if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        let why = format!("{at} in body should match '{}'", pattern.as_str());
        errors.push(FieldError::invalid(at, value, &why));
    }
    let wrong = match schema.format.as_deref() {
        Some("date-time") => text.parse::<jiff::Timestamp>().is_err(),
        Some("byte") => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).is_err()
        }
        _ => false,
    };
    if wrong {
        let format = schema.format.as_deref().unwrap_or_default();
        let why = format!("{at} in body must be of type {format}: {text:?}");
        errors.push(FieldError::invalid(at, value, &why));
    }
}

fn check_number(value: &Value, schema: &Schema, at: &str, errors: &mut Vec<FieldError>) {
    let Some(number) = value.as_f64() else { return };
    if let Some((limit, exclusive)) = schema.minimum
        && (number < limit || exclusive && number <= limit)
    {
        let or_equal = if exclusive { "" } else { " or equal to" };
        let why = format!("{at} in body should be greater than{or_equal} {limit}");
        errors.push(FieldError::invalid(at, value, &why));
    }
    if let Some((limit, exclusive)) = schema.maximum
        && (number > limit || exclusive && number >= limit)
    {
        let or_equal = if exclusive { "" } else { " or equal to" };
        let why = format!("{at} in body should be less than{or_equal} {limit}");
        errors.push(FieldError::invalid(at, value, &why));
    }
    let in_range = match schema.format.as_deref() {
        Some("int32") => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) || value.is_f64(),
        Some("int64") => value.as_i64().is_some() || value.is_f64(),
        _ => true,
    };
    if !in_range {
        let format = schema.format.as_deref().unwrap_or_default();
        let why = format!("{at} in body must be of type {format}: {value}");
        errors.push(FieldError::invalid(at, value, &why));
    }
}

fn check_count(n: usize, what: &str, value: &Value, schema: &Schema, at: &str, errors: &mut Vec<FieldError>) {
    if let Some(least) = schema.min_count.filter(|least| n < *least) {
        let why = format!("{at} in body should have at least {least} {what}");
        errors.push(FieldError::invalid(at, value, &why));
    }
    if let Some(most) = schema.max_count.filter(|most| n > *most) {
        errors.push(FieldError::too_many(at, n, most));
    }
}

fn check_unique(items: &[Value], schema: &Schema, at: &str, errors: &mut Vec<FieldError>) {
    let identity = |item: &Value| match &schema.list_type {
        ListType::Atomic => None,
        ListType::Set => Some(item.clone()),
        ListType::Map(keys) => {
            let pairs = keys.iter().filter_map(|key| item.get(key).map(|value| (key.clone(), value.clone())));
            Some(Value::Object(pairs.collect()))
        }
    };
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(identity) = identity(item)
            && !seen.insert(identity.to_string())
        {
            errors.push(FieldError::duplicate(format!("{at}[{index}]"), &identity));
        }
    }
}
