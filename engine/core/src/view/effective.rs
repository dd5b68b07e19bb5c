//! Desired and reported read together. Nothing here is stored: each row keeps its one writer.
//!
//! ```text
//!   down  desired/<ns>/<device>/<property> ──► Wish ─────┐
//!                                                        ├─► Property ──► expected(), pending()
//!   up    twin/<ns>/<device>/<property> ─────► TwinRow ──┘
//! ```
//! Whose wish counts: the local one if the edge had seen the cloud's when it was set, else the cloud's.
//! So the cloud's next wish overrides, and one that the edge did not know of is never lost.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ledge_schemas::kinds::up::TwinValue;
use ledge_schemas::{CodecError, DeviceName, Epoch, Position, Seq};

use super::down::{Desired, desired_prefix};
use super::row;
use super::up::{LocalExpected, TwinRow, twin_prefix};
use crate::Row;

/// What the cloud wants a property to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// `spec.properties[].desired.value`.
    pub value: String,
    /// Where in `down` it last changed.
    pub position: Position,
}

/// What the edge last said of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Where in `up` it said so.
    pub at: Seq,
    /// What it said.
    pub row: TwinRow,
}

/// A property from both sides. At least one of them is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Property {
    /// The cloud's wish, if it has one.
    pub desired: Option<Wish>,
    /// The edge's row, if it has one; it may be a tombstone.
    pub reported: Option<Reported>,
}

/// Who set the expected value that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `spec` of the Device.
    Cloud,
    /// A message at the edge.
    Local,
}

/// The expected value that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The wanted value. Empty: nothing is wanted.
    pub value: &'a str,
    /// When it was set, Unix milliseconds; the cloud's wishes carry no time.
    pub timestamp_ms: Option<u64>,
    /// Who set it.
    pub origin: Origin,
}

impl Property {
    /// From the row of `down` (its epoch is that of the stream) and the row of `up`.
    #[must_use]
    pub fn new(down: Epoch, desired: Option<(Seq, Desired)>, reported: Option<(Seq, TwinRow)>) -> Self {
        let wish = |(seq, desired): (_, Desired)| Wish {
            value: desired.value,
            position: Position { epoch: down, seq },
        };
        Self { desired: desired.map(wish), reported: reported.map(|(at, row)| Reported { at, row }) }
    }

    /// The edge's row, unless it is a tombstone.
    #[must_use]
    pub fn live(&self) -> Option<&TwinRow> {
        self.reported.as_ref().map(|reported| &reported.row).filter(|row| !row.deleted)
    }

    /// The value that the device reported.
    #[must_use]
    pub fn actual(&self) -> Option<&TwinValue> {
        self.live()?.actual.as_ref()
    }

    /// The expected value that was set locally, whether it counts or not.
    #[must_use]
    pub fn local(&self) -> Option<&LocalExpected> {
        self.live()?.expected.as_ref()
    }

    /// The expected value that counts.
    #[must_use]
    pub fn expected(&self) -> Option<Expected<'_>> {
        match (&self.desired, self.local()) {
            (Some(wish), Some(local)) if local.seen < wish.position => Some(from_cloud(wish)),
            (_, Some(local)) => Some(Expected {
                value: &local.value,
                timestamp_ms: Some(local.timestamp_ms),
                origin: Origin::Local,
            }),
            (Some(wish), None) => Some(from_cloud(wish)),
            (None, None) => None,
        }
    }

    /// The wanted value, if one is wanted and the device has not reported it.
    #[must_use]
    pub fn pending(&self) -> Option<&str> {
        let wanted = self.expected()?.value;
        let reported = self.actual().map(|actual| actual.value.as_str());
        (!wanted.is_empty() && reported != Some(wanted)).then_some(wanted)
    }
}

fn from_cloud(wish: &Wish) -> Expected<'_> {
    Expected { value: &wish.value, timestamp_ms: None, origin: Origin::Cloud }
}

/// All properties of a device by name, from its `desired/…` rows of a `down` stream of that epoch
/// and its `twin/…` rows of `up`. Rows of anything else are passed over.
pub fn properties(
    device: &DeviceName,
    down: Epoch,
    desired: &[Row],
    reported: &[Row],
) -> Result<BTreeMap<String, Property>, CodecError> {
    let mut all: BTreeMap<String, Property> = BTreeMap::new();
    let prefix = desired_prefix(&device.namespace, &device.name);
    for (name, value) in named(&prefix, desired) {
        let wish = row::decode(value)?;
        all.insert(name.to_owned(), Property::new(down, Some(wish), None));
    }
    let prefix = twin_prefix(device);
    for (name, value) in named(&prefix, reported) {
        let (at, row) = row::decode(value)?;
        all.entry(name.to_owned()).or_default().reported = Some(Reported { at, row });
    }
    Ok(all)
}

/// Rows under a prefix, by the rest of their keys.
fn named<'a>(prefix: &'a str, rows: &'a [Row]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    rows.iter().filter_map(move |row| {
        let name = row.key.strip_prefix(prefix.as_bytes())?;
        Some((std::str::from_utf8(name).ok()?, row.value.as_slice()))
    })
}
