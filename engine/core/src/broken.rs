//! Deliberate bugs, to show that the simulator catches them. Without the cargo feature `broken`
//! every question here is answered `false` at compile time.

/// A bug that can be put back in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Acknowledge a commit before it is synced.
    AckBeforeSync,
    /// Take a run again that was received before.
    ApplyTwice,
    /// Take a run that does not follow the last one.
    ApplyOutOfOrder,
    /// Trim what the cloud has not proved.
    TrimUnproved,
    /// Remove what a list does not hold, whoever wrote the list.
    DeleteOnAbsence,
    /// Let the newest connection win, whatever its session number.
    TrustArrivalTime,
    /// Count as proved what was only sent.
    ProveOnSend,
    /// Resume from what was once accepted instead of where the cloud now ends.
    TrustOldAck,
    /// Commit rows of a view without the cursor and the events beside them.
    SkipRows,
    /// Go on with the old log after the tail was lost.
    KeepLostLog,
}

/// Every bug with the name that `LEDGE_BROKEN` takes.
pub const BUGS: &[(Bug, &str)] = &[
    (Bug::AckBeforeSync, "ack-before-sync"),
    (Bug::ApplyTwice, "apply-twice"),
    (Bug::ApplyOutOfOrder, "apply-out-of-order"),
    (Bug::TrimUnproved, "trim-unproved"),
    (Bug::DeleteOnAbsence, "delete-on-absence"),
    (Bug::TrustArrivalTime, "trust-arrival-time"),
    (Bug::ProveOnSend, "prove-on-send"),
    (Bug::TrustOldAck, "trust-old-ack"),
    (Bug::SkipRows, "skip-rows"),
    (Bug::KeepLostLog, "keep-lost-log"),
];

#[cfg(feature = "broken")]
mod chosen {
    use std::sync::atomic::{AtomicUsize, Ordering};

    static CHOSEN: AtomicUsize = AtomicUsize::new(usize::MAX);

    /// Chooses the bug of this process; `None` for none.
    pub fn choose(bug: Option<super::Bug>) {
        let index = super::BUGS.iter().position(|(known, _)| Some(*known) == bug);
        CHOSEN.store(index.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// Whether this bug is chosen.
    pub fn is(bug: super::Bug) -> bool {
        super::BUGS.get(CHOSEN.load(Ordering::Relaxed)).is_some_and(|(chosen, _)| *chosen == bug)
    }
}

#[cfg(feature = "broken")]
pub use chosen::{choose, is};

/// Whether this bug is chosen: never, in a build without the feature.
#[cfg(not(feature = "broken"))]
#[must_use]
pub const fn is(_: Bug) -> bool {
    false
}
