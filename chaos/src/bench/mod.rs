//! `ledge-chaos bench`: our figures beside the machine's own.
//!
//! ```text
//!   append, replay ──► engine/log over RocksDB, in this process      ┐  floor, ours, floor, ours …
//!   memory, twin, catch-up, edges ──► ledge-cloud, ledge-edge        ┘  ──► Figure ──► table, bench.json
//! ```
//! Absolute times do not hold from one machine to the next, so a goal is a ratio to a floor that was measured in the
//! same minute, on the same directory. Every figure is the median of at least five repetitions (three with `--quick`),
//! in turn with its floor; what is counted once (catch-up, memory per edge) says so.
//!
//! Reading order:     figure → load → raw → scratch → append → replay; probe → rig → memory → twin → catch_up → edges;
//!                    machine; report.
//! Absent on purpose: verdicts by time in tests. A goal that is missed is a figure, not a failure.

mod append;
mod catch_up;
mod edges;
mod figure;
mod load;
mod machine;
mod memory;
mod probe;
mod raw;
mod replay;
mod report;
mod rig;
mod scratch;
mod twin;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use ledge_process::{Exit, Output};

pub use figure::Figure;

/// Measure this machine and Ledge on it, in turn, and hold the ratios against our goals.
///
/// Exit 0: measured; 1: with --strict, a goal is missed; 2: something could not be measured.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ledge-chaos bench\n  ledge-chaos bench --only append --quick\n  \
                        ledge-chaos bench --dir /mnt/sd-card --only append,replay -o json")]
pub struct Args {
    /// Measure only these, comma-separated; all by default.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SUITE")]
    only: Vec<Suite>,
    /// Fewer and shorter repetitions: good enough to see a large change.
    #[arg(long)]
    quick: bool,
    /// Exit 1 if a goal is missed.
    #[arg(long)]
    strict: bool,
    /// Measure the disk under this directory; by default cargo's target directory.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the figures are kept: those of the same name are replaced. By default bench.json in cargo's target
    /// directory.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// table for people, json or yaml for programs.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// A part of the benchmark; the first word of its figures' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Durable appends: serial, 64 in flight, saturated.
    Append,
    /// Verifying a log, and folding it into views.
    Replay,
    /// Idle processes, and their binaries.
    Memory,
    /// Twin updates: at the edge, and up to a watch in the cloud.
    Twin,
    /// After a long absence.
    CatchUp,
    /// What each of many idle edges costs the cloud.
    Edges,
}

const SUITES: [Suite; 6] =
    [Suite::Append, Suite::Replay, Suite::Memory, Suite::Twin, Suite::CatchUp, Suite::Edges];

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Of each figure and its floor.
    repetitions: usize,
    /// Operations of a repetition that are timed one by one.
    serial: usize,
    /// Of a repetition that counts operations.
    time: Duration,
    /// Events of a log that is read again, and of the measurement of what reaches the disk.
    events: u64,
    /// Twin updates of a repetition, one after the other.
    updates: usize,
    /// Events that the cloud misses.
    missed: u64,
    /// Idle edges.
    edges: usize,
}

impl Scale {
    const FULL: Self = Self {
        repetitions: 5,
        serial: 2000,
        time: Duration::from_millis(1500),
        events: 500_000,
        updates: 200,
        missed: 100_000,
        edges: 1000,
    };
    const QUICK: Self = Self {
        repetitions: 3,
        serial: 500,
        time: Duration::from_millis(500),
        events: 100_000,
        updates: 100,
        missed: 20_000,
        edges: 200,
    };
}

/// What every suite needs.
struct Bench {
    /// For files; on the disk that is measured, and gone at the end.
    dir: PathBuf,
    scale: Scale,
    metrics: Metrics,
    began: Instant,
}

/// This process's own metrics, as text.
type Metrics = Box<dyn Fn() -> String + Send + Sync>;

