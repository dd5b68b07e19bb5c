//! `ledge-chaos demo`: the main story, told on this machine with real processes, and proved as it goes.
//!
//! ```text
//!   begin ─► work ─► part (cut) ─► crash (edge, cloud) ─► heal ─► logs (once, in order, equal) ─► travel
//! ```
//! Each step prints what it saw and how long it took. A check compares what should be with what is; one that does not
//! hold is told with both, the story goes on where it can, and the directory with all data and logs is kept.
//!
//! Reading order: [`story`] → `begin` → `part` → `heal` → `logs`.

mod begin;
mod heal;
mod logs;
mod part;
pub mod story;

use std::path::PathBuf;
use std::time::Duration;

use ledge_process::{Exit, Output, fail, stop_signal};

use crate::stack::{Stack, StackError};
use story::Story;

/// Edges of the story, with a thermostat each.
const EDGES: usize = 2;
/// What the story may take.
const LIMIT: Duration = Duration::from_secs(90);
/// Longest that a single thing may take to come about.
const PATIENCE: Duration = Duration::from_secs(45);
/// What thermostats are to hold before the cut.
const FIRST_TARGET: &str = "21.0";

/// Tell the main story: a change made with kubectl reaches a device, its reports reach kubectl, and neither a cut link
/// nor SIGKILL loses, doubles or reorders anything
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 everything holds, 1 something does not, 64 to 78 as in sysexits.h.")]
pub struct DemoArgs {
    /// Where to keep everything; must be empty or new. Without it, a temporary directory that is removed if all holds
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Reports of each thermostat while its link is cut
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub reports: u32,
    /// How to print the result; with json or yaml, the story itself goes to stderr
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// What the steps share.
struct Demo<'s> {
    stack: Stack,
    story: &'s mut Story,
    /// By the index of the edge.
    at_cut: Vec<AtCut>,
    /// What thermostats are to hold now.
    target: String,
    reports: usize,
}

/// How an edge and its thermostat were when the link was cut.
#[derive(Clone, Debug)]
struct AtCut {
    /// `epoch:seq` of the last event of `up`.
    head: String,
    temperature: String,
    target: String,
}

/// Tells the story.
pub async fn run(args: DemoArgs) -> Exit {
    let signal = match stop_signal() {
        Ok(signal) => signal,
        Err(error) => return failed(Exit::OsErr, &error),
    };
    let (dir, temporary) = match place(args.dir) {
        Ok(place) => place,
        Err(error) => return failed(Exit::CantCreate, &error),
    };
    let mut story = Story::new(args.output, LIMIT);
    let told = tokio::select! {
        told = tell(&dir, args.reports as usize, &mut story) => told,
        name = signal => {
            eprintln!("{name}: stopped in the middle of the story");
            return Exit::Unknown;
        }
    };
    if let Err(error) = &told {
        story.broke(error);
    }
    let holds = story.end();
    let kept = if holds { None } else { temporary.map(tempfile::TempDir::keep) };
    if !holds {
        eprintln!("kept: {}", kept.as_deref().unwrap_or(&dir).display());
    }
    match (told, holds) {
        (Ok(()), true) => Exit::Done,
        (Ok(()), false) => Exit::Different,
        (Err(error), _) => error.exit(),
    }
}

fn failed(exit: Exit, error: &dyn std::error::Error) -> Exit {
    let _ = fail(exit, error);
    exit
}

fn place(dir: Option<PathBuf>) -> std::io::Result<(PathBuf, Option<tempfile::TempDir>)> {
    let Some(dir) = dir else {
        // Short, because sockets in it have names of at most 107 bytes.
        let temporary = tempfile::Builder::new().prefix("ledge-demo-").tempdir()?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    };
    std::fs::create_dir_all(&dir)?;
    if std::fs::read_dir(&dir)?.next().is_some() {
        let why = format!("{} is not empty; name a new directory", dir.display());
        return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, why));
    }
    Ok((dir, None))
}

/// The whole story. What was started is stopped however it ends.
async fn tell(dir: &std::path::Path, reports: usize, story: &mut Story) -> Result<(), StackError> {
    story.step("one cloud and two edges start; the edges join with a token each");
    let stack = Stack::start(dir, EDGES).await?;
    let mut demo = Demo { stack, story, at_cut: Vec::new(), target: FIRST_TARGET.to_owned(), reports };
    let told = demo.tell().await;
    if told.is_err() || !demo.story.holds() {
        eprintln!("{}", demo.stack.log_tails());
    }
    told?;
    let Demo { stack, story, .. } = demo;
    story.step("everything stops when asked");
    let stopped = stack.stop().await.map_err(|error| error.to_string());
    story.check("every process ends with 0", Ok::<_, String>(()), stopped);
    Ok(())
}

impl Demo<'_> {
    async fn tell(&mut self) -> Result<(), StackError> {
        self.nodes_are_ready().await?;
        self.a_wish_reaches_the_device_and_its_report_the_user().await?;
        self.the_links_are_cut().await?;
        self.an_edge_is_killed().await?;
        self.the_cloud_is_killed().await?;
        self.the_links_are_healed().await?;
        self.nothing_is_lost_doubled_or_reordered().await?;
        self.the_past_can_be_seen().await
    }
}
