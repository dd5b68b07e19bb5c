//! EventBus: from MQTT to the log and back.
//!
//! ```text
//!   client ──► Intake (the broker's handler: takes a place in the queue, in the call itself)
//!                 │ Job
//!                 ▼
//!   Bus ──decide + append, many at once──► writer      Bus ──replies, then PUBACK──► client
//!        ◄────────── durable, in order ───┘
//! ```
//! One task moves everything, so that answers leave in the order in which the log took the messages. A
//! message is decided on the writer's thread, in the transaction that appends it: two updates of one device
//! can never be decided from the same rows.
//!
//! A message that its client sends again ([`remembered`]) is answered again and not appended again. Replies
//! go out before the `PUBACK`: a device that got none of both sends again, and is answered.
//!
//! Reading order: intake → bus → append → remembered → facts → broker.

mod append;
mod broker;
mod bus;
mod facts;
mod intake;
mod remembered;

pub use broker::{Listening, MqttError, listen};
pub use bus::Bus;
pub use intake::{Intake, Jobs};

use std::time::{SystemTime, UNIX_EPOCH};

use crate::devicetwin::Now;

/// The edge's clock and a fresh id, for an answer that is decided now.
pub(crate) fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), fresh_id: fresh_id() }
}

/// Random, in the shape of a UUID.
pub(crate) fn fresh_id() -> String {
    let id = format!("{:032x}", rand::random::<u128>());
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}
