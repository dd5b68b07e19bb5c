//! The command line: a noun, a verb, a file each.

mod node;
mod offline;
mod recover;
mod serve;
mod status;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ledge_process::telemetry::{self, TelemetryConfig};
use ledge_process::{Exit, fail};

use offline::CommandError;

/// The cloud side of Ledge: sessions of nodes, a Kubernetes-style API, the controllers between the two.
#[derive(Debug, Parser)]
#[command(
    name = "ledge-cloud",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  ledge-cloud serve --data-dir /var/lib/ledge-cloud
  ledge-cloud token create --data-dir /var/lib/ledge-cloud --node oslo
  kubectl --kubeconfig /var/lib/ledge-cloud/admin.kubeconfig get nodes,devices -A"
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve nodes and the API until stopped
    Serve(Box<serve::Args>),
    /// Tokens by which nodes join
    #[command(subcommand)]
    Token(token::Command),
    /// Nodes as the log knows them
    #[command(subcommand)]
    Node(node::Command),
    /// Show what leaves which node if the API's objects are the truth; with --accept do it
    Recover(recover::Args),
    /// Show how the cloud is
    Status(status::Args),
}

/// The flag that every command has.
#[derive(Clone, Debug, clap::Args)]
struct DirArg {
    /// The cloud's data directory
    #[arg(long, value_name = "DIR", env = "LEDGE_DATA_DIR")]
    data_dir: PathBuf,
}

/// Parses the command line and runs it.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // `--help` and `--version` are answers; what cannot be printed cannot be helped.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    match args.command {
        Command::Serve(args) => serve::run(*args),
        Command::Token(command) => tool(token::run(command)),
        Command::Node(command) => tool(node::run(command)),
        Command::Recover(args) => tool(recover::run(args)),
        Command::Status(args) => tool(status::run(args)),
    }
}

/// Runs a short command.
fn tool(command: impl Future<Output = Result<Exit, CommandError>>) -> ExitCode {
    let quiet = TelemetryConfig { filter: "warn".to_owned(), ..TelemetryConfig::default() };
    let filter = std::env::var_os(telemetry::LOG_VARIABLE).map(|_| TelemetryConfig::from_env());
    let config = match filter.transpose() {
        Ok(config) => config.unwrap_or(quiet),
        Err(error) => return fail(Exit::Config, &error),
    };
    if let Err(error) = telemetry::init(&config) {
        return fail(Exit::Config, &error);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => match runtime.block_on(command) {
            Ok(exit) => exit.into(),
            Err(error) => fail(error.exit(), &error),
        },
        Err(error) => fail(Exit::OsErr, &error),
    }
}
