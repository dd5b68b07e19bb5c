//! The world: takes actions off the agenda one by one.

use ledge_core::broken::{self, Bug};
use ledge_core::invariant::{self, Invariant, Violation};
use ledge_core::journal::Journal;
use ledge_core::log::StoreError;
use ledge_core::sync::message::RefuseCode;
use ledge_core::sync::{
    Answer, CloseReason, CloudSession, EdgeSession, Input, Message, NodeLog, Note, Output, Session, commands,
    wire,
};
use ledge_log::SimDisk;
use ledge_schemas::{LogId, NodeName, Seq, StreamId};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};

use super::agenda::{Action, Agenda};
use super::link::{Connection, Cuts};
use super::oracle::Oracle;
use super::plan::Plan;
use super::process::{Job, JobResult, Process, Role, Running, own_tail};
use super::strike::Backup;
use super::trace::Trace;

/// Milliseconds between two looks at the time.
const TICK_MS: u64 = 500;
/// Milliseconds between two trims of an edge.
const TRIM_MS: u64 = 4_000;
/// Jobs in one commit.
const BATCH: usize = 64;

/// See the module.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) now_ms: u64,
    pub(super) rng: ChaCha8Rng,
    pub(super) agenda: Agenda,
    /// 0 is the cloud.
    pub(super) processes: Vec<Process>,
    pub(super) connections: BTreeMap<u64, Connection>,
    connected: u64,
    pub(super) cuts: Cuts,
    pub(super) faults_on: bool,
    pub(super) oracle: Oracle,
    pub(super) trace: Trace,
    serial: u64,
    pub(super) objects: u64,
    pub(super) backup: Option<Backup>,
}

