//! MetaManager: what the cloud sent down, and who at the edge is told of it.
//!
//! ```text
//!   down/<node> ──commit──► changes (since the last announcement) ──► delta, membership/updated (MQTT)
//!                                                                └──► DeviceForgotten, `bus/down` (log)
//! ```
//! How far was announced is a local value, written after the announcement: a crash in between repeats it,
//! and loses nothing. Devices that listen later ask with `twin/get`.

mod announcer;
mod changes;

pub use announcer::Announcer;
