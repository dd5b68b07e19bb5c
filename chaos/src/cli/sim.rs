//! `ledge-chaos sim`.

use std::io::IsTerminal;
use std::ops::Range;
use std::time::{Duration, Instant};

use ledge_process::Exit;
use serde_json::json;

use crate::sim::{Outcome, PROFILES, Profile, Progress, run_seed, run_seeds};

/// Runs a simulation per seed: a minute of faults, then all faults off and everything must converge.
/// Exit 0: every seed holds; 1: a seed does not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ledge-chaos sim --seeds 0..2000\n  \
                        ledge-chaos sim --seed 229 --trace\n  \
                        ledge-chaos sim --seeds 0..100 --profile cloned-edge")]
pub(super) struct Args {
    /// One seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Seeds A up to, not including, B.
    #[arg(long, value_name = "A..B", value_parser = parse_range, required_unless_present = "seed")]
    seeds: Option<Range<u64>>,
    /// What the runs are about; by default each seed chooses. One of: flaky-link, partition, kill, disk,
    /// clocks, amnesiac-cloud, restored-cloud, restored-edge, cloned-edge, everything.
    #[arg(long, value_parser = parse_profile)]
    profile: Option<Profile>,
    /// Print every step of a single seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Threads; by default one per processor.
    #[arg(long)]
    threads: Option<usize>,
    /// Output: table for people, json for programs.
    #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
    output: String,
    /// Put this bug back in (`all`: one after the other) and succeed only if a seed catches it. Needs a
    /// build with the feature `broken`.
    #[arg(long, value_name = "BUG", requires = "seeds")]
    expect_broken: Option<String>,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is not A..B with A below B, for example 0..2000");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let (from, to) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
    if from < to { Ok(from..to) } else { Err(wrong()) }
}

fn parse_profile(text: &str) -> Result<Profile, String> {
    let known = PROFILES.iter().find(|(_, name)| *name == text);
    known.map(|(profile, _)| *profile).ok_or_else(|| {
        let names: Vec<_> = PROFILES.iter().map(|(_, name)| *name).collect();
        format!("{text:?} is none of {}", names.join(", "))
    })
}

/// Runs what the arguments say.
#[must_use]
pub(super) fn run(args: &Args) -> Exit {
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    if let Some(bugs) = &args.expect_broken {
        return expect_broken(bugs, args.seeds.clone().unwrap_or(0..200), threads);
    }
    if let Err(why) = choose_from_environment() {
        eprintln!("error: {why}");
        return Exit::Config;
    }
    match (args.seed, &args.seeds) {
        (Some(seed), _) => one(seed, args),
        (None, Some(seeds)) => many(seeds.clone(), threads, args),
        (None, None) => Exit::Usage,
    }
}

fn one(seed: u64, args: &Args) -> Exit {
    let json = args.output == "json";
    let outcome = run_seed(seed, args.profile, args.trace && !json);
    if json {
        println!("{}", as_json(&outcome));
    } else {
        match &outcome.violation {
            Some(_) => print_failure(&outcome, args.profile, !args.trace),
            None => println!(
                "seed {seed} ({}) holds: {} steps, trace {}",
                outcome.profile.name(),
                outcome.steps,
                outcome.trace
            ),
        }
    }
    if outcome.violation.is_none() { Exit::Done } else { Exit::Different }
}

