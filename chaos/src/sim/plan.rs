//! What a seed stands for: the size of the system, the faults and when they strike.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Virtual milliseconds of the safety phase.
pub(super) const SAFETY_MS: u64 = 60_000;
/// Virtual milliseconds in which everything must converge once the faults are off.
pub(super) const LIVENESS_MS: u64 = 180_000;

/// What a run is about. A run whose profile's fault did not bite fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Messages are delayed, dropped, duplicated and reordered (F11, F13).
    FlakyLink,
    /// Links are cut, both ways or one way, short and long (F10, F11, F12).
    Partition,
    /// Processes are killed at random moments (F2).
    Kill,
    /// Power is lost, syncs fail, disks fill up, stall (F3, F6, F7, F8).
    Disk,
    /// Clocks jump by hours and years (F16).
    Clocks,
    /// The cloud loses its whole store (F18).
    AmnesiacCloud,
    /// The cloud comes back with an older copy of its store (F18).
    RestoredCloud,
    /// An edge comes back with an older copy of its disk (F21).
    RestoredEdge,
    /// Two edges run with one identity (F21).
    ClonedEdge,
    /// A bit of everything.
    Everything,
}

/// Every profile, in the order in which seeds take them.
pub const PROFILES: [(Profile, &str); 10] = [
    (Profile::FlakyLink, "flaky-link"),
    (Profile::Partition, "partition"),
    (Profile::Kill, "kill"),
    (Profile::Disk, "disk"),
    (Profile::Clocks, "clocks"),
    (Profile::AmnesiacCloud, "amnesiac-cloud"),
    (Profile::RestoredCloud, "restored-cloud"),
    (Profile::RestoredEdge, "restored-edge"),
    (Profile::ClonedEdge, "cloned-edge"),
    (Profile::Everything, "everything"),
];

impl Profile {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        PROFILES.iter().find(|(profile, _)| *profile == self).map_or("", |(_, name)| name)
    }
}

/// A fault that strikes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// SIGKILL of a process (0 is the cloud), back after this many milliseconds.
    Kill { process: usize, down_ms: u64 },
    /// As `Kill`; whatever was not synced is gone.
    PowerLoss { process: usize, down_ms: u64 },
    /// The next sync of this process fails; the batch is on the disk afterwards, or not.
    FailSync { process: usize, present: bool },
    /// The disk of this process is full for this long.
    DiskFull { process: usize, for_ms: u64 },
    /// Every sync of this process takes this long, for a while.
    SlowDisk { process: usize, sync_ms: u64, for_ms: u64 },
    /// The link of this edge is cut for this long.
    Cut { edge: usize, up: bool, down: bool, for_ms: u64 },
    /// The wall clock of this process jumps.
    ClockJump { process: usize, by_ms: i64 },
    /// The cloud's store is emptied.
    CloudAmnesia { down_ms: u64 },
    /// A copy of this process's disk is kept for a later `Restore`.
    Backup { process: usize },
    /// The kept copy comes back.
    Restore { process: usize, down_ms: u64 },
    /// A copy of this edge begins to run beside it.
    Clone { edge: usize },
}

/// What a seed stands for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What it is about.
    pub profile: Profile,
    /// Number of edges.
    pub edges: usize,
    /// Longest latency of a message, milliseconds.
    pub latency_ms: u64,
    /// Per 1,000 messages: dropped, duplicated, reordered.
    pub lossy: (u32, u32, u32),
    /// Mean milliseconds between two reports of an edge.
    pub report_every_ms: u64,
    /// Mean milliseconds between two changes in the API.
    pub change_every_ms: u64,
    /// Events of `up` that an edge keeps when it trims.
    pub keep_events: u64,
    /// Faults in order of time.
    pub strikes: Vec<(u64, Strike)>,
}

