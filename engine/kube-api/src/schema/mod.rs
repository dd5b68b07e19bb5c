//! OpenAPI v3 schemas: read once, then used to prune, default, validate, merge and own fields.
//!
//! Reading order: this file → prune → default → validate.

pub mod default;
pub mod prune;
pub mod validate;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// Deepest nesting of a schema; deeper is an error, so that definitions that refer to themselves end.
const MAX_DEPTH: usize = 64;

/// Our extension: the number of a field in protobuf messages. Not published.
pub(crate) const PROTOBUF_NUMBER: &str = "x-protobuf-number";

/// JSON type that a schema asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `object`
    Object,
    /// `array`
    Array,
    /// `string`
    String,
    /// `integer`
    Integer,
    /// `number`
    Number,
    /// `boolean`
    Boolean,
}

impl Type {
    /// As schemas and messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// How a list is merged and owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// As a whole.
    #[default]
    Atomic,
    /// Each value is an element.
    Set,
    /// Elements are told apart by these keys.
    Map(Vec<String>),
}

/// What a merge of a strategic merge patch does with a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Whether elements are merged rather than the list replaced.
    pub merge: bool,
    /// Field that tells elements apart; `None` for lists of plain values.
    pub key: Option<String>,
}

/// A schema, compiled. Fields left out are no constraint.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Type; `None` allows any.
    pub kind: Option<Type>,
    /// `int32`, `int64`, `date-time`, `byte` …
    pub format: Option<String>,
    /// Whether `null` is a value.
    pub nullable: bool,
    /// Fields of an object.
    pub properties: BTreeMap<String, Schema>,
    /// Schema of further fields.
    pub additional: Option<Box<Schema>>,
    /// Schema of elements.
    pub items: Option<Box<Schema>>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// Allowed values; empty allows any.
    pub allowed: Vec<Value>,
    /// Value when absent.
    pub default: Option<Value>,
    /// Smallest number, and whether it is itself excluded.
    pub minimum: Option<(f64, bool)>,
    /// Largest number, and whether it is itself excluded.
    pub maximum: Option<(f64, bool)>,
    /// Least count of characters, elements or fields.
    pub min_count: Option<usize>,
    /// Largest count of characters, elements or fields.
    pub max_count: Option<usize>,
    /// Pattern of text.
    pub pattern: Option<Regex>,
    /// `x-kubernetes-preserve-unknown-fields`
    pub preserve_unknown: bool,
    /// `x-kubernetes-int-or-string`
    pub int_or_string: bool,
    /// `x-kubernetes-list-type`
    pub list_type: ListType,
    /// `x-kubernetes-map-type: atomic`
    pub atomic_map: bool,
    /// `x-kubernetes-patch-strategy` and `-merge-key`
    pub patch: PatchStrategy,
    /// Number of the field in protobuf messages of built-in kinds.
    pub number: Option<u64>,
}

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A `$ref` names nothing.
    #[error("schema refers to {0}, which is not defined; define it in the same file")]
    Unresolved(String),
    /// Nesting too deep, or a definition that refers to itself.
    #[error("schema nests deeper than {MAX_DEPTH} levels at {0}; definitions must not refer to themselves")]
    TooDeep(String),
    /// A type name that there is not.
    #[error("schema at {at} has type {found:?}; use object, array, string, integer, number or boolean")]
    Type {
        /// Where.
        at: String,
        /// What stands there.
        found: String,
    },
    /// A pattern that is not a regular expression.
    #[error("schema at {at} has a pattern that cannot be compiled: {why}")]
    Pattern {
        /// Where.
        at: String,
        /// Why not.
        why: String,
    },
}

impl Schema {
    /// Compiles `raw`, resolving `#/definitions/NAME` in `definitions`.
    pub fn compile(raw: &Value, definitions: &Value) -> Result<Self, SchemaError> {
        compile(raw, definitions, "", 0)
    }

