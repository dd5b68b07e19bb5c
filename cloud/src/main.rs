//! `ledge-cloud`: see the crate's documentation, or `ledge-cloud --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ledge_cloud::cli::main()
}
