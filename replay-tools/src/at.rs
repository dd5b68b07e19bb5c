//! Where in a stream: at its head, at a position, or at a time.

use std::str::FromStr;

use ledge_core::BaseReason;
use ledge_core::log::{Reader, StreamHead};
use ledge_schemas::{Event, Position, Seq, StreamId};

use crate::error::ReplayError;
use crate::time;

/// A moment of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// After its last event.
    #[default]
    Head,
    /// After this event.
    Position(Position),
    /// After the last event that is not later than this, by the writer's clock; Unix milliseconds.
    Time(u64),
}

/// Text that is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither EPOCH:SEQ (1:42) nor an RFC 3339 time (2026-03-01T03:12:00Z)")]
pub struct AtError(String);

impl FromStr for At {
    type Err = AtError;
    fn from_str(text: &str) -> Result<Self, AtError> {
        let position = text.parse().map(Self::Position).ok();
        position.or_else(|| time::parse(text).map(Self::Time)).ok_or_else(|| AtError(text.to_owned()))
    }
}

/// Head of a stream that must be here.
pub(crate) fn head<R: Reader>(reader: &R, stream: &StreamId) -> Result<StreamHead, ReplayError> {
    reader.head(stream)?.ok_or_else(|| ReplayError::NoStream { stream: stream.clone() })
}

/// One event; `None` outside what is stored.
pub fn event<R: Reader>(reader: &R, stream: &StreamId, seq: Seq) -> Result<Option<Event>, ReplayError> {
    let Some(entry) = reader.run_at(stream, seq)? else { return Ok(None) };
    for event in entry.run.events() {
        let (at, event) = event.map_err(|error| ReplayError::run(stream, &error))?;
        if at == seq {
            return Ok(Some(event.to_owned()));
        }
    }
    Ok(None)
}

/// The last seq that belongs to a moment.
pub fn locate<R: Reader>(reader: &R, stream: &StreamId, at: At) -> Result<Seq, ReplayError> {
    let head = head(reader, stream)?;
    match at {
        At::Head => Ok(head.tail),
        At::Position(asked) if asked.epoch != head.base.epoch => {
            Err(ReplayError::Epoch { stream: stream.clone(), asked, epoch: head.base.epoch })
        }
        At::Position(asked) if asked.seq < head.base.seq || asked.seq > head.tail => {
            let (oldest, newest) = (head.base.position(), head.position());
            Err(ReplayError::Outside { stream: stream.clone(), asked, oldest, newest })
        }
        At::Position(asked) => Ok(asked.seq),
        At::Time(millis) => at_time(reader, stream, &head, millis),
    }
}

/// By halving: the writer's clock never runs backwards in one stream.
fn at_time<R: Reader>(
    reader: &R,
    stream: &StreamId,
    head: &StreamHead,
    asked_ms: u64,
) -> Result<Seq, ReplayError> {
    let base = head.base.seq;
    // Events through `low` are not later than asked, those after `high` are.
    let (mut low, mut high) = (base, head.tail);
    while low < high {
        let middle = Seq(low.0 + (high.0 - low.0).div_ceil(2));
        let found = event(reader, stream, middle)?;
        let found = found.ok_or_else(|| ReplayError::hole(stream, middle, None))?;
        if found.hlc.millis() <= asked_ms {
            low = middle;
        } else {
            high = Seq(middle.0 - 1);
        }
    }
    // A log that began empty was empty before its first event; any other base is of an unknown time.
    if low > base || (base == Seq::ZERO && head.base.reason == BaseReason::New) {
        return Ok(low);
    }
    let first = event(reader, stream, base.next())?;
    Err(ReplayError::BeforeLog {
        stream: stream.clone(),
        asked_ms,
        oldest: head.base.position(),
        first_ms: first.map(|event| event.hlc.millis()),
    })
}
