//! The command line: a file a verb. Results go to the given writer, the rest to stderr.

pub mod cat;
pub mod ls;
pub mod state;
pub mod verify;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use ledge_process::{Exit, Output};

use crate::error::ReplayError;
use crate::source::SourceError;

/// See any node at any time: reads the logs of an edge or a cloud, running or stopped, and changes nothing.
///
/// Exit codes: 0 done or all good, 1 something is wrong or different, 2 could not tell, 64 to 78 as in sysexits.h.
#[derive(Debug, Parser)]
#[command(name = "ledge-replay", version, about, long_about)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(ls::LsArgs),
    Cat(cat::CatArgs),
    State(state::StateArgs),
    Verify(verify::VerifyArgs),
}

/// What every command takes.
#[derive(Debug, ClapArgs)]
pub struct Common {
    /// Data directory of an edge or a cloud; its process may be running.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub output: Output,
}

/// Why a command did not answer.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The data directory cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The log does not answer.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
}

impl CommandError {
    /// How the process ends. A reader that has read enough (`… | head`) is no error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Source(error) => error.exit(),
            Self::Replay(error) => error.exit(),
            Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Write(_) => Exit::IoErr,
        }
    }
}

/// Runs a command.
pub fn run(args: &Args, out: &mut impl Write) -> Result<Exit, CommandError> {
    match &args.command {
        Command::Ls(args) => ls::run(args, out),
        Command::Cat(args) => cat::run(args, out),
        Command::State(args) => state::run(args, out),
        Command::Verify(args) => verify::run(args, out),
    }
}

/// Text cut to a number of characters, for a table's last column.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
