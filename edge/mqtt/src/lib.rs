//! mqtt — how the edge speaks with devices: an embedded broker, or a bridge to one that is there already.
//!
//! ```text
//!   devices ──PUBLISH──► ┌────────┐ ──Handler::publish──► the edge's log
//!           ◄──PUBACK─── │ Broker │ ◄──Ok, once durable──
//!                        └────────┘
//!   devices ── mosquitto ──► ┌────────┐ ──Handler::publish──►
//!                 ▲  ◄─PUBACK│ Bridge │ ◄──Ok────────────────
//!                 │          └────────┘
//!                 └─────────────┴───── Publisher::publish ◄── the edge's answers
//! ```
//!
//! Both call one [`Handler`] and give out one [`Publisher`], so that the edge does not care which runs.
//! On a topic that the handler claims ([`Claim::Logged`]) a QoS 1 `PUBACK` and a QoS 2 `PUBREC` mean the
//! handler's `Ok`: in the log. Everything else is ordinary traffic between clients.
//!
//! # What the broker does
//!
//! - MQTT 3.1.1 and 5.0 over TCP; QoS 0, 1 and 2 in, 0 and 1 out (a QoS 2 subscription is granted 1).
//! - Sessions, clean or persistent, takeover, wills with their delay, retained messages, `$`-topics hidden
//!   from leading wildcards; of MQTT 5 also expiries, reason codes, properties handed on, subscription
//!   identifiers and options, receive maximum, maximum packet size, assigned client ids.
//! - Without credentials it binds loopback addresses only.
//! - Every queue, buffer and table is bounded; see [`BrokerConfig`]. A packet beyond the limit ends its
//!   connection before it is read.
//! - A refused message (a topic that only Ledge writes, a bad payload) gets its reason in v5. 3.1.1 can
//!   only acknowledge or close: that one client is closed, and the reason is logged, since a `PUBACK`
//!   that lies would be worse. At QoS 0 it is dropped and counted.
//! - A busy handler: v5 gets `0x97` and is not read for a while; for 3.1.1 the `PUBACK` waits, the message
//!   is offered again and again, and the client is not read until it is taken.
//!
//! Reading order: `handler` (the seam) → `publisher` → `topic` → `codec` → `intake`, `socket` (shared by
//! both) → `broker` → `bridge`.
//!
//! Depends on: nothing of Ledge. Used by: edge.
//!
//! Absent on purpose: TLS and WebSocket listeners, topic aliases (announced as 0), shared subscriptions
//! (announced as unavailable), enhanced authentication, sessions on disk (the log is what survives; clients
//! repeat what was not acknowledged), `$SYS` topics, per-topic permissions beyond the handler's claims.

mod bridge;
mod broker;
mod codec;
mod credentials;
mod handler;
mod intake;
mod message;
mod metric_definitions;
mod publisher;
mod socket;
pub mod topic;

pub use bridge::{Bridge, BridgeConfig, BridgeError};
pub use broker::{BindError, Broker, BrokerConfig};
pub use credentials::Credentials;
pub use handler::{Claim, Handler, Incoming, Origin, Refusal};
pub use publisher::{PublishError, Publisher};
