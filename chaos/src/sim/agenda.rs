//! What happens when. Two actions at one moment happen in the order in which they were planned.

use std::collections::BTreeMap;

use super::plan::Strike;

/// Something that happens at a moment.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// A fault strikes.
    Strike(Strike),
    /// A fault ends.
    Mend(Strike),
    /// A process starts.
    Start { process: usize },
    /// An edge's process opens a connection.
    Dial { process: usize, life: u64 },
    /// A message arrives.
    Arrive { connection: u64, to_cloud: bool, bytes: bytes::Bytes },
    /// A connection is seen to be closed.
    Closed { connection: u64, to_cloud: bool },
    /// The writer of a process commits what is queued.
    Commit { process: usize, life: u64 },
    /// The answers of a commit reach those who wait.
    Deliver { process: usize, life: u64 },
    /// A process looks at the time.
    Tick { process: usize, life: u64 },
    /// A device of this edge reports.
    Report { process: usize, life: u64 },
    /// An edge trims its log.
    Trim { process: usize, life: u64 },
    /// Something changes in the API.
    Change,
}

/// The agenda.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    actions: BTreeMap<(u64, u64), Action>,
    planned: u64,
}

impl Agenda {
    /// Plans an action.
    pub(super) fn plan(&mut self, at_ms: u64, action: Action) {
        self.planned += 1;
        self.actions.insert((at_ms, self.planned), action);
    }

    /// The next action, if it happens by `until_ms`.
    pub(super) fn next(&mut self, until_ms: u64) -> Option<(u64, Action)> {
        let entry = self.actions.first_entry()?;
        if entry.key().0 > until_ms {
            return None;
        }
        let ((at, _), action) = entry.remove_entry();
        Some((at, action))
    }
}
