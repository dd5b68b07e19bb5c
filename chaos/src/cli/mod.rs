//! The command line.

mod sim;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ledge_process::Exit;

use crate::{bench, demo, stack};

/// Shows that Ledge keeps its promises: deterministic simulation, the demo, benchmarks.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example: ledge-chaos sim --seeds 0..200")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate whole systems with faults, each from one seed, and check the invariants.
    Sim(sim::Args),
    Demo(demo::DemoArgs),
    Up(stack::UpArgs),
    Bench(bench::Args),
}

/// Parses the arguments and runs what they say.
#[must_use]
pub fn main() -> ExitCode {
    if cfg!(all(feature = "broken", not(debug_assertions))) {
        eprintln!(
            "error: this is a release build that holds deliberate bugs (feature `broken`); it does not start"
        );
        return Exit::Config.into();
    }
    match Args::parse().command {
        Command::Sim(args) => sim::run(&args).into(),
        Command::Demo(args) => wait(demo::run(args)).into(),
        Command::Up(args) => wait(stack::up(args)).into(),
        Command::Bench(args) => bench::run(&args).into(),
    }
}

fn wait(work: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            eprintln!("error: no threads to run on: {error}");
            Exit::OsErr
        }
    }
}
