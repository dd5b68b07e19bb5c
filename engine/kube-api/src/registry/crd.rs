//! Reads a `CustomResourceDefinition` manifest into a [`Resource`].

use serde_json::{Value, json};

use super::{Column, Hooks, NameRule, OBJECT_META, RegistryError, Resource, Source, TypeSystem};
use crate::{jsonpath::JsonPath, schema::Schema, store::ResourceId};

/// Why a manifest cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// Not YAML.
    #[error("the custom resource definition is not YAML: {0}")]
    Yaml(#[from] serde_yaml_ng::Error),
    /// A field is not there or of the wrong type.
    #[error("the custom resource definition {name} has no {field}; add it")]
    Missing {
        /// Name of the definition.
        name: String,
        /// Path of the field.
        field: &'static str,
    },
    /// A printer column or selectable field has a path that cannot be read.
    #[error("the custom resource definition {name} has the path {path:?}, which cannot be read: {why}")]
    Path {
        /// Name of the definition.
        name: String,
        /// The path.
        path: String,
        /// Why not.
        why: String,
    },
}

pub(super) fn read(manifest: &str, definitions: &Value) -> Result<Resource, RegistryError> {
    let crd: Value = serde_yaml_ng::from_str(manifest).map_err(CrdError::Yaml)?;
    let name = crd["metadata"]["name"].as_str().unwrap_or("(without a name)").to_owned();
    let missing = |field| CrdError::Missing { name: name.clone(), field };
    let spec = &crd["spec"];
    let names = &spec["names"];
    let group = text(&spec["group"]).ok_or_else(|| missing("spec.group"))?;
    let plural = text(&names["plural"]).ok_or_else(|| missing("spec.names.plural"))?;
    let kind = text(&names["kind"]).ok_or_else(|| missing("spec.names.kind"))?;
    let versions = spec["versions"].as_array().ok_or_else(|| missing("spec.versions"))?;
    let version = versions
        .iter()
        .find(|version| version["served"].as_bool().unwrap_or(false))
        .ok_or_else(|| missing("spec.versions[] with served: true"))?;
    let version_name = text(&version["name"]).ok_or_else(|| missing("spec.versions[].name"))?;
    let mut raw_schema = version["schema"]["openAPIV3Schema"].clone();
    if !raw_schema.is_object() {
        return Err(missing("spec.versions[].schema.openAPIV3Schema").into());
    }
    raw_schema["properties"]["apiVersion"] =
        json!({ "type": "string", "description": "Version of the schema of this object." });
    raw_schema["properties"]["kind"] = json!({ "type": "string", "description": "Kind of this object." });
    raw_schema["properties"]["metadata"] =
        json!({ "$ref": format!("#/definitions/{OBJECT_META}"), "description": "Standard object metadata." });
    let schema = Schema::compile(&raw_schema, definitions)
        .map_err(|source| RegistryError::Schema { resource: name.clone(), source })?;
    let path = |text: &str| {
        JsonPath::parse(text).map_err(|why| CrdError::Path {
            name: name.clone(),
            path: text.to_owned(),
            why: why.to_string(),
        })
    };
    let mut selectable = Vec::new();
    for field in version["selectableFields"].as_array().into_iter().flatten() {
        let full = field["jsonPath"].as_str().unwrap_or_default();
        selectable.push((full.trim_start_matches('.').to_owned(), path(full)?));
    }
    let mut columns = Vec::new();
    for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
        columns.push(Column {
            name: text(&column["name"]).unwrap_or_default(),
            kind: text(&column["type"]).unwrap_or_else(|| "string".to_owned()),
            description: text(&column["description"]).unwrap_or_default(),
            priority: column["priority"].as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
            source: Source::Path(path(column["jsonPath"].as_str().unwrap_or_default())?),
        });
    }
    if columns.is_empty() {
        columns.push(super::builtin::age());
    }
    let singular = text(&names["singular"]).unwrap_or_else(|| kind.to_lowercase());
    let list_kind = text(&names["listKind"]).unwrap_or_else(|| format!("{kind}List"));
    let reversed = group.rsplit('.').collect::<Vec<_>>().join(".");
    Ok(Resource {
        schema_name: format!("{reversed}.{version_name}.{kind}"),
        id: ResourceId { group, plural },
        version: version_name,
        kind,
        list_kind,
        singular,
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"].as_str() != Some("Cluster"),
        types: TypeSystem::Custom,
        schema,
        raw_schema,
        columns,
        selectable,
        status_subresource: version["subresources"]["status"].is_object(),
        names: NameRule::Subdomain,
        hooks: Hooks::NONE,
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(text).collect()
}
