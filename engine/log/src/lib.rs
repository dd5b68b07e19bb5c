//! Around the log contract of `ledge_core::log`: what is common to every store, and the one writer.
//!
//! ```text
//!   WriterHandle ──commands──► writer (one thread) ──► journal::Journal ──► Store
//!        ▲  watch(stream)           │ admission            rules: checked alike by every store
//!        └──────── tails ───────────┘
//!   conformance ──the same cases──► SimStore, RocksStore, …
//! ```
//! Reading order:     rules → sim → conformance → writer → crash_point.
//! Depends on:        schemas, core.     Used by: log-rocksdb, cloud, edge, chaos.
//! Absent on purpose: any file format; each store has its own.

pub mod conformance;
mod crash_point;
pub mod rules;
pub mod sim;
pub mod writer;

pub use crash_point::crash_point;
pub use sim::{SimDisk, SimStore};
pub use writer::{Class, WriteError, Writer, WriterConfig, WriterHandle};
