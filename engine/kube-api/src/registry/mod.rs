//! The resources that are served: data, so that handlers know none by name.
//!
//! Reading order: this file → crd (custom resources) → builtin (v1 Namespace, Node, ConfigMap) → rules.

mod builtin;
mod crd;
mod resource;
mod rules;

use std::sync::Arc;

use serde_json::Value;

pub use crd::CrdError;
pub use resource::{Column, Hooks, NameRule, Resource, Source, TypeSystem};
pub(crate) use rules::NAMESPACE_FINALIZER;

use crate::{
    schema::{Schema, SchemaError},
    store::ResourceId,
};

/// Schemas of built-in kinds and of the metadata that all kinds share.
const DEFINITIONS: &str = include_str!("../../crds/core-v1.json");
const DEVICES: &str = include_str!("../../crds/devices.yaml");
const DEVICE_MODELS: &str = include_str!("../../crds/devicemodels.yaml");
const DEVICE_STATUSES: &str = include_str!("../../crds/devicestatuses.yaml");

/// Name of the schema of object metadata.
pub(crate) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Name of the schema of the body of a deletion.
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
/// Name of the schema of list metadata.
pub(crate) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// Why a registry cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The definitions file is not JSON.
    #[error("the schema definitions are not JSON: {0}")]
    Definitions(serde_json::Error),
    /// A schema is wrong.
    #[error("resource {resource}: {source}")]
    Schema {
        /// Which resource.
        resource: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// A custom resource definition is wrong.
    #[error(transparent)]
    Crd(#[from] CrdError),
}

/// The resources served, in the order of discovery.
#[derive(Debug)]
pub struct Registry {
    resources: Vec<Arc<Resource>>,
    definitions: Value,
    delete_options: Schema,
}

impl Registry {
    /// No resources; only the definitions that schemas refer to.
    pub fn empty() -> Result<Self, RegistryError> {
        let file: Value = serde_json::from_str(DEFINITIONS).map_err(RegistryError::Definitions)?;
        let definitions = file["definitions"].clone();
        let delete_options = Schema::compile(&definitions[DELETE_OPTIONS], &definitions)
            .map_err(|source| RegistryError::Schema { resource: DELETE_OPTIONS.to_owned(), source })?;
        Ok(Self { resources: Vec::new(), definitions, delete_options })
    }

    /// v1 Namespace, Node and ConfigMap; `devices.kubeedge.io/v1beta1` Device, DeviceModel and DeviceStatus.
    pub fn standard() -> Result<Self, RegistryError> {
        let mut registry = Self::empty()?;
        for resource in builtin::resources(&registry.definitions)? {
            registry.add(resource);
        }
        let files =
            [(DEVICES, rules::DEVICE), (DEVICE_MODELS, rules::DEVICE_MODEL), (DEVICE_STATUSES, Hooks::NONE)];
        for (yaml, hooks) in files {
            let mut resource = crd::read(yaml, &registry.definitions)?;
            resource.hooks = hooks;
            registry.add(resource);
        }
        Ok(registry)
    }

    /// Serves one more resource.
    pub fn add(&mut self, resource: Resource) {
        self.resources.push(Arc::new(resource));
    }

    /// Serves what a `CustomResourceDefinition` in YAML or JSON describes (its first served version).
    pub fn add_crd(&mut self, manifest: &str) -> Result<(), RegistryError> {
        let resource = crd::read(manifest, &self.definitions)?;
        self.add(resource);
        Ok(())
    }

    /// All resources.
    pub fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.iter()
    }

    /// The resource at a URL's group, version and plural.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|r| r.id.group == group && r.version == version && r.id.plural == plural)
    }

    /// The resource that stores `id`.
    pub fn by_id(&self, id: &ResourceId) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|r| r.id == *id)
    }

    /// The resource of an `apiVersion` (any version of its group) and `kind`.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.resources.iter().find(|r| r.id.group == group && r.kind == kind)
    }

    /// (group, version) pairs in the order of discovery, each once.
    pub fn group_versions(&self) -> Vec<(&str, &str)> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for resource in &self.resources {
            let pair = (resource.id.group.as_str(), resource.version.as_str());
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        pairs
    }

    /// Schema of the body of a deletion.
    pub(crate) fn delete_options(&self) -> &Schema {
        &self.delete_options
    }

    /// Schemas by name that the resources' schemas refer to as `#/definitions/NAME`.
    pub fn definitions(&self) -> &Value {
        &self.definitions
    }
}
