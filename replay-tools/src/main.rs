//! `ledge-replay`: see any node at any time. `--help` explains everything.

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

use clap::Parser;
use ledge_process::{Exit, fail};
use ledge_replay::commands::{Args, run};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers too; a closed output changes nothing about either.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let mut out = BufWriter::new(stdout().lock());
    match run(&args, &mut out).and_then(|exit| Ok(out.flush().map(|()| exit)?)) {
        Ok(exit) => exit.into(),
        Err(error) if error.exit() == Exit::Done => ExitCode::SUCCESS,
        Err(error) => fail(error.exit(), &error),
    }
}