fn as_json(outcome: &Outcome) -> serde_json::Value {
    json!({
        "seed": outcome.seed,
        "profile": outcome.profile.name(),
        "violation": outcome.violation.as_ref().map(|v| json!({
            "invariant": v.invariant.to_string(), "place": v.place, "what": v.what,
        })),
        "steps": outcome.steps,
        "trace": outcome.trace.to_string(),
        "coverage": outcome.coverage.iter().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

fn print_failure(outcome: &Outcome, profile: Option<Profile>, with_tail: bool) {
    let Some(violation) = &outcome.violation else { return };
    if with_tail {
        outcome.tail.iter().for_each(|line| println!("{line}"));
    }
    let (seed, name) = (outcome.seed, outcome.profile.name());
    println!("FAILED  seed {seed} ({name}), step {}: {violation}", outcome.steps);
    let profile = profile.map(|profile| format!(" --profile {}", profile.name())).unwrap_or_default();
    println!("again   ledge-chaos sim --seed {seed}{profile} --trace");
}

fn many(seeds: Range<u64>, threads: usize, args: &Args) -> Exit {
    let json = args.output == "json";
    let mut shown = Instant::now();
    let lively = std::io::stderr().is_terminal();
    let progress = run_seeds(seeds, args.profile, threads, false, |progress, failure| {
        match failure {
            Some(outcome) if json => println!("{}", as_json(outcome)),
            Some(outcome) => print_failure(outcome, args.profile, false),
            None => {}
        }
        let pause = if lively { Duration::from_secs(1) } else { Duration::from_secs(20) };
        if shown.elapsed() > pause {
            shown = Instant::now();
            eprintln!(
                "{} of {} seeds, {} failed, {:.0?} left",
                progress.done,
                progress.total,
                progress.failed.len(),
                progress.left()
            );
        }
    });
    summary(&progress, json);
    if progress.failed.is_empty() { Exit::Done } else { Exit::Different }
}

fn summary(progress: &Progress, json: bool) {
    let coverage: std::collections::BTreeMap<_, _> = progress.coverage.iter().collect();
    if json {
        let summary = json!({
            "seeds": progress.done, "failed": progress.failed, "steps": progress.steps,
            "seconds": progress.elapsed.as_secs_f64(), "coverage": coverage,
        });
        return println!("{summary}");
    }
    println!("exercised:");
    coverage.iter().for_each(|(what, times)| println!("  {what:<20} {times}"));
    println!(
        "{} seeds, {} failed, {} steps in {:.1?}",
        progress.done,
        progress.failed.len(),
        progress.steps,
        progress.elapsed
    );
}

#[cfg(feature = "broken")]
fn choose_from_environment() -> Result<(), String> {
    let Ok(name) = std::env::var("LEDGE_BROKEN") else { return Ok(()) };
    ledge_core::broken::choose(Some(bug_named(&name)?));
    eprintln!("this process holds the deliberate bug {name}");
    Ok(())
}

#[cfg(not(feature = "broken"))]
fn choose_from_environment() -> Result<(), String> {
    match std::env::var_os("LEDGE_BROKEN") {
        None => Ok(()),
        Some(_) => Err("LEDGE_BROKEN is set, but this build holds no deliberate bugs: build with the \
                        feature `broken`, or unset it"
            .to_owned()),
    }
}

#[cfg(not(feature = "broken"))]
fn expect_broken(_: &str, _: Range<u64>, _: usize) -> Exit {
    eprintln!("error: --expect-broken needs ledge-chaos-broken, the build with the feature `broken`");
    Exit::Usage
}

#[cfg(feature = "broken")]
fn bug_named(name: &str) -> Result<ledge_core::broken::Bug, String> {
    use ledge_core::broken::BUGS;
    let known = BUGS.iter().find(|(_, known)| *known == name).map(|(bug, _)| *bug);
    known.ok_or_else(|| {
        let names: Vec<_> = BUGS.iter().map(|(_, name)| *name).collect();
        format!("no bug is called {name:?}; there are {}", names.join(", "))
    })
}

/// Puts one bug after the other back in; each must be caught.
#[cfg(feature = "broken")]
fn expect_broken(which: &str, seeds: Range<u64>, threads: usize) -> Exit {
    use ledge_core::broken::{self, BUGS};
    let chosen: Vec<_> = match which {
        "all" => BUGS.to_vec(),
        name => match bug_named(name) {
            Ok(bug) => BUGS.iter().filter(|(known, _)| *known == bug).copied().collect(),
            Err(why) => {
                eprintln!("error: {why}");
                return Exit::Usage;
            }
        },
    };
    let mut missed = 0;
    for (bug, name) in chosen {
        broken::choose(Some(bug));
        let mut caught: Option<String> = None;
        let progress = run_seeds(seeds.clone(), None, threads, true, |_, failure| {
            if let (None, Some(Outcome { seed, violation: Some(violation), .. })) = (&caught, failure) {
                caught = Some(format!("seed {seed}: {violation}"));
            }
        });
        missed += u32::from(caught.is_none());
        let verdict = caught.unwrap_or_else(|| "NOT CAUGHT".to_owned());
        println!("{name:<20} {:>4} seeds  {verdict}", progress.done);
    }
    broken::choose(None);
    if missed == 0 { Exit::Done } else { Exit::Different }
}
