//! A Kubernetes-style REST and watch interface over an object store: what `kubectl` and client libraries talk to.
//!
//! ```text
//! kubectl, kube ──TLS──► serve ──Identity──► router ──► handlers ──get, list, write, watch──► dyn ObjectStore
//!                                              │            │                                       ▲
//!                                        discovery,   registry: schemas,                            │
//!                                        openapi      columns, rules                   run_controllers (owners, namespaces)
//! ```
//!
//! Reading order: store (the seam) → registry (what is served) → status (errors) → schema → handlers → controllers → serve.
//!
//! Behaves as kube-apiserver 1.32 does, so that manifests and scripts tried here work there.
//!
//! Absent on purpose: admission webhooks, conversion between versions, protobuf in answers, RBAC objects (see [`auth::Authorizer`]),
//! `managedFields` and with them server-side apply (415), exec and other streams, and any knowledge of where objects are kept.

pub mod api;
pub mod auth;
mod controllers;
mod decode;
mod discovery;
mod handlers;
mod impatient;
pub mod jsonpath;
pub mod kubeconfig;
mod metadata;
pub mod metric_definitions;
mod names;
mod openapi;
pub mod options;
mod patch;
mod path;
mod protobuf;
mod query;
pub mod registry;
mod respond;
pub mod schema;
mod selector;
mod serve;
pub mod status;
pub mod store;
mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use api::Api;
pub use auth::Identity;
pub use controllers::run_controllers;
pub use handlers::router;
pub use options::Options;
pub use registry::Registry;
pub use serve::serve;