impl World {
    /// The world of a plan, before its first moment.
    pub(super) fn new(plan: Plan, print: bool) -> Self {
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(plan.seed ^ 0x006c_6564_6765),
            now_ms: 0,
            agenda: Agenda::default(),
            processes: vec![Process::new(Role::Cloud, SimDisk::new())],
            connections: BTreeMap::new(),
            connected: 0,
            cuts: Cuts::default(),
            faults_on: true,
            oracle: Oracle::default(),
            trace: Trace::new(print),
            serial: 0,
            objects: 0,
            backup: None,
            plan,
        };
        for edge in 1..=world.plan.edges {
            if let Ok(node) = NodeName::new(format!("edge-{edge}")) {
                world.processes.push(Process::new(Role::Edge(node), SimDisk::new()));
            }
        }
        for process in 0..world.processes.len() {
            world.agenda.plan(process as u64, Action::Start { process });
        }
        for (at, strike) in world.plan.strikes.clone() {
            world.agenda.plan(at, Action::Strike(strike));
        }
        let first_change = world.plan.change_every_ms;
        world.agenda.plan(first_change, Action::Change);
        world
    }

    /// Runs until `until_ms`.
    pub(super) fn run_until(&mut self, until_ms: u64) -> Result<(), Violation> {
        while let Some((at, action)) = self.agenda.next(until_ms) {
            self.now_ms = at;
            self.step(action)?;
        }
        self.now_ms = until_ms;
        Ok(())
    }

    pub(super) fn fresh(&mut self) -> LogId {
        LogId(self.rng.random())
    }

    pub(super) fn plan_in(&mut self, ms: u64, action: Action) {
        self.agenda.plan(self.now_ms + ms, action);
    }

    fn alive(&self, process: usize, life: u64) -> bool {
        self.processes.get(process).is_some_and(|p| p.life == life && p.running.is_some())
    }

    fn step(&mut self, action: Action) -> Result<(), Violation> {
        match action {
            Action::Strike(strike) => self.strike(strike),
            Action::Mend(strike) => self.mend(strike),
            Action::Start { process } => self.start(process)?,
            Action::Dial { process, life } if self.alive(process, life) => self.dial(process)?,
            Action::Arrive { connection, to_cloud, bytes } => self.arrive(connection, to_cloud, &bytes)?,
            Action::Closed { connection, to_cloud } => self.closed(connection, to_cloud),
            Action::Commit { process, life } if self.alive(process, life) => self.commit(process)?,
            Action::Deliver { process, life } if self.alive(process, life) => self.deliver(process)?,
            Action::Tick { process, life } if self.alive(process, life) => self.tick(process, life)?,
            Action::Report { process, life } if self.alive(process, life) => self.report(process, life),
            Action::Trim { process, life } if self.alive(process, life) => {
                self.submit(process, Job::Trim);
                self.plan_in(TRIM_MS, Action::Trim { process, life });
            }
            Action::Change => self.change(),
            // Of a life that is over.
            _ => {}
        }
        Ok(())
    }

    /// Ends a process; it starts again after `down_ms`.
    pub(super) fn stop(&mut self, process: usize, down_ms: u64) {
        let retired = self.processes[process].retired;
        let Some(running) = self.processes[process].running.take() else { return };
        self.processes[process].life += 1;
        let connections: Vec<u64> =
            running.edge.iter().map(|(c, _)| *c).chain(running.cloud.keys().copied()).collect();
        drop(running);
        for connection in connections {
            self.tell_closed(connection, process != 0);
        }
        if !retired {
            self.plan_in(down_ms.max(1), Action::Start { process });
        }
    }

    /// The other end sees the end of a connection, unless its way is cut.
    fn tell_closed(&mut self, connection: u64, to_cloud: bool) {
        let Some(known) = self.connections.get(&connection) else { return };
        if self.cuts.passes(known.edge, to_cloud) {
            let latency = self.latency();
            self.plan_in(latency, Action::Closed { connection, to_cloud });
        }
    }

    fn latency(&mut self) -> u64 {
        let longest = self.plan.latency_ms;
        1 + self.rng.random_range(0..=longest)
    }

    fn start(&mut self, process: usize) -> Result<(), Violation> {
        if self.processes[process].running.is_some() || self.processes[process].retired {
            return Ok(());
        }
        let disk = self.processes[process].disk.clone();
        disk.lie(broken::is(Bug::AckBeforeSync));
        let journal = match Journal::open(disk.open()) {
            Ok(journal) => journal,
            Err(StoreError::Full { .. } | StoreError::Failed(_)) => {
                self.plan_in(500, Action::Start { process });
                return Ok(());
            }
            Err(error) => {
                return Err(Violation::new(Invariant::Prefix, self.processes[process].name(), error));
            }
        };
        let name = self.processes[process].name().to_owned();
        self.trace.line(self.now_ms, || format!("start {process} {name}"));
        for (stream, _) in journal.heads() {
            invariant::stored(journal.store(), stream)?;
        }
        if let Some(node) = self.processes[process].node().cloned() {
            self.oracle.appended(process, journal.store(), &node)?;
            self.oracle.recovered(process, journal.store(), &node)?;
        }
        self.processes[process].running = Some(Running {
            journal,
            inbox: VecDeque::new(),
            answers: VecDeque::new(),
            committing: false,
            edge: None,
            cloud: BTreeMap::new(),
            failures: 0,
            quarantined: false,
        });
        self.begin(process);
        Ok(())
    }

    /// What a process does first.
    fn begin(&mut self, process: usize) {
        let life = self.processes[process].life;
        let role = self.processes[process].role.clone();
        self.plan_in(TICK_MS, Action::Tick { process, life });
        match role {
            Role::Cloud => self.begin_cloud(),
            Role::Edge(node) => {
                let new =
                    self.running(process).is_some_and(|r| r.journal.head(&StreamId::Up(node)).is_none());
                if new {
                    let fresh = self.fresh();
                    self.submit(process, Job::BeginUp { fresh, first: true });
                }
                let soon = self.rng.random_range(1..200);
                self.plan_in(soon, Action::Dial { process, life });
                let report = self.rng.random_range(1..=2 * self.plan.report_every_ms);
                self.plan_in(report, Action::Report { process, life });
                self.plan_in(TRIM_MS, Action::Trim { process, life });
            }
        }
    }

    fn running(&self, process: usize) -> Option<&Running> {
        self.processes[process].running.as_ref()
    }

    /// Queues work for a process's writer.
    pub(super) fn submit(&mut self, process: usize, job: Job) {
        let life = self.processes[process].life;
        let longest = self.processes[process].sync_ms;
        let Some(running) = &mut self.processes[process].running else { return };
        running.inbox.push_back(job);
        if !running.committing {
            running.committing = true;
            let sync = self.rng.random_range(1..=longest.max(1));
            self.plan_in(sync, Action::Commit { process, life });
        }
    }

    fn commit(&mut self, process: usize) -> Result<(), Violation> {
        let wall = self.processes[process].wall(self.now_ms);
        let (role, keep) = (self.processes[process].role.clone(), self.plan.keep_events);
        let api = &self.oracle.api;
        let Some(running) = &mut self.processes[process].running else { return Ok(()) };
        running.committing = false;
        // A trim stands alone in its transaction.
        let trim = running.inbox.iter().position(|job| matches!(job, Job::Trim)).unwrap_or(BATCH);
        let take = trim.clamp(1, BATCH).min(running.inbox.len());
        let jobs: Vec<Job> = running.inbox.drain(..take).collect();
        let again = !running.inbox.is_empty();
        let mut txn = running.journal.begin(wall);
        let mut done = Vec::new();
        for job in jobs {
            let result = super::operator::execute(&mut txn, &role, &job, api, &self.oracle.removable, keep);
            done.push((job, result));
        }
        let outcome = txn.commit();
        self.trace.line(self.now_ms, || format!("commit {process} {} jobs: {outcome:?}", done.len()));
        let life = self.processes[process].life;
        if again && let Some(running) = &mut self.processes[process].running {
            running.committing = true;
            let sync = self.rng.random_range(1..=self.processes[process].sync_ms.max(1));
            self.plan_in(sync, Action::Commit { process, life });
        }
        match outcome {
            Ok(_) => {
                self.after_commit(process, &done)?;
                let soon = self.rng.random_range(0..=2);
                if let Some(running) = &mut self.processes[process].running {
                    running.answers.push_back(done);
                }
                self.plan_in(soon, Action::Deliver { process, life });
            }
            Err(error @ StoreError::Full { .. }) => {
                let failed = |(job, _): (Job, JobResult)| {
                    let result = match &job {
                        Job::Session { .. } => JobResult::Session(Err(error.clone())),
                        Job::Report { .. } => JobResult::Reported(Err(error.clone())),
                        _ => JobResult::Other,
                    };
                    (job, result)
                };
                let failed = done.into_iter().map(failed).collect();
                if let Some(running) = &mut self.processes[process].running {
                    running.answers.push_back(failed);
                }
                self.plan_in(1, Action::Deliver { process, life });
            }
            Err(_) => {
                // Fail-stop: what happened is known after opening again.
                self.oracle.coverage.hit("sync-failed");
                self.stop(process, 100);
            }
        }
        Ok(())
    }

    /// Checks right after a batch became durable.
    fn after_commit(&mut self, process: usize, done: &[(Job, JobResult)]) -> Result<(), Violation> {
        let Some(running) = &self.processes[process].running else { return Ok(()) };
        let store = running.journal.store();
        if let Role::Edge(node) = &self.processes[process].role {
            self.oracle.appended(process, store, node)?;
            self.oracle.removals(process, store, node)?;
            let up = StreamId::Up(node.clone());
            if let Some(head) = running.journal.head(&up).filter(|head| head.base.seq > Seq::ZERO) {
                let told = self.oracle.proved.get(&(process, head.base.log_id)).copied();
                invariant::retention_gate(&up, head.base.seq, told.unwrap_or_default())?;
                self.oracle.coverage.hit("trim");
            }
            return Ok(());
        }
        for (job, result) in done {
            let Job::Session { connection, node, command, .. } = job else { continue };
            let JobResult::Session(Ok(answer)) = result else { continue };
            match (command, answer) {
                (ledge_core::sync::Command::Confirm(confirm), Answer::Done) => {
                    let before = self.oracle.confirmed.insert(node.clone(), (confirm.session, *connection));
                    if before.is_some_and(|(session, _)| session >= confirm.session) {
                        let what = format!("session {} confirmed after {before:?}", confirm.session);
                        return Err(Violation::new(Invariant::Fencing, node, what));
                    }
                }
                (
                    ledge_core::sync::Command::Append { session, .. }
                    | ledge_core::sync::Command::Install { session, .. },
                    Answer::Head { .. },
                ) => {
                    let counts = self.oracle.confirmed.get(node).copied();
                    if counts != Some((*session, *connection)) {
                        let what = format!("session {session} appended, {counts:?} counts");
                        return Err(Violation::new(Invariant::Fencing, node, what));
                    }
                    self.oracle.accepted(store, node, Seq::ZERO)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn deliver(&mut self, process: usize) -> Result<(), Violation> {
        let Some(running) = &mut self.processes[process].running else { return Ok(()) };
        let Some(answers) = running.answers.pop_front() else { return Ok(()) };
        for (job, result) in answers {
            match (job, result) {
                (Job::Session { connection, .. }, JobResult::Session(result)) => {
                    self.session_input(process, connection, Input::Done(result))?;
                }
                (Job::Report { .. }, JobResult::Reported(Ok((log_id, at)))) => {
                    let history = self.oracle.up.entry((process, log_id)).or_default();
                    history.confirmed = history.confirmed.max(at.seq);
                    self.oracle.coverage.hit("report-confirmed");
                }
                _ => {}
            }
        }
        self.wake(process)
    }

    /// Sessions look whether there is something new to send.
    pub(super) fn wake(&mut self, process: usize) -> Result<(), Violation> {
        for connection in self.open_connections(process) {
            self.session_input(process, connection, Input::Wake)?;
        }
        Ok(())
    }

    fn open_connections(&self, process: usize) -> Vec<u64> {
        let Some(running) = self.running(process) else { return Vec::new() };
        running.edge.iter().map(|(c, _)| *c).chain(running.cloud.keys().copied()).collect()
    }

    fn dial(&mut self, process: usize) -> Result<(), Violation> {
        let life = self.processes[process].life;
        let Some(node) = self.processes[process].node().cloned() else { return Ok(()) };
        let wall = self.processes[process].wall(self.now_ms);
        let ready = self.running(process).is_some_and(|running| {
            running.edge.is_none() && running.journal.head(&StreamId::Up(node.clone())).is_some()
        });
        if !ready {
            self.plan_in(100, Action::Dial { process, life });
            return Ok(());
        }
        let reachable = self.cuts.passes(process, true) && self.cuts.passes(process, false);
        if self.processes[0].running.is_none() || !reachable {
            self.redial(process);
            return Ok(());
        }
        let cloud_life = self.processes[0].life;
        self.connected += 1;
        let connection = self.connected;
        let Some(running) = &mut self.processes[process].running else { return Ok(()) };
        let store = running.journal.store();
        let log = NodeLog { reader: store, node: &node };
        let read = |error: StoreError| Violation::new(Invariant::Chain, &node, error);
        let record = commands::edge::session_record(store).map_err(read)?;
        let head = running.journal.head(&StreamId::Up(node.clone())).map(|head| head.base.log_id);
        let accepted = match head {
            Some(log_id) => commands::edge::proved(store, log_id).map_err(read)?,
            None => Seq::ZERO,
        };
        let (session, outputs) =
            EdgeSession::start(&node, &record, &log, self.now_ms, wall, accepted).map_err(read)?;
        running.edge = Some((connection, session));
        let known = Connection { edge: process, edge_life: life, cloud_life, last_ms: [0, 0] };
        self.connections.insert(connection, known);
        if let Some(cloud) = &mut self.processes[0].running {
            cloud.cloud.insert(connection, (node.clone(), CloudSession::start(node, self.now_ms)));
        }
        self.trace.line(self.now_ms, || format!("dial {process} connection {connection}"));
        self.outputs(process, connection, outputs)
    }

    fn redial(&mut self, process: usize) {
        let life = self.processes[process].life;
        let Some(running) = &mut self.processes[process].running else { return };
        running.failures = (running.failures + 1).min(6);
        let most = if running.quarantined { 8_000 } else { 100 << running.failures };
        let wait = 1 + self.rng.random_range(0..most);
        self.plan_in(wait, Action::Dial { process, life });
    }

    fn session_input(&mut self, process: usize, connection: u64, input: Input) -> Result<(), Violation> {
        let (now_ms, wall) = (self.now_ms, self.processes[process].wall(self.now_ms));
        let name = self.processes[process].name().to_owned();
        let Some(Running { journal, edge, cloud, .. }) = &mut self.processes[process].running else {
            return Ok(());
        };
        let store = journal.store();
        let outputs = match (edge, cloud.get_mut(&connection)) {
            (Some((own, session)), _) if *own == connection => {
                let Ok(node) = NodeName::new(name.clone()) else { return Ok(()) };
                session.on(now_ms, wall, input, &NodeLog { reader: store, node: &node })
            }
            (_, Some((node, session))) => {
                let node = node.clone();
                session.on(now_ms, wall, input, &NodeLog { reader: store, node: &node })
            }
            _ => return Ok(()),
        };
        let outputs = outputs.map_err(|error| Violation::new(Invariant::Chain, name, error))?;
        self.outputs(process, connection, outputs)
    }

    fn outputs(&mut self, process: usize, connection: u64, outputs: Vec<Output>) -> Result<(), Violation> {
        for output in outputs {
            match output {
                Output::Send(_, message) => self.send(process, connection, &message)?,
                Output::Command(command) => {
                    let node = match &self.processes[process].role {
                        Role::Edge(node) => node.clone(),
                        Role::Cloud => {
                            let Some(running) = self.running(0) else { return Ok(()) };
                            let Some((node, _)) = running.cloud.get(&connection) else { return Ok(()) };
                            node.clone()
                        }
                    };
                    let fresh = self.fresh();
                    self.submit(process, Job::Session { connection, node, command, fresh });
                }
                Output::Overlay { .. } => self.oracle.coverage.hit("overlay"),
                Output::Live { session } => {
                    self.oracle.coverage.hit("live");
                    if let Some(running) = &mut self.processes[process].running {
                        (running.failures, running.quarantined) = (0, false);
                    }
                    self.trace.line(self.now_ms, || format!("live {process} session {session}"));
                    if process == 0 {
                        self.reconcile_all();
                    }
                }
                Output::Note(note) => self.note(process, note)?,
                Output::Close(reason) => self.close(process, connection, &reason),
            }
        }
        Ok(())
    }

    fn note(&mut self, process: usize, note: Note) -> Result<(), Violation> {
        self.trace.line(self.now_ms, || format!("note {process} {note:?}"));
        match note {
            Note::Duplicate { .. } => self.oracle.coverage.hit("duplicate-dropped"),
            Note::Regressed { .. } => self.oracle.coverage.hit("regress-noticed"),
            Note::Diverged { direction, seq } => {
                let what = format!("digests of {direction:?} differ at {seq}");
                return Err(Violation::new(Invariant::ViewIsFold, format!("process {process}"), what));
            }
            Note::Proved(seq) => {
                if let Some((log_id, _)) = own_tail(&self.processes[process]) {
                    let proved = self.oracle.proved.entry((process, log_id)).or_default();
                    *proved = seq.max(*proved);
                    self.check_proof(process, log_id, seq)?;
                }
            }
            Note::ChainDiffers { .. } => self.oracle.coverage.hit("fork-noticed"),
            Note::ClockOffset(offset) => {
                if offset.unsigned_abs() > 60_000 {
                    self.oracle.coverage.hit("clock-offset-seen");
                }
            }
        }
        Ok(())
    }

    /// I4 at the moment of the proof: the cloud's disk holds it, with this edge's bytes.
    fn check_proof(&mut self, process: usize, log_id: LogId, seq: Seq) -> Result<(), Violation> {
        let Some(node) = self.processes[process].node().cloned() else { return Ok(()) };
        if self.oracle.cloud_losses > 0 {
            return Ok(());
        }
        let cloud = self.processes[0].disk.clone();
        match &self.processes[0].running {
            Some(running) => {
                invariant::cloud_durable(running.journal.store(), &StreamId::Up(node), log_id, seq)
            }
            None => {
                // Reading needs a store; the one of a stopped cloud is opened for a look.
                invariant::cloud_durable(&cloud.open(), &StreamId::Up(node), log_id, seq)
            }
        }
    }

    fn close(&mut self, process: usize, connection: u64, reason: &CloseReason) {
        self.trace.line(self.now_ms, || format!("close {process} connection {connection}: {reason:?}"));
        match reason {
            CloseReason::Refused(RefuseCode::Quarantined, _) => {
                self.oracle.coverage.hit("quarantined");
                if process != 0
                    && let Some(running) = &mut self.processes[process].running
                {
                    running.quarantined = true;
                }
            }
            CloseReason::Fenced => self.oracle.coverage.hit("fenced"),
            CloseReason::Restart => self.oracle.coverage.hit("new-log"),
            CloseReason::Silent => self.oracle.coverage.hit("silence-noticed"),
            _ => {}
        }
        self.tell_closed(connection, process != 0);
        self.drop_end(process, connection);
    }

    fn drop_end(&mut self, process: usize, connection: u64) {
        let Some(running) = &mut self.processes[process].running else { return };
        running.cloud.remove(&connection);
        if running.edge.as_ref().is_some_and(|(own, _)| *own == connection) {
            running.edge = None;
            self.redial(process);
        }
    }

    fn closed(&mut self, connection: u64, to_cloud: bool) {
        let Some(known) = self.connections.get(&connection).cloned() else { return };
        let process = if to_cloud { 0 } else { known.edge };
        let life = if to_cloud { known.cloud_life } else { known.edge_life };
        if self.alive(process, life) {
            self.drop_end(process, connection);
        }
    }

    fn send(&mut self, process: usize, connection: u64, message: &Message) -> Result<(), Violation> {
        let encoded = wire::encode(message);
        let bytes =
            encoded.map_err(|e| Violation::new(Invariant::Chain, self.processes[process].name(), e))?;
        let to_cloud = process != 0;
        let Some(known) = self.connections.get(&connection) else { return Ok(()) };
        if !self.cuts.passes(known.edge, to_cloud) {
            self.oracle.coverage.hit("message-cut");
            return Ok(());
        }
        let way = usize::from(!to_cloud);
        let last = known.last_ms[way];
        let (drop, double, reorder) = if self.faults_on { self.plan.lossy } else { (0, 0, 0) };
        if self.rng.random_range(0..1_000) < drop {
            self.oracle.coverage.hit("message-dropped");
            return Ok(());
        }
        let mut at = self.now_ms + self.latency();
        if self.rng.random_range(0..1_000) < reorder {
            self.oracle.coverage.hit("message-reordered");
        } else {
            at = at.max(last);
        }
        if let Some(known) = self.connections.get_mut(&connection) {
            known.last_ms[way] = at.max(last);
        }
        if self.rng.random_range(0..1_000) < double {
            self.oracle.coverage.hit("message-doubled");
            let again = at + self.latency();
            self.agenda.plan(again, Action::Arrive { connection, to_cloud, bytes: bytes.clone() });
        }
        self.agenda.plan(at, Action::Arrive { connection, to_cloud, bytes });
        Ok(())
    }

    fn arrive(&mut self, connection: u64, to_cloud: bool, bytes: &bytes::Bytes) -> Result<(), Violation> {
        let Some(known) = self.connections.get(&connection).cloned() else { return Ok(()) };
        let process = if to_cloud { 0 } else { known.edge };
        let life = if to_cloud { known.cloud_life } else { known.edge_life };
        if !self.alive(process, life) {
            return Ok(());
        }
        let message = wire::decode(bytes).map_err(|e| Violation::new(Invariant::Chain, process, e))?;
        self.session_input(process, connection, Input::Message(message))
    }

    fn tick(&mut self, process: usize, life: u64) -> Result<(), Violation> {
        self.plan_in(TICK_MS, Action::Tick { process, life });
        for connection in self.open_connections(process) {
            self.session_input(process, connection, Input::Tick)?;
        }
        Ok(())
    }

    fn report(&mut self, process: usize, life: u64) {
        if !self.faults_on {
            return;
        }
        // Now and then many devices speak at once, and share a run.
        let burst = if self.rng.random_bool(0.1) { self.rng.random_range(2..=24) } else { 1 };
        for _ in 0..burst {
            self.serial += 1;
            let serial = self.serial;
            self.submit(process, Job::Report { serial });
        }
        let next = self.rng.random_range(1..=2 * self.plan.report_every_ms);
        self.plan_in(next, Action::Report { process, life });
    }
}
