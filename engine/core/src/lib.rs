//! The decisions, with no disk, socket, clock or async runtime.
//!
//! ```text
//!   cloud, edge, simulator ──Input──► ┌─────────────┐ ──Output──► read · commit · send · close
//!   timer, link, store     ──Input──► │ sync::{Edge, Cloud}Session │
//!                                     └──────┬──────┘
//!            commands ──► journal::Journal ──┴──► log::Store (RocksDB, simulated, …)
//!                              └─ every event ──► view::apply(rows, event)
//! ```
//! Reading order:     chain → run → frame → log → view → journal → sync → invariant.
//! Depends on:        schemas.     Used by: cloud, edge, replay-tools, chaos.
//! Absent on purpose: tokio, files, sockets, clocks, randomness, and any map whose order is random.

pub mod base;
pub mod broken;
pub mod chain;
pub mod desired;
pub mod digest;
pub mod frame;
pub mod invariant;
pub mod journal;
pub mod log;
pub mod run;
pub mod sync;
pub mod view;

pub use base::{Base, BaseReason, Row};
pub use chain::Chain;
pub use digest::Digest;
pub use run::{Run, RunError};