impl Bench {
    fn progress(&self, what: &str) {
        eprintln!("{:7.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// The repetitions of what is named, each with a line of progress.
    fn rounds(&self, what: &str) -> impl Iterator<Item = usize> {
        let all = self.scale.repetitions;
        self.progress(&format!("{what}, {all} times"));
        0..all
    }
}

/// Commits that were made durable so far, one sync each.
fn commits(metrics: &Metrics) -> f64 {
    let text = metrics();
    let value = text.lines().find_map(|line| line.strip_prefix("ledge_log_commits_total ")?.parse().ok());
    value.unwrap_or_default()
}

/// Measures what the arguments say.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let measured =
        runtime.context("starting the runtime").and_then(|runtime| runtime.block_on(measure(args)));
    match measured {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::Unknown
        }
    }
}

async fn measure(args: &Args) -> anyhow::Result<Exit> {
    let target = target_dir()?;
    let parent = args.dir.clone().unwrap_or_else(|| target.clone());
    let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(&parent);
    let dir = dir.with_context(|| format!("making a directory in {}", parent.display()))?;
    let json = args.json.clone().unwrap_or_else(|| target.join("bench.json"));
    let recorder = ledge_process::metrics::install()?;
    let bench = Bench {
        dir: dir.path().to_owned(),
        scale: if args.quick { Scale::QUICK } else { Scale::FULL },
        metrics: Box::new(move || recorder.render()),
        began: Instant::now(),
    };
    let (processors, files) =
        (std::thread::available_parallelism().map_or(1, usize::from), machine::allow_open_files());
    eprintln!(
        "{processors} processors, {files} open files, {}: {}",
        parent.display(),
        machine::disk(&parent)
    );
    let load = machine::load();
    if load > 0.5 {
        // A floor of one thread that waits for a processor each time can be slower than what two threads do.
        eprintln!("the machine is busy (load {load}): neither figures nor ratios are to be relied on");
    }
    let (mut figures, mut failed) = (Vec::new(), false);
    for suite in SUITES.into_iter().filter(|suite| args.only.is_empty() || args.only.contains(suite)) {
        let measured = match suite {
            Suite::Append => append::run(&bench).await,
            Suite::Replay => replay::run(&bench).await,
            Suite::Memory => memory::run(&bench).await,
            Suite::Twin => twin::run(&bench).await,
            Suite::CatchUp => catch_up::run(&bench).await,
            Suite::Edges => edges::run(&bench).await,
        };
        match measured {
            Ok(found) => {
                // At once, so that what was measured is kept whatever comes after it.
                report::merge(&json, &found)?;
                figures.extend(found);
            }
            Err(error) => {
                eprintln!("error: {suite:?} could not be measured: {error:#}");
                failed = true;
            }
        }
    }
    bench.progress(&format!("done; the figures are in {}", json.display()));
    args.output.print(&figures, |figures| report::table(figures))?;
    let missed = figures.iter().any(|figure| figure.holds == Some(false));
    Ok(match (failed, args.strict && missed) {
        (true, _) => Exit::Unknown,
        (false, true) => Exit::Different,
        (false, false) => Exit::Done,
    })
}

/// Cargo's target directory: what the environment says, or where this program is.
fn target_dir() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("CARGO_TARGET_DIR") {
        return Ok(dir.into());
    }
    let program = std::env::current_exe().context("looking for this program")?;
    let dir = program
        .parent()
        .and_then(Path::parent)
        .context("this program is in no target directory; pass --dir and --json")?;
    Ok(dir.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Says nothing about time: only that every figure of this process is measured and is a number.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_tiny_measurement_gives_every_figure() {
        let dir = tempfile::tempdir().unwrap();
        let recorder = ledge_process::metrics::install().unwrap();
        let time = Duration::from_millis(50);
        let scale = Scale { repetitions: 2, serial: 20, time, events: 2_000, ..Scale::QUICK };
        let metrics: Metrics = Box::new(move || recorder.render());
        let bench = Bench { dir: dir.path().to_owned(), scale, metrics, began: Instant::now() };
        let mut figures = append::run(&bench).await.unwrap();
        figures.extend(replay::run(&bench).await.unwrap());
        let names: Vec<_> = figures.iter().map(|figure| figure.name.as_str()).collect();
        for name in [
            "append.serial.p50.log",
            "append.64.row",
            "append.saturated.syncs.row",
            "replay.verify",
            "replay.views",
        ] {
            assert!(names.contains(&name), "{names:?}");
        }
        for figure in &figures {
            assert!(figure.value.is_finite() && figure.value > 0.0, "{figure:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays behind");
    }
}
