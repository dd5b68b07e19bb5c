//! Kinds of events and their bodies. A released kind's body never changes: a change is a new number.

pub mod cluster;
pub mod control;
pub mod down;
pub mod up;

use bincode::{Decode, Encode};

use crate::{CodecError, Kind, codec};

/// A body and the number of its kind.
pub trait Body: Encode + Decode<()> {
    /// The kind's number.
    const KIND: Kind;

    /// As it stands in an event.
    fn to_body(&self) -> Result<Vec<u8>, CodecError> {
        codec::encode(self)
    }

    /// From an event's body.
    fn from_body(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes)
    }
}

/// Ties numbers, bodies and names together, and lists them for hello and for tools.
macro_rules! kinds {
    ($($number:literal $name:literal $body:ty,)*) => {
        $(impl $crate::kinds::Body for $body { const KIND: $crate::Kind = $crate::Kind($number); })*
        /// Every kind of this module with its name, ascending.
        pub const KINDS: &[($crate::Kind, &str)] = &[$(($crate::Kind($number), $name)),*];
    };
}
pub(crate) use kinds;

/// Name of a kind for people; `None` for one that this build does not know.
#[must_use]
pub fn name(kind: Kind) -> Option<&'static str> {
    all().find(|(known, _)| *known == kind).map(|(_, name)| name)
}

/// Every kind that this build reads, ascending.
pub fn all() -> impl Iterator<Item = (Kind, &'static str)> {
    [down::KINDS, up::KINDS, cluster::KINDS, control::KINDS].into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_numbers_are_unique_and_ascend() {
        let numbers: Vec<_> = all().map(|(kind, _)| kind).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    }
}
