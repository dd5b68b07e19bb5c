//! Admission: what may still be appended as the disk fills. Telemetry is refused first, then state;
//! configuration and Ledge's own events may use the reserve.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How much an append matters when the disk fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Configuration and Ledge's own events. Taken until the disk is full.
    Configuration,
    /// What devices and pods are.
    State,
    /// What devices say often and will say again.
    Telemetry,
}

impl Class {
    /// As it stands in metrics and in the `admission-changed` event.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::State => "state",
            Self::Telemetry => "telemetry",
        }
    }
}

/// What the log uses and what is left to it. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that the log takes on the disk.
    pub used: u64,
    /// Bytes free on its file system.
    pub free: u64,
}

/// The append was refused before anything was written: the disk budget is kept for more important ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is refused: the log uses {used} of {budget} bytes. Let it be acknowledged and trimmed, or raise the budget",
    .class.name()
)]
pub struct AdmissionRefused {
    /// Class that is refused.
    pub class: Class,
    /// Bytes used.
    pub used: u64,
    /// Bytes that may be used.
    pub budget: u64,
}

/// A class was closed, or opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionChange {
    /// Which class.
    pub class: Class,
    /// Whether it is taken from now on.
    pub open: bool,
    /// Bytes used.
    pub used: u64,
    /// Bytes that may be used.
    pub budget: u64,
}

/// Percent of the budget at which a class closes, and below which it opens again.
const MARKS: [(Class, u64, u64); 2] = [(Class::Telemetry, 80, 75), (Class::State, 90, 85)];

/// Decides by class; read by every handle, updated by the writer.
#[derive(Debug)]
pub(super) struct Admission {
    budget: u64,
    effective: AtomicU64,
    used: AtomicU64,
    /// In the order of [`MARKS`].
    closed: [AtomicBool; MARKS.len()],
}

impl Admission {
    /// `budget` in bytes.
    pub(super) fn new(budget: u64) -> Self {
        let closed = [AtomicBool::new(false), AtomicBool::new(false)];
        Self { budget, effective: AtomicU64::new(budget), used: AtomicU64::new(0), closed }
    }

    /// Whether a class may be appended now.
    pub(super) fn check(&self, class: Class) -> Result<(), AdmissionRefused> {
        let closed = |index: usize| self.closed[index].load(Ordering::Relaxed);
        match MARKS.iter().position(|(marked, ..)| *marked == class).is_some_and(closed) {
            false => Ok(()),
            true => Err(AdmissionRefused {
                class,
                used: self.used.load(Ordering::Relaxed),
                budget: self.effective.load(Ordering::Relaxed),
            }),
        }
    }

    /// Takes a measurement and returns what changed by it. Free space counts too: a budget that the
    /// file system cannot give is no budget.
    pub(super) fn update(&self, usage: Usage) -> Vec<AdmissionChange> {
        let budget = self.budget.min(usage.used.saturating_add(usage.free)).max(1);
        self.used.store(usage.used, Ordering::Relaxed);
        self.effective.store(budget, Ordering::Relaxed);
        let percent = u128::from(usage.used) * 100 / u128::from(budget);
        let mut changes = Vec::new();
        for ((class, close, open), closed) in MARKS.into_iter().zip(&self.closed) {
            let was = closed.load(Ordering::Relaxed);
            let is = percent >= u128::from(if was { open } else { close });
            if is != was {
                closed.store(is, Ordering::Relaxed);
                changes.push(AdmissionChange { class, open: !is, used: usage.used, budget });
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(used: u64) -> Usage {
        Usage { used, free: 1_000_000 }
    }

    fn change(class: Class, open: bool, used: u64) -> AdmissionChange {
        AdmissionChange { class, open, used, budget: 1_000 }
    }

    #[test]
    fn telemetry_goes_first_then_state_and_configuration_never() {
        let admission = Admission::new(1_000);
        assert_eq!(admission.update(used(799)), []);
        assert_eq!(admission.update(used(800)), [change(Class::Telemetry, false, 800)]);
        assert_eq!(
            admission.check(Class::Telemetry),
            Err(AdmissionRefused { class: Class::Telemetry, used: 800, budget: 1_000 })
        );
        assert_eq!(admission.check(Class::State), Ok(()));
        assert_eq!(admission.update(used(2_000)), [change(Class::State, false, 2_000)]);
        assert!(admission.check(Class::State).is_err());
        assert_eq!(admission.check(Class::Configuration), Ok(()));
    }

    #[test]
    fn a_class_opens_again_only_well_below_its_mark() {
        let admission = Admission::new(1_000);
        admission.update(used(950));
        assert_eq!(admission.update(used(860)), []);
        assert_eq!(admission.update(used(849)), [change(Class::State, true, 849)]);
        assert_eq!(admission.update(used(749)), [change(Class::Telemetry, true, 749)]);
    }

    #[test]
    fn a_disk_smaller_than_the_budget_counts_instead_of_it() {
        let admission = Admission::new(1_000_000);
        let changes = admission.update(Usage { used: 800, free: 200 });
        assert_eq!(changes, [change(Class::Telemetry, false, 800)]);
    }
}
