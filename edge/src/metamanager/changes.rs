//! What changed for the devices of this node since it was last announced.

use std::collections::BTreeSet;

use ledge_core::log::{Reader, StoreError, StreamHead};
use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::down::ObjectRemoved;
use ledge_schemas::projection::{DEVICES_GROUP, ObjectKey};
use ledge_schemas::{DeviceName, LogId, Position, Seq, StreamId};
use serde::{Deserialize, Serialize};

use crate::devicetwin::{Facts, LoadError, device};

/// Local key of [`Announced`].
pub(super) const ANNOUNCED: &str = "bus/down";
/// Local key of the devices that were announced, as JSON.
pub(super) const DEVICES: &str = "bus/devices";
/// Bytes of runs read at once.
const READ: usize = 1024 * 1024;

/// How far `down` was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Announced {
    pub(super) log_id: LogId,
    pub(super) seq: Seq,
}

/// What is to be announced.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) added: BTreeSet<DeviceName>,
    /// Among them devices that came back under the same name.
    pub(super) removed: BTreeSet<DeviceName>,
    /// Devices here whose objects changed.
    pub(super) touched: BTreeSet<DeviceName>,
    /// Wishes after this one are new; `None`: all are.
    pub(super) since: Option<Seq>,
    /// What is announced by this, and where it stands.
    pub(super) next: Announced,
    pub(super) position: Position,
    /// Devices there are now.
    pub(super) devices: BTreeSet<DeviceName>,
}

/// `None` if everything was announced.
pub(super) fn changes(
    reader: &impl Reader,
    facts: &impl Facts,
    down: &StreamId,
    announced: Option<Announced>,
    known: &BTreeSet<DeviceName>,
) -> Result<Option<Changes>, LoadError> {
    let Some(head) = reader.head(down)? else { return Ok(None) };
    let next = Announced { log_id: head.base.log_id, seq: head.tail };
    if announced == Some(next) {
        return Ok(None);
    }
    let since = announced
        .filter(|last| last.log_id == next.log_id && (head.base.seq..=head.tail).contains(&last.seq))
        .map(|last| last.seq);
    let (removed, touched) = match since {
        Some(since) => of_events(reader, down, &head, since)?,
        None => (BTreeSet::new(), device::list(facts)?.into_iter().map(|(name, _)| name).collect()),
    };
    let mut devices = if since.is_some() { known.clone() } else { BTreeSet::new() };
    let mut changes = Changes {
        added: BTreeSet::new(),
        removed: BTreeSet::new(),
        touched: BTreeSet::new(),
        since,
        next,
        position: head.position(),
        devices: BTreeSet::new(),
    };
    for name in touched {
        let here = device::load(facts, &name)?.is_some();
        let replaced = here && removed.contains(&name) && known.contains(&name);
        if !here || replaced {
            devices.remove(&name);
        }
        if here {
            if !known.contains(&name) || replaced {
                changes.added.insert(name.clone());
            }
            devices.insert(name.clone());
            changes.touched.insert(name.clone());
        }
        if replaced {
            changes.removed.insert(name);
        }
    }
    changes.removed.extend(known.difference(&devices).cloned());
    changes.devices = devices;
    Ok(Some(changes))
}

/// Devices that were removed, and all that any event was about.
fn of_events(
    reader: &impl Reader,
    down: &StreamId,
    head: &StreamHead,
    since: Seq,
) -> Result<(BTreeSet<DeviceName>, BTreeSet<DeviceName>), StoreError> {
    let (mut removed, mut touched) = (BTreeSet::new(), BTreeSet::new());
    let mut at = since;
    while at < head.tail {
        let entries = reader.runs(down, at, READ)?;
        let Some(last) = entries.last() else { break };
        at = last.run.last();
        for entry in &entries {
            for (_, event) in entry.run.events().filter_map(Result::ok) {
                let Some(name) = device_of(event.key) else { continue };
                if event.kind == ObjectRemoved::KIND {
                    removed.insert(name.clone());
                }
                touched.insert(name);
            }
        }
    }
    Ok((removed, touched))
}

/// The device that an object key names, if it is one's.
fn device_of(key: &str) -> Option<DeviceName> {
    let key: ObjectKey = key.parse().ok()?;
    let is_device = key.group == DEVICES_GROUP && key.plural == "devices";
    is_device.then(|| DeviceName::new(&key.namespace, &key.name).ok()).flatten()
}
