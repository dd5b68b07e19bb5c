//! Views: state computed from events, by pure functions.
//!
//! ```text
//!   up/<node>    ──► view::up       DeviceTwin: twin/<ns>/<device>/<property>, state/<ns>/<device>
//!   down/<node>  ──► view::down     MetaManager: object/<key>, and desired/<ns>/<device>/<property>
//!   cluster      ──► view::cluster  object/<key>
//!   control      ──► view::control  node/<name>, token/<id>, store, recovering
//! ```
//! A row is the seq of the event that wrote it and a canonical body ([`row`]). Every row is written
//! by exactly one stream; what combines streams ([`effective`]) is computed when it is read.

pub mod cluster;
pub mod control;
pub mod down;
pub mod effective;
pub mod row;
pub mod up;

use ledge_schemas::{EventRef, Position, StreamId};

/// The rows that an event changes: read and written through this.
pub trait Rows {
    /// What stands under `key` now, changes of this batch included.
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, crate::log::StoreError>;
    /// Sets a row.
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), crate::log::StoreError>;
    /// Removes a row, if it is there.
    fn delete(&mut self, key: Vec<u8>) -> Result<(), crate::log::StoreError>;
    /// Keys that begin with `prefix`, ascending.
    fn keys(&mut self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, crate::log::StoreError>;
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Its rows changed, or it has none.
    Done,
    /// Its kind is not known to this build, or has no rows in this stream: stored, forwarded, counted.
    Unknown,
    /// Its kind is known but its body does not decode: no row changes, counted as poison.
    Poison,
}

/// Applies one event to the rows of its stream. The same events give the same rows anywhere.
pub fn apply(
    stream: &StreamId,
    rows: &mut dyn Rows,
    at: Position,
    event: &EventRef<'_>,
) -> Result<Applied, crate::log::StoreError> {
    match stream {
        StreamId::Up(_) => up::apply(rows, at, event),
        StreamId::Down(_) => down::apply(rows, at, event),
        StreamId::Cluster => cluster::apply(rows, at, event),
        StreamId::Control => control::apply(rows, at, event),
    }
}
