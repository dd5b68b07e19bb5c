//! A device's twin as its developer knows it: both streams of its node, put together by `seen`.
//!
//! ```text
//!   up    … 7 8 9        every event says how much of `down` the node had applied: seen
//!   down  … 4 5 6        at up 8 with seen 1:5, the node's wishes were those of down 1:5
//! ```

use std::collections::{BTreeMap, BTreeSet};

use ledge_core::Row;
use ledge_core::journal::fold;
use ledge_core::log::Reader;
use ledge_core::view::effective::{Origin, Property, properties};
use ledge_core::view::up::{StateRow, state_key, twin_prefix};
use ledge_core::view::{down, row};
use ledge_schemas::projection::ObjectKey;
use ledge_schemas::{CodecError, DeviceName, Epoch, NodeName, Position, Seq, StreamId};

use crate::at::{self, At};
use crate::error::ReplayError;
use crate::json::{Fields, Json};
use crate::time::rfc3339;

/// Keys and values of a view.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A device on its node, at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub device: DeviceName,
    /// Its node.
    pub node: NodeName,
    /// What of `up` is in this; `None`: the stream is not here.
    pub up: Option<Position>,
    /// What of `down` is in this; `None`: the node had applied nothing, or the stream is not here.
    pub down: Option<Position>,
    /// Its state, if it ever reported one.
    pub state: Option<StateRow>,
    /// Its properties by name, tombstones included.
    pub properties: BTreeMap<String, Property>,
}

/// A device at a moment. `stream` says whose positions `at` means, `up` if it is `None`; without it the node is the
/// one whose rows name the device. A position of `up` shows `down` as far as the node had applied it then; a position
/// of `down` shows `up` until the node applied the next one.
pub fn device_at<R: Reader>(
    reader: &R,
    device: &DeviceName,
    stream: Option<&StreamId>,
    at: At,
) -> Result<Device, ReplayError> {
    let node = match stream {
        Some(stream) => {
            stream.node().ok_or_else(|| ReplayError::NotANode { stream: stream.clone() })?.clone()
        }
        None => node_of(reader, device)?,
    };
    let up = StreamId::Up(node.clone());
    let down = StreamId::Down(node.clone());
    let anchor = stream.filter(|stream| **stream == down).unwrap_or(&up);
    let moment = moment(reader, &up, &down, anchor, at)?;
    let (reported, wished) = (rows(reader, &up, moment.up)?, rows(reader, &down, moment.down)?);
    let broken = |error: CodecError| ReplayError::Broken {
        stream: StreamId::Up(node.clone()),
        why: format!("the rows of {device}: {error}"),
    };
    let epoch = reader.head(&down)?.map_or(Epoch::PROVISIONAL, |head| head.base.epoch);
    let desired = under(&wished, &down::desired_prefix(&device.namespace, &device.name));
    let properties =
        properties(device, epoch, &desired, &under(&reported, &twin_prefix(device))).map_err(broken)?;
    let state =
        reported.get(&state_key(device)).map(|value| row::decode(value)).transpose().map_err(broken)?;
    let named = wished.contains_key(&down::object_key(&object_of(device)));
    if properties.is_empty() && state.is_none() && !named {
        return Err(ReplayError::NoDevice { device: device.clone() });
    }
    let position = |stream, seq: Option<Seq>| -> Result<Option<Position>, ReplayError> {
        let Some(seq) = seq else { return Ok(None) };
        Ok(Some(Position { epoch: at::head(reader, stream)?.base.epoch, seq }))
    };
    Ok(Device {
        device: device.clone(),
        node,
        up: position(&up, moment.up)?,
        down: position(&down, moment.down)?,
        state: state.map(|(_, state)| state),
        properties,
    })
}

/// Key of the Device object.
fn object_of(device: &DeviceName) -> String {
    ObjectKey::device(&device.namespace, &device.name).to_string()
}

/// The node whose rows name the device now; the only node there is, if none does.
fn node_of<R: Reader>(reader: &R, device: &DeviceName) -> Result<NodeName, ReplayError> {
    let (mut all, mut naming) = (BTreeSet::new(), Vec::new());
    for stream in reader.streams()? {
        let named = match &stream {
            StreamId::Up(_) => {
                reader.row(&stream, &state_key(device))?.is_some()
                    || !reader.rows(&stream, twin_prefix(device).as_bytes(), None, 1)?.is_empty()
            }
            StreamId::Down(_) => reader.row(&stream, &down::object_key(&object_of(device)))?.is_some(),
            StreamId::Control | StreamId::Cluster => false,
        };
        all.extend(stream.node().cloned());
        if named {
            naming.push(stream);
        }
    }
    let nodes: BTreeSet<_> = naming.iter().filter_map(StreamId::node).cloned().collect();
    let mut candidates = if nodes.is_empty() { all } else { nodes };
    match (candidates.pop_first(), candidates.is_empty()) {
        (Some(node), true) => Ok(node),
        (Some(_), false) if !naming.is_empty() => {
            Err(ReplayError::AmbiguousDevice { device: device.clone(), streams: naming })
        }
        _ => Err(ReplayError::NoDevice { device: device.clone() }),
    }
}

struct Moment {
    up: Option<Seq>,
    down: Option<Seq>,
}

