//! Runs of seeds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledge_core::Chain;
use ledge_core::invariant::{self, Invariant, Violation};
use ledge_core::log::Reader;
use ledge_core::view::{control, down, row};
use ledge_schemas::{NodeName, StreamId};
use rand::Rng;

use super::oracle::Coverage;
use super::plan::{LIVENESS_MS, Plan, Profile, SAFETY_MS};
use super::process::{Job, Role};
use super::world::World;

/// Lines of the trace shown for a failing seed.
const SHOWN: usize = 40;

/// What a run of one seed gave.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What it was about.
    pub profile: Profile,
    /// What was found.
    pub violation: Option<Violation>,
    /// Hash over the trace.
    pub trace: Chain,
    /// Steps of the trace.
    pub steps: u64,
    /// What was exercised.
    pub coverage: Coverage,
    /// The end of the trace, for a failing seed.
    pub tail: Vec<String>,
}

/// Runs one seed.
#[must_use]
pub fn run_seed(seed: u64, profile: Option<Profile>, print: bool) -> Outcome {
    let plan = Plan::of(seed, profile);
    let profile = plan.profile;
    let mut world = World::new(plan, print);
    let violation = drive(&mut world).err();
    let tail = match &violation {
        Some(_) => world.trace.tail(SHOWN).map(str::to_owned).collect(),
        None => Vec::new(),
    };
    let (trace, steps) = (world.trace.hash(), world.trace.steps());
    Outcome { seed, profile, violation, trace, steps, coverage: world.oracle.coverage, tail }
}

fn drive(world: &mut World) -> Result<(), Violation> {
    world.run_until(SAFETY_MS)?;
    heal(world);
    let deadline = SAFETY_MS + LIVENESS_MS;
    loop {
        let next = (world.now_ms + 1_000).min(deadline);
        world.run_until(next)?;
        match settled(world) {
            Ok(()) => break,
            Err(violation) if next == deadline => return Err(violation),
            Err(_) => operate(world),
        }
    }
    checked(world)?;
    covered(world)
}

/// All faults off.
fn heal(world: &mut World) {
    world.trace.line(world.now_ms, || "heal".to_owned());
    world.faults_on = false;
    world.mend_all();
    // One of two with the same identity is switched off.
    let nodes: Vec<Option<NodeName>> = world.processes.iter().map(|p| p.node().cloned()).collect();
    for process in 1..world.processes.len() {
        let twin = (1..process).find(|other| nodes[*other] == nodes[process]);
        if let Some(other) = twin {
            let retire = if world.rng.random_bool(0.5) { other } else { process };
            world.processes[retire].retired = true;
            world.stop(retire, 0);
        }
    }
}

/// What an operator does who sees a quarantined node or a recovering cloud.
fn operate(world: &mut World) {
    let Some(running) = &world.processes[0].running else { return };
    let store = running.journal.store();
    let recovering = store.row(&StreamId::Control, control::RECOVERING.as_bytes());
    let mut jobs = Vec::new();
    if matches!(recovering, Ok(Some(_))) {
        jobs.push(Job::Accept);
    }
    for process in world.processes.iter().filter(|process| !process.retired) {
        let Some(node) = process.node() else { continue };
        let key = control::node_key(node.as_str());
        let Ok(Some(bytes)) = store.row(&StreamId::Control, &key) else { continue };
        let Ok((_, row)) = row::decode::<control::NodeRow>(&bytes) else { continue };
        let own = process.running.as_ref().and_then(|r| r.journal.head(&StreamId::Up(node.clone())));
        let stuck = process.running.as_ref().is_some_and(|running| running.quarantined);
        if let (Some(head), true) = (own, stuck && row.keep.is_none()) {
            jobs.push(Job::Resolve { node: node.clone(), keep: head.base.log_id });
        }
    }
    for job in jobs {
        world.trace.line(world.now_ms, || format!("operator {job:?}"));
        if let Job::Accept = job {
            world.oracle.accepted_by_operator = true;
            world.allow_all_removals();
        }
        world.submit(0, job);
    }
    world.reconcile_all();
}

