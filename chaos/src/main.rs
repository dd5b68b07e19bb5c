//! `ledge-chaos`: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ledge_chaos::cli::main()
}
