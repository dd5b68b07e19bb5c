//! `ledge-edge join`

use std::path::PathBuf;
use std::process::ExitCode;

use ledge_pki::Token;
use ledge_process::telemetry::TelemetryConfig;
use ledge_process::{Exit, fail};
use ledge_schemas::NodeName;

use crate::address::HostPort;
use crate::join::Join;
use crate::layout::Layout;

/// Join a cloud: make this node's key, have its certificate issued, and prepare the data directory
///
/// The token comes from `ledge-cloud token create`. It is sent only to the cloud whose CA it names. The key is made
/// here and never leaves the data directory. An interrupted join goes on where it was when it is run again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    ledge-edge join --cloud cloud.example.com:10002 --token \"$TOKEN\" --node oslo --data-dir /var/lib/ledge-edge")]
pub(super) struct Args {
    /// Where the cloud's join listener is
    #[arg(long, value_name = "HOST:PORT")]
    cloud: HostPort,
    /// The join token; better given as LEDGE_JOIN_TOKEN, which other users of this machine cannot read
    #[arg(long, value_name = "TOKEN", env = "LEDGE_JOIN_TOKEN", hide_env_values = true)]
    token: Token,
    /// The name to join under: the Kubernetes name of this node
    #[arg(long, value_name = "NAME")]
    node: NodeName,
    /// Where everything is kept; made if it is not there
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

pub(super) fn main(args: Args) -> ExitCode {
    if let Err(error) = TelemetryConfig::from_env().and_then(|config| ledge_process::telemetry::init(&config))
    {
        return fail(Exit::Config, &error);
    }
    let runtime = match super::small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::OsErr, &error),
    };
    let Args { cloud, token, node, data_dir } = args;
    let join = Join { cloud, token, node, layout: Layout::new(&data_dir) };
    match runtime.block_on(join.run()) {
        Ok(edge) => {
            let hubs: Vec<_> = edge.hub.iter().map(HostPort::to_string).collect();
            eprintln!("{} has joined; its hub is {}", edge.node, hubs.join(", "));
            eprintln!("next: ledge-edge run --data-dir {}", data_dir.display());
            Exit::Done.into()
        }
        Err(error) => fail(error.exit(), &error),
    }
}