impl Plan {
    /// The plan of a seed. `profile` overrides the one that the seed would take.
    #[must_use]
    pub fn of(seed: u64, profile: Option<Profile>) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let by_seed = PROFILES[usize::try_from(seed % PROFILES.len() as u64).unwrap_or(0)].0;
        let profile = profile.unwrap_or(by_seed);
        let edges = rng.random_range(2..=4);
        let mut plan = Self {
            seed,
            profile,
            edges,
            latency_ms: rng.random_range(2..=120),
            lossy: (0, 0, 0),
            report_every_ms: rng.random_range(80..=600),
            change_every_ms: rng.random_range(300..=1_500),
            keep_events: rng.random_range(0..=200),
            strikes: Vec::new(),
        };
        plan.draw(&mut rng);
        plan.strikes.sort_by_key(|(at, _)| *at);
        plan
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng) {
        let any = |rng: &mut ChaCha8Rng, edges: usize| rng.random_range(0..=edges);
        let edges = self.edges;
        let everything = self.profile == Profile::Everything;
        let is = |profile: Profile, one: Profile| profile == one || everything;
        // The fault of the profile strikes for certain; the others now and then beside it.
        let background = |rng: &mut ChaCha8Rng| rng.random_range(0..=1_usize);
        let times = |rng: &mut ChaCha8Rng, on: bool, most: usize| {
            if on { rng.random_range(2..=most) } else { background(rng) }
        };
        if is(self.profile, Profile::FlakyLink) {
            self.lossy = (rng.random_range(8..=60), rng.random_range(8..=60), rng.random_range(8..=60));
        }
        for _ in 0..times(rng, is(self.profile, Profile::Partition), 6) {
            let (up, down) = [(true, true), (true, false), (false, true)][rng.random_range(0..3)];
            let for_ms = if rng.random_bool(0.3) {
                rng.random_range(15_000..40_000)
            } else {
                rng.random_range(100..8_000)
            };
            self.at(Strike::Cut { edge: rng_edge(rng, edges), up, down, for_ms }, rng);
        }
        for _ in 0..times(rng, is(self.profile, Profile::Kill), 8) {
            let process = any(rng, edges);
            self.at(Strike::Kill { process, down_ms: rng_down(rng) }, rng);
        }
        let disk = is(self.profile, Profile::Disk);
        for _ in 0..times(rng, disk, 5) {
            let process = any(rng, edges);
            self.at(Strike::PowerLoss { process, down_ms: rng_down(rng) }, rng);
        }
        for _ in 0..times(rng, disk, 4) {
            let process = any(rng, edges);
            let present = rng.random_bool(0.5);
            self.at(Strike::FailSync { process, present }, rng);
        }
        if disk {
            for _ in 0..rng.random_range(1..=2) {
                let process = any(rng, edges);
                let for_ms = rng.random_range(500..8_000);
                self.at(Strike::DiskFull { process, for_ms }, rng);
                let sync_ms = [10, 200, 2_000][rng.random_range(0..3)];
                self.at(Strike::SlowDisk { process: any(rng, edges), sync_ms, for_ms }, rng);
            }
        }
        if is(self.profile, Profile::Clocks) {
            for _ in 0..rng.random_range(2..=6) {
                let sign = if rng.random_bool(0.5) { 1 } else { -1 };
                let by_ms = sign * [61_000, 3_600_000, 31_557_600_000][rng.random_range(0..3)];
                self.at(Strike::ClockJump { process: any(rng, edges), by_ms }, rng);
            }
        }
        if self.profile == Profile::AmnesiacCloud {
            for _ in 0..rng.random_range(1..=2) {
                self.at(Strike::CloudAmnesia { down_ms: rng_down(rng) }, rng);
            }
        }
        let restored = match self.profile {
            Profile::RestoredCloud => Some(0),
            Profile::RestoredEdge => Some(rng_edge(rng, edges)),
            _ => None,
        };
        if let Some(process) = restored {
            let backup = rng.random_range(8_000..20_000);
            self.strikes.push((backup, Strike::Backup { process }));
            let restore = backup + rng.random_range(5_000..25_000);
            self.strikes.push((restore, Strike::Restore { process, down_ms: rng_down(rng) }));
        }
        if self.profile == Profile::ClonedEdge {
            let edge = rng_edge(rng, edges);
            self.strikes.push((rng.random_range(8_000..30_000), Strike::Clone { edge }));
        }
    }

    fn at(&mut self, strike: Strike, rng: &mut ChaCha8Rng) {
        self.strikes.push((rng.random_range(3_000..SAFETY_MS - 5_000), strike));
    }
}

fn rng_edge(rng: &mut ChaCha8Rng, edges: usize) -> usize {
    rng.random_range(1..=edges)
}

fn rng_down(rng: &mut ChaCha8Rng) -> u64 {
    rng.random_range(10..8_000)
}
