//! session — drives one sync session over one link: the same loop at the edge and in the cloud.
//!
//! ```text
//!   Link ──message──► ┌───────────────┐ ──Send──► Outbox (a queue per lane) ──► Link
//!   tick, tail ─────► │ sync::Session │ ──Command──► the store's writer ──┐ many at once,
//!            ┌──Done─►└───────┬───────┘                                   │ answered in order
//!            └────────────────│───────────────────────────────────────────┘
//!                             └─ Live, Overlay, Note ──► SessionObserver
//! ```
//!
//! Nothing here waits for one thing at a time: while a lane is full the link is still read, while a commit
//! syncs the next commands are already queued behind it. When the session ends, for whatever reason, the
//! commands that were handed to the writer are seen through before [`drive`] returns, so that the next
//! session of the node starts from what they left.
//!
//! Reading order:     log (what is driven) → observer → pipeline → commands → outbox → drive.
//! Depends on:        schemas, core, log, transport.     Used by: cloud, edge.
//! Absent on purpose: decisions (core's), connecting and reconnecting (edge), listening (cloud), which
//! store it is.

mod commands;
mod drive;
mod log;
pub mod metric_definitions;
mod observer;
mod outbox;
mod pipeline;

pub use drive::{Ended, drive};
pub use log::SessionStore;
pub use observer::SessionObserver;
pub use pipeline::{Begun, Pipeline, Step};
