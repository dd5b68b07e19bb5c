//! One process, cloud or edge: a journal on a simulated disk, its one writer, its sessions.

use std::collections::{BTreeMap, VecDeque};

use ledge_core::journal::{Journal, Txn};
use ledge_core::log::StoreError;
use ledge_core::sync::{Answer, CloudSession, Command, EdgeSession};
use ledge_log::{SimDisk, SimStore};
use ledge_schemas::{LogId, NodeName, Position, Seq};

/// What a process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The cloud.
    Cloud,
    /// An edge of this name.
    Edge(NodeName),
}

/// Work for the writer.
#[derive(Clone, Debug)]
pub(super) enum Job {
    /// A session's command. The answer goes back to it.
    Session { connection: u64, node: NodeName, command: Command, fresh: LogId },
    /// A device's report: `device`, property value unique in the run.
    Report { serial: u64 },
    /// Trim `up`.
    Trim,
    /// Bring `down/<node>` to what the API says.
    Desired { node: NodeName, fresh: LogId },
    /// An operator decides.
    Resolve { node: NodeName, keep: LogId },
    /// An operator accepts the API as the truth.
    Accept,
    /// The tail was lost below the witness, or the first start.
    BeginUp { fresh: LogId, first: bool },
}

/// What a job gave.
#[derive(Clone, Debug)]
pub(super) enum JobResult {
    /// Of a session's command.
    Session(Result<Answer, StoreError>),
    /// A report's position and log.
    Reported(Result<(LogId, Position), StoreError>),
    /// Nothing to pass on.
    Other,
}

/// A process that runs.
pub(super) struct Running {
    /// The journal.
    pub(super) journal: Journal<SimStore>,
    /// Queued work.
    pub(super) inbox: VecDeque<Job>,
    /// Work that is durable and whose answers are under way.
    pub(super) answers: VecDeque<Vec<(Job, JobResult)>>,
    /// Whether a commit is planned.
    pub(super) committing: bool,
    /// The edge's session and its connection.
    pub(super) edge: Option<(u64, EdgeSession)>,
    /// The cloud's sessions by connection.
    pub(super) cloud: BTreeMap<u64, (NodeName, CloudSession)>,
    /// Failed dials in a row.
    pub(super) failures: u32,
    /// Quarantined: dials slowly.
    pub(super) quarantined: bool,
}

/// A process, running or not.
pub(super) struct Process {
    /// What it does.
    pub(super) role: Role,
    /// Its disk; outlives the process.
    pub(super) disk: SimDisk,
    /// Counts starts; actions of an earlier life are void.
    pub(super) life: u64,
    /// The process, if it runs.
    pub(super) running: Option<Running>,
    /// Wall clock minus virtual time.
    pub(super) clock_ms: i64,
    /// Milliseconds that a sync takes at most.
    pub(super) sync_ms: u64,
    /// Retired: never starts again.
    pub(super) retired: bool,
}

impl Process {
    /// A process that never ran.
    #[must_use]
    pub(super) fn new(role: Role, disk: SimDisk) -> Self {
        Self { role, disk, life: 0, running: None, clock_ms: 0, sync_ms: 4, retired: false }
    }

    /// Its wall clock.
    #[must_use]
    pub(super) fn wall(&self, now_ms: u64) -> u64 {
        /// Where virtual time begins, so that jumps back stay positive.
        const BEGIN_MS: i64 = 1_700_000_000_000;
        let wall = BEGIN_MS + self.clock_ms + i64::try_from(now_ms).unwrap_or(i64::MAX);
        u64::try_from(wall).unwrap_or(0)
    }

    /// Name for the trace.
    #[must_use]
    pub(super) fn name(&self) -> &str {
        match &self.role {
            Role::Cloud => "cloud",
            Role::Edge(node) => node.as_str(),
        }
    }

    /// The edge's node.
    #[must_use]
    pub(super) fn node(&self) -> Option<&NodeName> {
        match &self.role {
            Role::Cloud => None,
            Role::Edge(node) => Some(node),
        }
    }
}

/// Type of the transactions here.
pub(super) type SimTxn<'a> = Txn<'a, SimStore>;

/// Tail of an edge's own log: (log id, seq).
#[must_use]
pub(super) fn own_tail(process: &Process) -> Option<(LogId, Seq)> {
    let running = process.running.as_ref()?;
    let node = process.node()?;
    let head = running.journal.head(&ledge_schemas::StreamId::Up(node.clone()))?;
    Some((head.base.log_id, head.tail))
}
