//! The invariants by name, as predicates. The simulator calls the cheap ones after every commit and
//! all of them at starts and at the end. `ledge-replay verify` has checks of its own, which name
//! every fault instead of the first.
//!
//! | name | says |
//! |---|---|
//! | I1 prefix | a recovered log is a prefix of what was appended and holds at least what was confirmed |
//! | I2 monotone | seqs have no holes; a position never has two payloads |
//! | I3 chain | the recomputed chain equals the stored one at every run |
//! | I4 cloud-durable | what an edge was told is proved can be read in the cloud |
//! | I5 retention-gate | an edge trims nothing above what the cloud proved |
//! | I8 view-is-fold | rows and cursor are the fold of the log |
//! | I10 convergence | with faults off both sides end equal |
//! | I12 fencing | only the confirmed session appends; a clone is refused |
//! | absence | nothing is removed from a node without a recorded deletion |
//!
//! I6 (a cloud tail that moved backwards is noticed) shows as I10: an edge that did not refill it
//! never converges. I7 (effectively once) and I9 (determinism) follow from I8 checked on both sides: equal chains
//! and rows equal to the fold leave no room for an event applied twice or in another order.

mod log;
mod pair;

pub use log::{hash_of, history, retention_gate, stored};
pub use pair::{cloud_durable, converged};

use std::fmt;

/// An invariant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// I1
    Prefix,
    /// I2
    Monotone,
    /// I3
    Chain,
    /// I4
    CloudDurable,
    /// I5
    RetentionGate,
    /// I8
    ViewIsFold,
    /// I10
    Convergence,
    /// I12
    Fencing,
    /// Absence is not deletion.
    Absence,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "I1 prefix",
            Self::Monotone => "I2 monotone",
            Self::Chain => "I3 chain",
            Self::CloudDurable => "I4 cloud-durable",
            Self::RetentionGate => "I5 retention-gate",
            Self::ViewIsFold => "I8 view-is-fold",
            Self::Convergence => "I10 convergence",
            Self::Fencing => "I12 fencing",
            Self::Absence => "absence is not deletion",
        })
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {place}: {what}")]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Where: a process, a stream.
    pub place: String,
    /// What was found.
    pub what: String,
}

impl Violation {
    /// A violation.
    pub fn new(invariant: Invariant, place: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self { invariant, place: place.to_string(), what: what.to_string() }
    }
}
