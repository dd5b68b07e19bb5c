//! cloud — `ledge-cloud`: sessions of nodes, the Kubernetes-style API, the controllers between the two.
//!
//! ```text
//!   kubectl ──TLS──► api ──────writes──────► cluster ┐
//!                     ▲ watch, patch                 │
//!               controllers ────differences────► down/<node> ├─ one log, one writer
//!                     ▲ commits                      │
//!   nodes ──mTLS──► hub ───────sessions────► up/<node>, control ┘
//!   nodes ──TLS───► join ──────certificates──────► control
//!   tools ──D/ctl.sock──► ctl ─► operations
//! ```
//! Reading order:     config → log → records → namespaces → api → join → hub → controllers → operations →
//!                    ctl → app → cli.
//! Depends on:        schemas, engine.     Used by: chaos.
//! Absent on purpose: state that is not in the log, apart from who is connected now; any reading of the
//! API's tables by a controller; decisions about sync (engine/core) and about what leaves a node
//! (`ledge_core::desired`).
//!
//! Known limits: one replica; an API object is at most 496 KiB; nothing is trimmed yet.

pub mod admin;
pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controllers;
pub mod ctl;
pub mod hub;
pub mod join;
pub mod log;
pub mod metric_definitions;
pub mod namespaces;
pub mod operations;
pub mod records;

pub use app::App;
pub use config::Config;
