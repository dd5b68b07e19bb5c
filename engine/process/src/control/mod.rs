//! `D/ctl.sock`: how tools ask a running process, instead of opening its files.
//!
//! ```text
//! client ─► {"op":"status","verbose":true}⏎                 one line each way, at most 64 KiB up and 16 MiB down
//!        ◄─ {"ok":{…}}⏎  or  {"error":{"code":"unknown-op","message":"…"}}⏎
//! ```
//! Requests of one connection are answered in order. A reply may carry a guard (a checkpoint's directory); it is dropped when
//! the connection ends, however it ends: the connection is the lease. The socket has mode 0600, and a peer of another
//! user than root or the process's own is refused. The operation `hello` is answered here: `{"pid":…,"version":"…"}`.
//!
//! Absent on purpose: what the operations are. A process implements [`CtlHandler`].

mod client;
mod line;
mod protocol;
mod server;
mod socket;

pub use client::{CtlClient, CtlError};
pub use protocol::{CtlFailure, CtlReply, CtlRequest, Guard, Hello};
pub use server::{CtlBindError, CtlHandler, CtlServer};
