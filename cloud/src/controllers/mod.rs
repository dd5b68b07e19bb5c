//! The controllers: clients of the Kubernetes API through the `kube` crate, never of its tables, so that a
//! real API server can stand where ours does.
//!
//! ```text
//!   API ──watch──► devices: what each node should have ──reconcile in the writer──► down/<node>
//!   up/<node> ──commits──► status: what each device said ──patch, latest only, on a budget──► API
//!   sessions, control ──► nodes: Node objects and their conditions ──patch──► API
//! ```
//! Reading order: client → queue → desired → devices → recovery → status → nodes.

mod budget;
mod client;
mod desired;
mod devices;
mod nodes;
mod queue;
mod recovery;
mod status;
mod twins;

pub(crate) use budget::Budget;
pub use client::{ApiClient, ClientError};
pub use devices::DeviceController;
pub use nodes::NodeController;
pub use recovery::{HeldObject, Preview, RecoverError};
pub use status::StatusController;
