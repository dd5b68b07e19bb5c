//! edge — one small process per node: devices over MQTT, their twins, the log, the session with the cloud.
//!
//! ```text
//!   devices ◄─MQTT─► EventBus ──decide, append──► ┌────────┐ ──up──────► EdgeHub ◄─session─► cloud
//!                       ▲                         │ writer │ ◄──down────
//!                       │ delta, membership       │  log   │
//!                       └──── MetaManager ◄───────└────────┘──► retention, gauges, status, checkpoints
//! ```
//! Everything that is answered is durable first, and nothing waits for the cloud: it starts, answers and
//! restarts without a network, from the log alone. DeviceTwin decides and has no state but the rows of the
//! two streams; MetaManager tells devices what came down; EdgeHub moves runs.
//!
//! Reading order:     layout → config → store → devicetwin → eventbus → metamanager → edgehub → app → cli;
//!                    then join, retention, status, ctl.
//! Depends on:        schemas, engine (core, log, log-rocksdb, transport, pki, process, session), edge/mqtt.
//! Used by:           chaos.
//! Absent on purpose: a Kubernetes client, NATS, raft; any state outside the log.

pub mod address;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod devicetwin;
pub mod edgehub;
pub mod eventbus;
pub mod gauges;
mod http;
pub mod join;
pub mod layout;
pub mod metamanager;
pub mod metric_definitions;
pub mod retention;
mod start_error;
pub mod status;
pub mod store;

pub use app::App;
pub use config::Config;
pub use start_error::StartError;
