//! The command line: a file a verb.

mod join;
mod run;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ledge_process::Exit;

/// An edge node of Ledge: devices, their twins, and the log that keeps them.
///
/// It does its whole job without a network; the cloud gets everything when there is one.
#[derive(Debug, Parser)]
#[command(name = "ledge-edge", version, max_term_width = 110)]
#[command(after_help = "A first start:\n  \
    ledge-edge join --cloud 127.0.0.1:10002 --token \"$TOKEN\" --node oslo --data-dir ./oslo\n  \
    ledge-edge run --data-dir ./oslo\n  \
    ledge-edge status --data-dir ./oslo\n\n\
    Exit codes: 0 done, 1 the answer is no, 2 could not tell, 64 to 78 as in sysexits.h.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Join(join::Args),
    Run(run::Args),
    Status(status::Args),
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stdout or stderr changes nothing about the exit code.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    match cli.command {
        Command::Join(args) => join::main(args),
        Command::Run(args) => run::main(&args),
        Command::Status(args) => status::main(&args),
    }
}

/// For commands that are done in a moment.
fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
