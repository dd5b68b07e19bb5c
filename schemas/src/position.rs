//! Positions in a stream. Inclusive everywhere: "through seq 7" holds event 7.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Number of one incarnation of a stream, given by the cloud. 0: not yet given (provisional).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch of a log that no cloud has numbered yet.
    pub const PROVISIONAL: Self = Self(0);

    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Number of an event inside its epoch. The first is 1; 0 stands for "before the first".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// The seq after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an event stands: epoch first, then seq. Text form `epoch:seq`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Position {
    /// Incarnation.
    pub epoch: Epoch,
    /// Number inside it.
    pub seq: Seq,
}

/// Bits of a revision that hold the seq.
const REVISION_SEQ_BITS: u32 = 40;

impl Position {
    /// From bare numbers.
    #[must_use]
    pub fn new(epoch: u32, seq: u64) -> Self {
        Self { epoch: Epoch(epoch), seq: Seq(seq) }
    }

    /// The `resourceVersion` of this position: epoch·2⁴⁰ + seq.
    #[must_use]
    pub fn revision(self) -> u64 {
        (u64::from(self.epoch.0) << REVISION_SEQ_BITS) + self.seq.0
    }

    /// The position of a `resourceVersion`; `None` if no epoch can have it.
    #[must_use]
    pub fn from_revision(revision: u64) -> Option<Self> {
        let epoch = u32::try_from(revision >> REVISION_SEQ_BITS).ok()?;
        Some(Self::new(epoch, revision & ((1 << REVISION_SEQ_BITS) - 1)))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch.0, self.seq.0)
    }
}

/// Text that is not a position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("position {0:?} is not EPOCH:SEQ, for example 1:42")]
pub struct PositionError(String);

impl FromStr for Position {
    type Err = PositionError;
    fn from_str(s: &str) -> Result<Self, PositionError> {
        let parse = || {
            let (epoch, seq) = s.split_once(':')?;
            Some(Self::new(epoch.parse().ok()?, seq.parse().ok()?))
        };
        parse().ok_or_else(|| PositionError(s.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_the_position_and_keeps_its_order() {
        let old = Position::new(1, 999);
        let new = Position::new(2, 1);
        assert!(old < new && old.revision() < new.revision());
        assert_eq!(Position::from_revision(new.revision()), Some(new));
        assert_eq!("2:1".parse(), Ok(new));
        assert!("2".parse::<Position>().is_err());
    }
}