fn moment<R: Reader>(
    reader: &R,
    up: &StreamId,
    down: &StreamId,
    anchor: &StreamId,
    at: At,
) -> Result<Moment, ReplayError> {
    let (Some(up_head), Some(down_head)) = (reader.head(up)?, reader.head(down)?) else {
        // Only one direction is here: what there is of it.
        let here = |stream| reader.head(stream)?.map(|_| at::locate(reader, stream, at)).transpose();
        return Ok(Moment { up: here(up)?, down: here(down)? });
    };
    Ok(match at {
        At::Head => Moment { up: Some(up_head.tail), down: Some(down_head.tail) },
        At::Position(_) if anchor == down => {
            let seq = at::locate(reader, down, at)?;
            let applied = Position { epoch: down_head.base.epoch, seq };
            Moment { up: Some(until_seen(reader, up, applied)?), down: Some(seq) }
        }
        At::Position(_) => {
            let seq = at::locate(reader, up, at)?;
            Moment { up: Some(seq), down: applied(reader, down, seen(reader, up, seq)?)? }
        }
        At::Time(_) => {
            let seq = at::locate(reader, up, at)?;
            // The node had applied at least what its last event saw, and at most what its next one saw.
            let least = applied(reader, down, seen(reader, up, seq)?)?;
            let next = at::event(reader, up, seq.next())?.and_then(|event| event.seen);
            let most = next.map_or(Ok(Some(down_head.tail)), |next| applied(reader, down, next))?;
            let sent = match at::locate(reader, down, at) {
                Ok(seq) => Some(seq),
                Err(ReplayError::BeforeLog { .. }) => None,
                Err(error) => return Err(error),
            };
            Moment { up: Some(seq), down: sent.min(most).max(least) }
        }
    })
}

/// What of `down` the node had applied when it wrote that event, or the last one before it that says so.
fn seen<R: Reader>(reader: &R, up: &StreamId, mut seq: Seq) -> Result<Position, ReplayError> {
    while let Some(event) = at::event(reader, up, seq)? {
        if let Some(seen) = event.seen {
            return Ok(seen);
        }
        seq = Seq(seq.0.saturating_sub(1));
    }
    Ok(Position::default())
}

/// The seq of a seen position; `None` for nothing applied.
fn applied<R: Reader>(reader: &R, down: &StreamId, seen: Position) -> Result<Option<Seq>, ReplayError> {
    if seen.seq == Seq::ZERO {
        return Ok(None);
    }
    at::locate(reader, down, At::Position(seen)).map(Some)
}

/// The last event of `up` before the first that saw more than `applied`.
fn until_seen<R: Reader>(reader: &R, up: &StreamId, applied: Position) -> Result<Seq, ReplayError> {
    let events = crate::events(reader, up, crate::Filter::default())?;
    let mut last = events.head().base.seq;
    for entry in events {
        let entry = entry?;
        if entry.event.seen.is_some_and(|seen| seen > applied) {
            break;
        }
        last = entry.position.seq;
    }
    Ok(last)
}

/// Rows of a stream at a seq; none if there is none.
fn rows<R: Reader>(reader: &R, stream: &StreamId, seq: Option<Seq>) -> Result<Rows, ReplayError> {
    let Some(seq) = seq else { return Ok(Rows::new()) };
    fold(reader, stream, Some(seq))
        .map(|folded| folded.rows)
        .map_err(|error| ReplayError::fold(stream, error))
}

fn under(rows: &Rows, prefix: &str) -> Vec<Row> {
    let rows = rows.range(prefix.as_bytes().to_vec()..);
    let rows = rows.take_while(|(key, _)| key.starts_with(prefix.as_bytes()));
    rows.map(|(key, value)| Row { key: key.clone(), value: value.clone() }).collect()
}

impl Device {
    /// As it is shown.
    #[must_use]
    pub fn record(&self) -> Json {
        let state = self.state.as_ref().map(|state| {
            let online = (state.last_online_ms > 0).then(|| rfc3339(state.last_online_ms));
            let fields = Fields::default().with("state", &state.state);
            fields.maybe("lastOnline", online.as_ref()).with("edgeTime", &rfc3339(state.edge_time_ms))
        });
        let properties: BTreeMap<&str, Fields> =
            self.properties.iter().map(|(name, property)| (name.as_str(), shown(property))).collect();
        Fields::default()
            .with("device", &self.device.to_string())
            .with("node", &self.node)
            .maybe("up", self.up.map(|at| at.to_string()).as_ref())
            .maybe("down", self.down.map(|at| at.to_string()).as_ref())
            .maybe("state", state.as_ref())
            .with("properties", &properties)
            .json()
    }
}

/// Who set the expected value that counts.
#[must_use]
pub fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Cloud => "cloud",
        Origin::Local => "local",
    }
}

fn shown(property: &Property) -> Fields {
    let desired = property.desired.as_ref().map(|wish| {
        Fields::default().with("value", &wish.value).with("position", &wish.position.to_string())
    });
    let local = property.local().map(|local| {
        let fields = Fields::default().with("value", &local.value);
        fields.with("time", &rfc3339(local.timestamp_ms)).with("seen", &local.seen.to_string())
    });
    let effective = property.expected().map(|expected| {
        Fields::default().with("value", &expected.value).with("origin", &origin(expected.origin))
    });
    let actual = property.actual().map(|actual| {
        Fields::default().with("value", &actual.value).with("time", &rfc3339(actual.timestamp_ms))
    });
    let row = property.reported.as_ref().map(|reported| &reported.row);
    Fields::default()
        .maybe("desired", desired.as_ref())
        .maybe("expected", local.as_ref())
        .maybe("effective", effective.as_ref())
        .maybe("actual", actual.as_ref())
        .maybe("pending", property.pending().as_ref())
        .maybe("type", row.map(|row| &row.value_type))
        .maybe("optional", row.map(|row| &row.optional))
        .maybe("deleted", row.filter(|row| row.deleted).map(|_| &true))
}
