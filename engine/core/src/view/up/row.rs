//! The rows' bodies, and the one rule by which a property changes.

use bincode::{Decode, Encode};
use ledge_schemas::Position;
use ledge_schemas::kinds::up::{Change, TwinValue};

/// One property of a device's twin, as its node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TwinRow {
    /// Wanted value that was set locally: over MQTT, or by a driver as its observed desired value.
    pub expected: Option<LocalExpected>,
    /// Value that the device reported.
    pub actual: Option<TwinValue>,
    /// Type name: string, int, integer, float, boolean. Of a tombstone: the last one it had.
    pub value_type: String,
    /// Whether it may be deleted. Goes from `true` to `false`, never back.
    pub optional: bool,
    /// A tombstone: deleted locally, and kept so that its versions go on counting.
    pub deleted: bool,
    /// How often `expected` was reported, equal values and deletions included; 0 for never.
    pub expected_version: u64,
    /// How often `actual` was reported, equal values and deletions included; 0 for never.
    pub actual_version: u64,
    /// Unix milliseconds, by the edge's clock, of the last event that named this property.
    pub edge_time_ms: u64,
}

/// A wanted value that was set at the edge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LocalExpected {
    /// The text as sent. Empty: nothing is wanted.
    pub value: String,
    /// Unix milliseconds: the message's own timestamp, else the edge's clock when it came in.
    pub timestamp_ms: u64,
    /// Position of `down` that the node had applied when this was set; 0:0 for none.
    pub seen: Position,
}

/// A device's state, as last reported.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StateRow {
    /// As sent: online, offline, ok, unknown, unhealthy, in any case.
    pub state: String,
    /// Unix milliseconds at which it was last seen online, 0 for never.
    pub last_online_ms: u64,
    /// Unix milliseconds of the report, by the edge's clock.
    pub edge_time_ms: u64,
}

/// The edge process that writes this stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct InfoRow {
    /// Version of the binary.
    pub version: String,
    /// Unix milliseconds, by the edge's clock, of its last start.
    pub started_ms: u64,
}

impl TwinRow {
    /// The row after a change to `old` (`None`: there is no row yet), made by an event that had
    /// `seen` that much of `down`, at that time of the edge. `None`: nothing is there to change.
    #[must_use]
    pub fn after(old: Option<&Self>, change: &Change, seen: Position, edge_time_ms: u64) -> Option<Self> {
        match change {
            Change::Set { expected, actual, optional, value_type } => {
                let mut row = old.cloned().unwrap_or_else(Self::new);
                if let Some(TwinValue { value, timestamp_ms }) = expected {
                    let (value, timestamp_ms) = (value.clone(), *timestamp_ms);
                    row.expected = Some(LocalExpected { value, timestamp_ms, seen });
                    row.expected_version = row.expected_version.saturating_add(1);
                }
                if let Some(value) = actual {
                    row.actual = Some(value.clone());
                    row.actual_version = row.actual_version.saturating_add(1);
                }
                row.value_type.clone_from(value_type);
                row.optional &= optional.unwrap_or(true);
                row.deleted = false;
                row.edge_time_ms = edge_time_ms;
                Some(row)
            }
            Change::Delete => {
                let mut row = old.filter(|row| !row.deleted)?.clone();
                // A side that never had a value has no version to raise.
                let raised = |version: u64| if version == 0 { 0 } else { version.saturating_add(1) };
                row.expected_version = raised(row.expected_version);
                row.actual_version = raised(row.actual_version);
                (row.expected, row.actual) = (None, None);
                row.deleted = true;
                row.edge_time_ms = edge_time_ms;
                Some(row)
            }
        }
    }

    fn new() -> Self {
        Self {
            expected: None,
            actual: None,
            value_type: String::new(),
            optional: true,
            deleted: false,
            expected_version: 0,
            actual_version: 0,
            edge_time_ms: 0,
        }
    }
}
