//! The log contract over RocksDB.
//!
//! ```text
//!   RocksStore::commit ─► plan (checks, WriteBatch) ─► one synced write ─► heads ─► witness, lazily
//!   RocksReader (clones) ─► heads + iterators; shows only what is durable
//!
//!   DIR/db/        RocksDB: column families default (heads, locals), runs, rows
//!   DIR/witness    what was durable at most a second ago, in two alternating slots
//!   DIR/ballast    room that is given up when the disk is full, so that trimming can work
//! ```
//! Reading order:     keys → record → options → reader → plan → store → witness → space → open → checkpoint.
//! Depends on:        schemas, core, log.     Used by: cloud, edge, replay-tools.
//! Absent on purpose: repair (replay-tools), group commit (`ledge_log::writer`), threads but one.
//!
//! Rules kept here: every write is synced; recovery refuses to open on damage before the last
//! record (`kTolerateCorruptedTailRecords`) and the witness notices a lost tail; no
//! `wal_bytes_per_sync`; a failed write ends the store, because a failed fsync may not be retried.

mod checkpoint;
mod error;
mod keys;
mod metric_definitions;
mod open;
mod options;
mod plan;
mod reader;
mod record;
mod scan;
mod space;
mod store;
mod witness;

pub use checkpoint::CheckpointError;
pub use error::OpenError;
pub use metric_definitions::describe_metrics;
pub use open::Opened;
pub use options::RocksConfig;
pub use reader::RocksReader;
pub use store::RocksStore;
pub use witness::{LostTail, Regress};
