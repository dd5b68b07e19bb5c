//! The event: one immutable change.

use bincode::{BorrowDecode, Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{Position, StreamId};

/// Hybrid logical clock: 48 bits of Unix milliseconds, 16 bits of counter. Orders nothing by
/// itself; it says when, as the writer's clock had it, and never runs backwards in one stream.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Hlc(pub u64);

impl Hlc {
    /// Unix milliseconds.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The next reading, given the last one and a wall clock that may jump either way.
    #[must_use]
    pub fn tick(self, now_ms: u64) -> Self {
        let wall = Self(now_ms << 16);
        if wall > self { wall } else { Self(self.0 + 1) }
    }
}

/// Number of an event's kind. See [`crate::kinds`]. A released kind's body never changes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Kind(pub u16);

/// What made an event happen.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cause {
    /// Stream of the causing event.
    pub stream: StreamId,
    /// Its position there.
    pub position: Position,
}

/// One immutable change, before it has a seq: that follows from its place in its run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// When, by the writer's clock.
    pub hlc: Hlc,
    /// Which kind of change; decides how `body` reads.
    pub kind: Kind,
    /// What changed: an object key, a device, a node. At most [`crate::limits::EVENT_KEY`] bytes.
    pub key: String,
    /// What made it happen, if anything inside Ledge did.
    pub cause: Option<Cause>,
    /// In `up` streams: the `down` position that the node had applied when it wrote this.
    pub seen: Option<Position>,
    /// Encoded body of that kind. At most [`crate::limits::EVENT_BODY`] bytes.
    pub body: Vec<u8>,
}

/// An [`Event`] that borrows from its run: the same bytes, decoded without copying.
#[derive(Clone, Debug, PartialEq, Eq, Encode, BorrowDecode)]
pub struct EventRef<'a> {
    /// See [`Event::hlc`].
    pub hlc: Hlc,
    /// See [`Event::kind`].
    pub kind: Kind,
    /// See [`Event::key`].
    pub key: &'a str,
    /// See [`Event::cause`].
    pub cause: Option<Cause>,
    /// See [`Event::seen`].
    pub seen: Option<Position>,
    /// See [`Event::body`].
    pub body: &'a [u8],
}

impl EventRef<'_> {
    /// An owned copy.
    #[must_use]
    pub fn to_owned(&self) -> Event {
        Event {
            hlc: self.hlc,
            kind: self.kind,
            key: self.key.to_owned(),
            cause: self.cause.clone(),
            seen: self.seen,
            body: self.body.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_runs_backwards() {
        let first = Hlc::default().tick(1_000);
        let jumped_back = first.tick(10);
        let forward = jumped_back.tick(2_000);
        assert!(first < jumped_back && jumped_back < forward);
        assert_eq!(forward.millis(), 2_000);
    }
}
