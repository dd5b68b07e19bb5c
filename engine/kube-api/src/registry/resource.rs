//! One resource: everything the handlers must know about it.

use serde_json::Value;

use crate::{jsonpath::JsonPath, schema::Schema, status::FieldError, store::ResourceId};

/// How strictly bodies are read: the two ways of a Kubernetes API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeSystem {
    /// A kind that is part of the server: a value of a wrong type cannot be decoded (400), `null` means absent, strategic
    /// merge patches work, an update may leave out `resourceVersion`, `generation` is not kept.
    BuiltIn,
    /// A kind described by a schema: it is pruned, defaulted and validated (422); no strategic merge patch; an update names
    /// `resourceVersion`; `generation` counts changes.
    Custom,
}

/// Which names are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// DNS label: at most 63 characters, no dots.
    Label,
    /// DNS subdomain: at most 253 characters.
    Subdomain,
}

/// Behaviour that data cannot describe.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Completes an object before it is validated: (new, old or `None` at creation).
    pub prepare: fn(&mut Value, Option<&Value>),
    /// Rules beyond the schema: (new, old or `None` at creation).
    pub validate: fn(&Value, Option<&Value>) -> Vec<FieldError>,
}

impl Hooks {
    /// Nothing beyond the schema.
    pub const NONE: Self = Self { prepare: |_, _| {}, validate: |_, _| Vec::new() };
}

/// Where a printed cell comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// First value at a path.
    Path(JsonPath),
    /// Computed from the object.
    Computed(fn(&Value) -> Value),
}

/// A column of `kubectl get`.
#[derive(Clone, Debug)]
pub struct Column {
    /// Header.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean`, or `date` (shown as an age).
    pub kind: String,
    /// For people.
    pub description: String,
    /// 0: always shown; greater: with `-o wide`.
    pub priority: i32,
    /// Where the value comes from.
    pub source: Source,
}

/// A served resource.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Group and plural.
    pub id: ResourceId,
    /// Served version.
    pub version: String,
    /// Kind of one object.
    pub kind: String,
    /// Kind of a list.
    pub list_kind: String,
    /// Singular, lower case.
    pub singular: String,
    /// Abbreviations that clients accept.
    pub short_names: Vec<String>,
    /// Groups such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// How bodies are read.
    pub types: TypeSystem,
    /// Compiled schema of the whole object.
    pub schema: Schema,
    /// The schema as published.
    pub raw_schema: Value,
    /// Name under which the schema is published.
    pub schema_name: String,
    /// Printed columns after the name.
    pub columns: Vec<Column>,
    /// Fields, beyond name and namespace, that field selectors may use.
    pub selectable: Vec<(String, JsonPath)>,
    /// Whether `status` is written through `/status` only.
    pub status_subresource: bool,
    /// Which names are allowed.
    pub names: NameRule,
    /// Behaviour beyond data.
    pub hooks: Hooks,
}

impl Resource {
    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        match self.id.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Whether the kind is part of the server.
    pub fn is_builtin(&self) -> bool {
        self.types == TypeSystem::BuiltIn
    }

    /// Whether the resource is the one of namespaces, which hold other objects.
    pub fn is_namespace(&self) -> bool {
        self.id.group.is_empty() && self.id.plural == "namespaces"
    }
}
