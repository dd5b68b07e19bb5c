//! `ledge-cloud serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use ledge_process::{ConfigArgs, Exit, fail, stop_signal, telemetry};
use serde::Serialize;

use crate::{App, Config};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The first start makes the certificate authority and DIR/admin.kubeconfig. When everything is bound, one line
says where: ready api=… hub=… join=… metrics=…

Examples:
  ledge-cloud serve --data-dir /var/lib/ledge-cloud
  ledge-cloud serve --data-dir D --advertise cloud.example.com --hub-listen 0.0.0.0:10000 --join-listen 0.0.0.0:10002
  ledge-cloud serve --data-dir D --print-config")]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Serialize, clap::Args)]
struct Flags {
    /// Where everything is kept; made on the first start
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the log lives: rocksdb; raft and nats://HOST:PORT are not there yet
    #[arg(long, value_name = "LOG")]
    log: Option<String>,
    /// Use a real Kubernetes API server; not there yet
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Names under which nodes and users reach this cloud; the port is the hub's
    #[arg(long, value_name = "HOST[:PORT],…")]
    advertise: Option<String>,
    /// Where nodes have their sessions [default: 127.0.0.1:10000]
    #[arg(long, value_name = "IP:PORT")]
    #[serde(rename = "hub.listen")]
    hub_listen: Option<SocketAddr>,
    /// Where nodes join [default: 127.0.0.1:10002]
    #[arg(long, value_name = "IP:PORT")]
    #[serde(rename = "join.listen")]
    join_listen: Option<SocketAddr>,
    /// Where the Kubernetes-style API is served [default: 127.0.0.1:6443]
    #[arg(long, value_name = "IP:PORT")]
    #[serde(rename = "api.listen")]
    api_listen: Option<SocketAddr>,
    /// Where metrics are served [default: 127.0.0.1:9091]
    #[arg(long, value_name = "IP:PORT")]
    #[serde(rename = "metrics.listen")]
    metrics_listen: Option<SocketAddr>,
}

pub(super) fn run(args: Args) -> ExitCode {
    let config = match Config::load(args.config.config.as_deref(), &args.flags) {
        Ok(config) => config,
        Err(error) => return fail(Exit::Config, &error),
    };
    if args.config.print_config {
        print!("{config}");
        return ExitCode::SUCCESS;
    }
    if let Err(error) = telemetry::init(&config.config.telemetry) {
        return fail(Exit::Config, &error);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::OsErr, &error),
    };
    runtime.block_on(async {
        let signal = match stop_signal() {
            Ok(signal) => signal,
            Err(error) => return fail(Exit::OsErr, &error),
        };
        let ended = match App::build(config.config).await {
            Ok(app) => app.run(signal).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(exit) => exit.into(),
            Err(error) => fail(error.exit(), &error),
        }
    })
}
