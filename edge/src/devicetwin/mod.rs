//! DeviceTwin: what becomes of a message of a device or a driver. Decides; does no I/O.
//!
//! ```text
//!   topic ──► topic::route ──► Plain, Refused: the broker's business
//!                │             Upload: appended as it is
//!                ▼
//!   payload ──► payload::* ──► update::decide ────────┐
//!               (bounded)      state::decide          ├─► event to append, replies to publish,
//!   rows ─────► device::load ─► get::answer           │   or a Rejected with its one reply
//!                              membership::answer ────┘
//! ```
//! The caller appends the event first and publishes `result` only when that is durable; if it could
//! not be appended, it publishes [`Rejected::new`] with the reason instead. Nothing here ever replies
//! to anywhere but the sender's own device or node.
//!
//! Reading order:     topic → value → payload → rejection → device → reply → update → state → membership.
//! Absent on purpose: clocks and random ids ([`Now`] carries them), locks, retries, and versions in
//! replies: they are in the rows.

pub mod device;
pub mod get;
pub mod membership;
pub mod payload;
pub mod rejection;
pub mod reply;
pub mod state;
pub mod topic;
pub mod update;
pub mod value;

#[cfg(test)]
mod tests;

pub use device::{Device, Facts, LoadError, StoreFacts};
pub use rejection::{Rejected, Rejection};
pub use reply::{Reply, delta};
pub use topic::{Ask, Refusal, Route, route};

/// What a decision may not find out by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// The edge's clock, Unix milliseconds.
    pub ms: u64,
    /// A fresh random id, for a message that answers none.
    pub fresh_id: String,
}