    /// Schema of the field `name`, if it has one.
    pub fn field(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// A schema that allows and keeps everything.
    pub fn anything() -> Self {
        Self { preserve_unknown: true, ..Self::default() }
    }
}

fn compile(raw: &Value, definitions: &Value, at: &str, depth: usize) -> Result<Schema, SchemaError> {
    if depth > MAX_DEPTH {
        return Err(SchemaError::TooDeep(at.to_owned()));
    }
    if let Some(reference) = raw.get("$ref").and_then(Value::as_str) {
        let name = reference.trim_start_matches("#/definitions/");
        let target = definitions.get(name).ok_or_else(|| SchemaError::Unresolved(reference.to_owned()))?;
        let mut schema = compile(target, definitions, at, depth + 1)?;
        read_extensions(raw, &mut schema);
        return Ok(schema);
    }
    let mut schema = Schema {
        kind: kind_of(raw, at)?,
        format: text(raw, "format"),
        nullable: flag(raw, "nullable"),
        required: texts(raw, "required"),
        allowed: raw.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
        default: raw.get("default").cloned(),
        minimum: bound(raw, "minimum", "exclusiveMinimum"),
        maximum: bound(raw, "maximum", "exclusiveMaximum"),
        min_count: count(raw, ["minLength", "minItems", "minProperties"]),
        max_count: count(raw, ["maxLength", "maxItems", "maxProperties"]),
        ..Schema::default()
    };
    if let Some(pattern) = text(raw, "pattern") {
        let compiled = Regex::new(&pattern)
            .map_err(|error| SchemaError::Pattern { at: at.to_owned(), why: error.to_string() })?;
        schema.pattern = Some(compiled);
    }
    if let Some(properties) = raw.get("properties").and_then(Value::as_object) {
        for (name, raw) in properties {
            let field = compile(raw, definitions, &format!("{at}.{name}"), depth + 1)?;
            schema.properties.insert(name.clone(), field);
        }
    }
    match raw.get("additionalProperties") {
        Some(Value::Bool(true)) => schema.additional = Some(Box::new(Schema::anything())),
        Some(raw @ Value::Object(_)) => {
            schema.additional = Some(Box::new(compile(raw, definitions, &format!("{at}.*"), depth + 1)?));
        }
        _ => {}
    }
    if let Some(raw) = raw.get("items") {
        schema.items = Some(Box::new(compile(raw, definitions, &format!("{at}[]"), depth + 1)?));
    }
    read_extensions(raw, &mut schema);
    Ok(schema)
}

fn read_extensions(raw: &Value, schema: &mut Schema) {
    schema.preserve_unknown |= flag(raw, "x-kubernetes-preserve-unknown-fields");
    schema.int_or_string |= flag(raw, "x-kubernetes-int-or-string");
    schema.atomic_map |= text(raw, "x-kubernetes-map-type").as_deref() == Some("atomic");
    match text(raw, "x-kubernetes-list-type").as_deref() {
        Some("set") => schema.list_type = ListType::Set,
        Some("map") => schema.list_type = ListType::Map(texts(raw, "x-kubernetes-list-map-keys")),
        _ => {}
    }
    schema.number = raw.get(PROTOBUF_NUMBER).and_then(Value::as_u64).or(schema.number);
    if let Some(strategy) = text(raw, "x-kubernetes-patch-strategy") {
        let merge = strategy.split(',').any(|one| one == "merge");
        schema.patch = PatchStrategy { merge, key: text(raw, "x-kubernetes-patch-merge-key") };
    }
}

fn kind_of(raw: &Value, at: &str) -> Result<Option<Type>, SchemaError> {
    Ok(match raw.get("type").and_then(Value::as_str) {
        None => None,
        Some("object") => Some(Type::Object),
        Some("array") => Some(Type::Array),
        Some("string") => Some(Type::String),
        Some("integer") => Some(Type::Integer),
        Some("number") => Some(Type::Number),
        Some("boolean") => Some(Type::Boolean),
        Some(found) => return Err(SchemaError::Type { at: at.to_owned(), found: found.to_owned() }),
    })
}

fn text(raw: &Value, key: &str) -> Option<String> {
    raw.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn texts(raw: &Value, key: &str) -> Vec<String> {
    let list = raw.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn flag(raw: &Value, key: &str) -> bool {
    raw.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn bound(raw: &Value, key: &str, exclusive: &str) -> Option<(f64, bool)> {
    raw.get(key).and_then(Value::as_f64).map(|limit| (limit, flag(raw, exclusive)))
}

fn count(raw: &Value, keys: [&str; 3]) -> Option<usize> {
    keys.iter().find_map(|key| raw.get(*key)).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
}
