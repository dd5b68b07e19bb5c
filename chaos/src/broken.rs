//! `ledge-chaos-broken`: `ledge-chaos` built with deliberate bugs inside.

use std::process::ExitCode;

fn main() -> ExitCode {
    ledge_chaos::cli::main()
}
