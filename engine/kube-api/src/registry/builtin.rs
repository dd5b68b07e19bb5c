//! v1 Namespace, Node and ConfigMap.

use serde_json::{Value, json};

use super::{Column, Hooks, NameRule, RegistryError, Resource, Source, TypeSystem, rules};
use crate::{jsonpath::JsonPath, schema::Schema, store::ResourceId};

pub(super) fn resources(definitions: &Value) -> Result<[Resource; 3], RegistryError> {
    let namespace = Resource {
        namespaced: false,
        short_names: vec!["ns".to_owned()],
        columns: vec![path("Status", "The status of the namespace", 0, &["status", "phase"]), age()],
        selectable: vec![("status.phase".to_owned(), JsonPath::fields(&["status", "phase"]))],
        status_subresource: true,
        names: NameRule::Label,
        hooks: rules::NAMESPACE,
        ..core("Namespace", "namespaces", definitions)?
    };
    let node = Resource {
        namespaced: false,
        short_names: vec!["no".to_owned()],
        columns: node_columns(),
        selectable: vec![("spec.unschedulable".to_owned(), JsonPath::fields(&["spec", "unschedulable"]))],
        status_subresource: true,
        ..core("Node", "nodes", definitions)?
    };
    let config_map = Resource {
        short_names: vec!["cm".to_owned()],
        columns: vec![
            computed("Data", "integer", "Number of entries in the config map.", 0, |object| {
                let count = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
                json!(count("data") + count("binaryData"))
            }),
            age(),
        ],
        hooks: rules::CONFIG_MAP,
        ..core("ConfigMap", "configmaps", definitions)?
    };
    Ok([namespace, node, config_map])
}

/// The age column, last in most tables.
pub(super) fn age() -> Column {
    let mut column = path("Age", "Time since the object was created", 0, &["metadata", "creationTimestamp"]);
    column.kind = "date".to_owned();
    column
}

fn core(kind: &str, plural: &str, definitions: &Value) -> Result<Resource, RegistryError> {
    let schema_name = format!("io.k8s.api.core.v1.{kind}");
    let raw_schema = definitions[&schema_name].clone();
    let schema = Schema::compile(&raw_schema, definitions)
        .map_err(|source| RegistryError::Schema { resource: plural.to_owned(), source })?;
    Ok(Resource {
        id: ResourceId::new("", plural),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        singular: kind.to_lowercase(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        types: TypeSystem::BuiltIn,
        schema,
        raw_schema,
        schema_name,
        columns: Vec::new(),
        selectable: Vec::new(),
        status_subresource: false,
        names: NameRule::Subdomain,
        hooks: Hooks::NONE,
    })
}

fn path(name: &str, description: &str, priority: i32, fields: &[&str]) -> Column {
    Column {
        name: name.to_owned(),
        kind: "string".to_owned(),
        description: description.to_owned(),
        priority,
        source: Source::Path(JsonPath::fields(fields)),
    }
}

fn computed(name: &str, kind: &str, description: &str, priority: i32, cell: fn(&Value) -> Value) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        description: description.to_owned(),
        priority,
        source: Source::Computed(cell),
    }
}

fn node_columns() -> Vec<Column> {
    let info = |name, field: &'static str, priority| {
        path(name, "As the node reports it", priority, &["status", "nodeInfo", field])
    };
    let wide = "As the node reports it";
    vec![
        computed("Status", "string", "The status of the node", 0, node_status),
        computed("Roles", "string", "The roles of the node", 0, node_roles),
        age(),
        info("Version", "kubeletVersion", 0),
        computed("Internal-IP", "string", wide, 1, |node| address(node, "InternalIP")),
        computed("External-IP", "string", wide, 1, |node| address(node, "ExternalIP")),
        computed("OS-Image", "string", wide, 1, |node| info_or_unknown(node, "osImage")),
        computed("Kernel-Version", "string", wide, 1, |node| info_or_unknown(node, "kernelVersion")),
        computed("Container-Runtime", "string", wide, 1, |node| {
            info_or_unknown(node, "containerRuntimeVersion")
        }),
    ]
}

fn node_status(node: &Value) -> Value {
    let conditions = node["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|condition| &condition["status"]) {
        Some(status) if status == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if node["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    json!(status)
}

fn node_roles(node: &Value) -> Value {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let mut roles: Vec<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    json!(if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") })
}

fn address(node: &Value, kind: &str) -> Value {
    let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    let found = addresses.filter(|entry| entry["type"] == kind).find_map(|entry| entry["address"].as_str());
    json!(found.unwrap_or("<none>"))
}

fn info_or_unknown(node: &Value, field: &str) -> Value {
    let info = node["status"]["nodeInfo"][field].as_str().filter(|text| !text.is_empty());
    json!(info.unwrap_or("<unknown>"))
}
