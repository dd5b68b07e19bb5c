//! transport: one WebSocket over mutual TLS per node, carrying opaque messages in lanes.
//!
//! ```text
//!  LinkSender (clone) ──send(lane, message)──► ┌ liveness ┐
//!                                              │ live     │ bounded by bytes     writer task: always the
//!                                              │ tunnel   │ per lane       ────► most urgent chunk, 8 KiB ──┐
//!                                              └ history  ┘                                                 ▼
//!                                                                                     WebSocket │ TLS │ TCP
//!  LinkReceiver ◄──recv()── message ◄── Reassembly (one per lane) ◄── chunk ◄───────────────────────────────┘
//!
//!  connect(target, tls, config) ─► Link            Listener::bind(…) ─► accept() ─► Link + PeerIdentity
//!  Backoff: when to connect again                  Admission: whom to admit, whom to send away for how long
//! ```
//!
//! Reading order: `lane` → `chunk` → `queue` → `config` → `link` (`writer`, `receiver`) → `connect` →
//! `listener` → `backoff`.
//!
//! Messages are cut into chunks of at most 8 KiB, one WebSocket frame each, and lanes interleave between
//! chunks: a heartbeat waits behind 8 KiB of history, not behind a megabyte, also on a slow line. For the
//! same reason the kernel is given little ahead of time (`TCP_NOTSENT_LOWAT`). And since no WebSocket
//! frame is longer, no buffer of an idle connection stays large after a burst.
//!
//! Absent on purpose: what messages mean, acknowledgement, credit, heartbeats, reconnection itself (the
//! session core and its drivers), fencing of a second connection of the same node, plain HTTP.

mod admission;
mod backoff;
mod chunk;
mod close;
mod config;
mod connect;
mod lane;
mod link;
mod listener;
mod metric_definitions;
mod queue;
mod receiver;
mod socket;
mod writer;

pub use admission::{Admission, AdmitAll, Verdict};
pub use backoff::Backoff;
pub use close::{CloseCode, LinkError, SendError, TrySendError};
pub use config::{HUB_PATH, LaneBudgets, LinkConfig, ListenerConfig};
pub use connect::{ConnectError, ConnectTarget, Stage, connect};
pub use lane::Lane;
pub use link::{Link, LinkSender};
pub use listener::{Accepted, BindError, Listener};
pub use metric_definitions::describe_metrics;
pub use receiver::LinkReceiver;
