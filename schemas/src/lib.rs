//! Data only: what crosses a disk or a wire in Ledge, and the numbers that bound it.
//!
//! ```text
//!   name, position ─► event ─► kinds/{up, down, cluster, control}     what happened
//!   format, limits, codec                                             how it is written, and how long it may be
//!   projection                                                        what of a Kubernetes object goes down to a node
//!   golden/vN/                                                        one file of each format ever released
//! ```
//! Reading order:     name → position → event → kinds → codec → projection.
//! Used by:           every other crate.
//! Absent on purpose: decisions, I/O, clocks, randomness.

pub mod codec;
pub mod event;
pub mod format;
pub mod kinds;
pub mod limits;
pub mod name;
pub mod position;
pub mod projection;

pub use codec::CodecError;
pub use event::{Cause, Event, EventRef, Hlc, Kind};
pub use name::{DeviceName, LogId, NameError, NodeName, StreamId};
pub use position::{Epoch, Position, Seq};