/// I10, and what was desired is there.
fn settled(world: &World) -> Result<(), Violation> {
    let place = |process: usize| format!("process {process}");
    let Some(cloud) = &world.processes[0].running else {
        return Err(Violation::new(Invariant::Convergence, "cloud", "is not up"));
    };
    for (index, process) in world.processes.iter().enumerate().skip(1) {
        if process.retired {
            continue;
        }
        let (Some(edge), Role::Edge(node)) = (&process.running, &process.role) else {
            return Err(Violation::new(Invariant::Convergence, place(index), "is not up"));
        };
        if !edge.edge.as_ref().is_some_and(|(_, session)| session.is_live()) {
            return Err(Violation::new(Invariant::Convergence, place(index), "has no session"));
        }
        for stream in [StreamId::Up(node.clone()), StreamId::Down(node.clone())] {
            invariant::converged(edge.journal.store(), cloud.journal.store(), &stream)?;
        }
        let stream = StreamId::Down(node.clone());
        let read = |error| Violation::new(Invariant::Convergence, &stream, error);
        let rows =
            edge.journal.store().rows(&stream, down::OBJECT.as_bytes(), None, usize::MAX).map_err(read)?;
        let wanted = world.oracle.api.iter().filter(|(_, object)| object.node == *node);
        let wanted: Vec<_> = wanted.map(|(key, object)| (down::object_key(key), &object.json[..])).collect();
        let found: Vec<_> =
            rows.iter().filter_map(|row| Some((row.key.clone(), row::split(&row.value).ok()?.1))).collect();
        if wanted != found {
            let what = format!("{} objects desired, {} there, or they differ", wanted.len(), found.len());
            return Err(Violation::new(Invariant::Convergence, &stream, what));
        }
    }
    Ok(())
}

/// Everything, once, at the end.
fn checked(world: &mut World) -> Result<(), Violation> {
    for index in 0..world.processes.len() {
        let process = &world.processes[index];
        let Some(running) = &process.running else { continue };
        for (stream, _) in running.journal.heads() {
            invariant::stored(running.journal.store(), stream)?;
        }
        if let Role::Edge(node) = &process.role {
            world.oracle.recovered(index, running.journal.store(), node)?;
        }
    }
    let Some(cloud) = &world.processes[0].running else { return Ok(()) };
    if world.oracle.cloud_losses == 0 {
        for ((process, log_id), proved) in &world.oracle.proved {
            let Some(node) = world.processes[*process].node() else { continue };
            let stream = StreamId::Up(node.clone());
            invariant::cloud_durable(cloud.journal.store(), &stream, *log_id, *proved)?;
        }
    }
    Ok(())
}

/// The fault that the run is about did bite.
fn covered(world: &World) -> Result<(), Violation> {
    let coverage = &world.oracle.coverage;
    if coverage.of("clone") > 0 && coverage.of("quarantined") == 0 {
        let what = "two edges ran as one and neither was refused";
        return Err(Violation::new(Invariant::Fencing, "cloud", what));
    }
    let needed: &[&str] = match world.plan.profile {
        Profile::FlakyLink => &["message-dropped"],
        Profile::Partition => &["message-cut"],
        Profile::Kill => &["kill"],
        Profile::Disk => &["power-loss"],
        Profile::Clocks => &["clock-jump"],
        Profile::AmnesiacCloud => &["cloud-amnesia"],
        Profile::RestoredCloud => &["cloud-restored"],
        Profile::RestoredEdge => &["edge-restored"],
        Profile::ClonedEdge => &["clone"],
        Profile::Everything => &["kill", "clock-jump", "power-loss"],
    };
    let base = ["live", "report-confirmed", "api-change"];
    match base.iter().chain(needed).find(|what| coverage.of(what) == 0) {
        None => Ok(()),
        Some(what) => {
            Err(Violation::new(Invariant::Convergence, "coverage", format!("{what} never happened")))
        }
    }
}

/// Runs seeds on all processors. `report` hears of every failure, and of progress now and then.
pub fn run_seeds(
    seeds: std::ops::Range<u64>,
    profile: Option<Profile>,
    threads: usize,
    stop_at_first: bool,
    mut report: impl FnMut(&Progress, Option<&Outcome>) + Send,
) -> Progress {
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let total = seeds.end.saturating_sub(seeds.start);
    let state = Mutex::new((Progress { total, ..Progress::default() }, &mut report));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run_seed(seed, profile, false);
                    let failed = outcome.violation.is_some();
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    let (progress, report) = &mut *state;
                    progress.take(&outcome, begun.elapsed());
                    report(progress, failed.then_some(&outcome));
                    if failed && stop_at_first {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (progress, _) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    progress
}

/// How far a run of many seeds is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Seeds to run.
    pub total: u64,
    /// Seeds run.
    pub done: u64,
    /// Seeds that failed.
    pub failed: Vec<u64>,
    /// Steps of all traces.
    pub steps: u64,
    /// What was exercised.
    pub coverage: Coverage,
    /// Time taken.
    pub elapsed: Duration,
}

impl Progress {
    fn take(&mut self, outcome: &Outcome, elapsed: Duration) {
        self.done += 1;
        self.steps += outcome.steps;
        self.coverage.add(&outcome.coverage);
        self.elapsed = elapsed;
        if outcome.violation.is_some() {
            self.failed.push(outcome.seed);
        }
    }

    /// Time left at this speed.
    #[must_use]
    pub fn left(&self) -> Duration {
        let left = u32::try_from(self.total.saturating_sub(self.done)).unwrap_or(u32::MAX);
        let done = u32::try_from(self.done.max(1)).unwrap_or(u32::MAX);
        self.elapsed / done * left
    }
}
