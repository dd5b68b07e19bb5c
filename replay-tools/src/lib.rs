//! ledge-replay — what the log is for: any node's state at any moment, and whether two sides agree.
//!
//! ```text
//!   data directory ── source: lease of the running process, or lock of the stopped one ──► Reader
//!   Reader ──┬─► events   in order, filtered, decoded                    cat
//!            ├─► state    the view's rows at a position or a time        state
//!            ├─► device   both streams of a node, put together by seen   state --device
//!            ├─► list     streams and where they stand                   ls
//!            └─► verify   one store, or two that hold the same logs      verify [--against]
//! ```
//! Reading order:     json → decode → events → at → state → device → verify → source → commands.
//! Depends on:        schemas, engine.     Used by: chaos (the checkers that ship are the checkers that test).
//! Absent on purpose: writing. Nothing here changes a log, and nothing opens a live database.
//!
//! Everything but [`source`] works on any [`Reader`](ledge_core::log::Reader), the simulated store included:
//!
//! ```
//! use ledge_core::journal::{Draft, Journal};
//! use ledge_core::sync::commands::{Fresh, edge::begin_first};
//! use ledge_log::SimDisk;
//! use ledge_replay::{At, Filter, Verdict, events, state_at, verify};
//! use ledge_schemas::kinds::up::DeviceState;
//! use ledge_schemas::{LogId, NodeName, StreamId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = NodeName::new("oslo")?;
//! let up = StreamId::Up(node.clone());
//! let mut journal = Journal::open(SimDisk::new().open())?;
//! for (now_ms, state) in [(1_000, "online"), (2_000, "offline")] {
//!     let mut txn = journal.begin(now_ms);
//!     if now_ms == 1_000 {
//!         begin_first(&mut txn, &node, Fresh { log_id: LogId([7; 16]) })?;
//!     }
//!     let state = DeviceState { state: state.into(), last_online_ms: 0 };
//!     txn.append(&up, Draft::new("shop/pump", &state)?)?;
//!     txn.commit()?;
//! }
//! let reader = journal.store();
//!
//! let kinds: Vec<_> =
//!     events(reader, &up, Filter::default())?.map(|e| Ok(e?.record().kind)).collect::<Result<_, ledge_replay::ReplayError>>()?;
//! assert_eq!(kinds, ["device-state", "device-state"]);
//!
//! let then = state_at(reader, &up, At::Time(1_500))?.record("state/");
//! assert_eq!(then.rows[0].key, "state/shop/pump");
//! assert!(then.rows[0].value.as_str().starts_with(r#"{"state":"online""#));
//!
//! assert_eq!(verify(reader).verdict(), Verdict::Good);
//! # Ok(())
//! # }
//! ```

pub mod at;
pub mod commands;
pub mod decode;
pub mod device;
pub mod error;
pub mod events;
pub mod json;
pub mod list;
pub mod source;
pub mod state;
pub mod time;
pub mod verify;

pub use at::{At, locate};
pub use device::{Device, device_at};
pub use error::ReplayError;
pub use events::{Entry, Filter, Record, events};
pub use list::{LogInfo, streams};
pub use source::{Source, SourceError};
pub use state::{State, StateRecord, state_at};
pub use verify::{Comparison, Problem, Report, Verdict, compare, verify};
