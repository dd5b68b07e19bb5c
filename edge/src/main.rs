//! `ledge-edge`: see the crate's documentation, or `ledge-edge --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ledge_edge::cli::main()
}
