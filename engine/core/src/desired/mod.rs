//! What is appended to `down/<node>`, given what the node is to have and what its view holds.
//!
//! ```text
//!   wanted (projections) ─┐
//!   current (down rows) ──┼─► reconcile ─► puts · removals, each with its recorded reason · what is held back
//!   evidence, standing ───┘
//! ```
//! Level-triggered: only the difference counts, so that a pass may be repeated or left out. **Absence is
//! not deletion**: an object leaves a node only for a reason that was recorded, and never while the
//! cloud is recovering.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ledge_schemas::Cause;
use ledge_schemas::kinds::down::RemovalReason;

use crate::broken::{self, Bug};

/// Unlisted objects that one pass may remove although they are a large part of the node's.
pub const UNLISTED_FREE: usize = 5;
/// Percent of a node's objects that one pass may remove because they are unlisted.
pub const UNLISTED_PERCENT: usize = 30;

/// An object that the node is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its projection. `None`: it is wanted but cannot go down as it is, so what the node has stays.
    pub object: Option<Vec<u8>>,
    /// What made it so.
    pub cause: Option<Cause>,
}

/// What is known of an object that the node has and is not to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// [`RemovalReason::Deleted`] or [`RemovalReason::Moved`].
    pub reason: RemovalReason,
    /// What recorded it.
    pub cause: Option<Cause>,
}

/// Where the cloud stands when it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `wanted` comes from a complete list: what it does not hold is not there.
    pub complete: bool,
    /// The list comes from the authority that the node's objects came from.
    pub same_authority: bool,
    /// Nothing may be removed.
    pub recovering: bool,
    /// An operator accepted what the API holds, and saw what goes.
    pub accepted: bool,
}

/// Why an object stays although nobody wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// The cloud is recovering.
    Recovering,
    /// Nothing recorded that it is gone.
    NotRecorded,
    /// Too large a part of the node's objects is unlisted at once.
    TooMany,
}

impl Held {
    /// For metrics, conditions and people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Recovering => "recovering",
            Self::NotRecorded => "not-recorded",
            Self::TooMany => "too-many",
        }
    }
}

/// What a pass decided. Keys ascend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Objects to be put, with their projections.
    pub puts: Vec<(String, Vec<u8>, Option<Cause>)>,
    /// Objects to be removed.
    pub removals: Vec<(String, RemovalReason, Option<Cause>)>,
    /// Objects that stay although they are not wanted.
    pub held: BTreeMap<String, Held>,
}

/// Decides one pass over some or all objects of a node.
///
/// `current` and `wanted` are restricted to the same keys, or whole; `objects` is how many the node has
/// altogether; `gone` is the recorded evidence. Equal projections give nothing.
#[must_use]
pub fn reconcile(
    current: &BTreeMap<String, Vec<u8>>,
    wanted: &BTreeMap<String, Wanted>,
    gone: &BTreeMap<String, Gone>,
    objects: usize,
    standing: Standing,
) -> Outcome {
    let mut outcome = Outcome::default();
    for (key, Wanted { object, cause }) in wanted {
        if let Some(object) = object
            && current.get(key) != Some(object)
        {
            outcome.puts.push((key.clone(), object.clone(), cause.clone()));
        }
    }
    let unwanted: Vec<&String> = current.keys().filter(|key| !wanted.contains_key(*key)).collect();
    let unlisted: BTreeSet<&String> =
        unwanted.iter().copied().filter(|key| !gone.contains_key(*key)).collect();
    let too_many = unlisted.len() > UNLISTED_FREE && unlisted.len() * 100 > objects * UNLISTED_PERCENT;
    let listed = standing.complete && standing.same_authority;
    for key in unwanted {
        let decided = match gone.get(key) {
            _ if standing.accepted && standing.complete => Ok((RemovalReason::Accepted, None)),
            _ if standing.recovering && !broken::is(Bug::DeleteOnAbsence) => Err(Held::Recovering),
            Some(Gone { reason, cause }) => Ok((*reason, cause.clone())),
            None if broken::is(Bug::DeleteOnAbsence) => Ok((RemovalReason::Unlisted, None)),
            None if !listed => Err(Held::NotRecorded),
            None if too_many => Err(Held::TooMany),
            None => Ok((RemovalReason::Unlisted, None)),
        };
        match decided {
            Ok((reason, cause)) => outcome.removals.push((key.clone(), reason, cause)),
            Err(held) => drop(outcome.held.insert(key.clone(), held)),
        }
    }
    outcome
}
