//! The built-in Kubernetes-style API over the `cluster` stream.
//!
//! ```text
//!   kubectl, controllers ──TLS──► ledge-kube-api ──ObjectStore──► ClusterStore ──► writer, reader
//! ```

mod key;
mod read;
mod store;
mod watch;

pub use store::ClusterStore;
