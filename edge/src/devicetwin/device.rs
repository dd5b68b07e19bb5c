//! What is known of a device: rows of both streams, put together for one decision.

use std::collections::BTreeMap;

use ledge_core::Row;
use ledge_core::log::{Reader, StoreError, StreamHead};
use ledge_core::view::effective::{self, Property};
use ledge_core::view::{down, row, up};
use ledge_schemas::projection::{DEVICES_GROUP, ObjectKey};
use ledge_schemas::{CodecError, DeviceName, NodeName, Position, StreamId};

/// Properties that one device may have, tombstones included. Bounds its rows and its replies.
pub const PROPERTIES: usize = 1024;
/// Rows of one device that are read: more than [`PROPERTIES`], because updates that were decided at
/// the same time may together pass it, and because an object may hold more wishes.
const ROWS: usize = 16 * PROPERTIES;
/// Devices that one node lists.
const DEVICES: usize = 65_536;

/// The rows that decisions are made from.
pub trait Facts {
    /// How far the view of `down` is; 0:0 before anything came down.
    fn down_applied(&self) -> Result<Position, StoreError>;
    /// Rows of `down` under a prefix, ascending, at most `limit`.
    fn down(&self, prefix: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;
    /// One row of `down`.
    fn down_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Rows of `up` under a prefix, ascending, at most `limit`.
    fn up(&self, prefix: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;
    /// One row of `up`.
    fn up_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
}

/// [`Facts`] of a node, read from a store.
#[derive(Debug)]
pub struct StoreFacts<'a, R: ?Sized> {
    reader: &'a R,
    up: StreamId,
    down: StreamId,
}

impl<'a, R: Reader + ?Sized> StoreFacts<'a, R> {
    /// Of that node.
    pub fn new(reader: &'a R, node: &NodeName) -> Self {
        Self { reader, up: StreamId::Up(node.clone()), down: StreamId::Down(node.clone()) }
    }
}

/// A stream that is not there yet has no rows.
fn or_none<T: Default>(read: Result<T, StoreError>) -> Result<T, StoreError> {
    match read {
        Err(StoreError::NoStream(_)) => Ok(T::default()),
        other => other,
    }
}

impl<R: Reader + ?Sized> Facts for StoreFacts<'_, R> {
    fn down_applied(&self) -> Result<Position, StoreError> {
        let head = self.reader.head(&self.down)?;
        let applied = |head: StreamHead| Position { epoch: head.base.epoch, seq: head.cursor.applied };
        Ok(head.map(applied).unwrap_or_default())
    }

    fn down(&self, prefix: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        or_none(self.reader.rows(&self.down, prefix, None, limit))
    }

    fn down_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        or_none(self.reader.row(&self.down, key))
    }

    fn up(&self, prefix: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        or_none(self.reader.rows(&self.up, prefix, None, limit))
    }

    fn up_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        or_none(self.reader.row(&self.up, key))
    }
}

/// Rows that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The store does not give them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One of them does not decode.
    #[error("rows of device {device} do not read: {error}. Stop the process and run `ledge-replay verify`")]
    Row {
        /// Whose rows.
        device: DeviceName,
        /// What is wrong.
        error: CodecError,
    },
}

/// A device of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: DeviceName,
    /// Its properties from both sides, tombstones included.
    pub properties: BTreeMap<String, Property>,
    /// Its state, if it ever reported one.
    pub state: Option<up::StateRow>,
    /// How far the view of `down` was. An event decided from this is appended with it as its `seen`.
    pub seen: Position,
}

/// Loads a device; `None` if the cloud has given this node no such device.
pub fn load(facts: &impl Facts, name: &DeviceName) -> Result<Option<Device>, LoadError> {
    let object = down::object_key(&ObjectKey::device(&name.namespace, &name.name).to_string());
    if facts.down_row(&object)?.is_none() {
        return Ok(None);
    }
    let seen = facts.down_applied()?;
    let wishes = facts.down(down::desired_prefix(&name.namespace, &name.name).as_bytes(), ROWS)?;
    let reports = facts.up(up::twin_prefix(name).as_bytes(), ROWS)?;
    let properties =
        effective::properties(name, seen.epoch, &wishes, &reports).map_err(|error| of(name, error))?;
    Ok(Some(Device { name: name.clone(), properties, state: state(facts, name)?, seen }))
}

/// Names and states of this node's devices, ascending by name.
pub fn list(facts: &impl Facts) -> Result<Vec<(DeviceName, Option<up::StateRow>)>, LoadError> {
    let prefix = down::object_key(&ObjectKey::prefix(DEVICES_GROUP, "devices"));
    let mut devices = Vec::new();
    for Row { key, .. } in facts.down(&prefix, DEVICES)? {
        let name = key.strip_prefix(prefix.as_slice()).and_then(|name| std::str::from_utf8(name).ok());
        let Some(name) = name.and_then(|name| name.parse().ok()) else { continue };
        let state = state(facts, &name)?;
        devices.push((name, state));
    }
    Ok(devices)
}

fn state(facts: &impl Facts, name: &DeviceName) -> Result<Option<up::StateRow>, LoadError> {
    let Some(bytes) = facts.up_row(&up::state_key(name))? else { return Ok(None) };
    let (_, state) = row::decode(&bytes).map_err(|error| of(name, error))?;
    Ok(Some(state))
}

fn of(device: &DeviceName, error: CodecError) -> LoadError {
    LoadError::Row { device: device.clone(), error }
}
