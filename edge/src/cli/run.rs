//! `ledge-edge run`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use ledge_process::{ConfigArgs, Exit, fail, ready_line, stop_signal, telemetry};
use serde::Serialize;

use crate::app::App;
use crate::config::Config;

/// Threads for everything that waits; the log's writer has its own.
const WORKERS: usize = 2;

/// Run the edge: the MQTT broker, the device twins, the log, and the session with the cloud
///
/// Starts and works without a network. Prints one line "ready" with its addresses once it serves.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    ledge-edge run --data-dir /var/lib/ledge-edge\n  \
    ledge-edge run --data-dir ./oslo --mqtt-listen 127.0.0.1:0 --api-listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0\n  \
    ledge-edge run --data-dir ./oslo --mqtt-broker mqtt://127.0.0.1:1883\n  \
    LEDGE_LOG=debug ledge-edge run --data-dir ./oslo --print-config")]
pub(super) struct Args {
    /// Where everything is kept; made by `ledge-edge join`
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Where the embedded MQTT broker listens; without a password only loopback
    #[arg(long, value_name = "IP:PORT", conflicts_with = "mqtt_broker")]
    mqtt_listen: Option<SocketAddr>,
    /// Use this MQTT broker instead of the embedded one
    #[arg(long, value_name = "mqtt://HOST:PORT")]
    mqtt_broker: Option<String>,
    /// Where the local API listens
    #[arg(long, value_name = "IP:PORT")]
    api_listen: Option<SocketAddr>,
    /// Where metrics are served
    #[arg(long, value_name = "IP:PORT")]
    metrics_listen: Option<SocketAddr>,
}

#[derive(Serialize)]
struct Flags<'a> {
    data_dir: Option<&'a PathBuf>,
    #[serde(rename = "mqtt.listen")]
    mqtt_listen: Option<SocketAddr>,
    #[serde(rename = "mqtt.broker")]
    mqtt_broker: Option<&'a str>,
    #[serde(rename = "api.listen")]
    api_listen: Option<SocketAddr>,
    #[serde(rename = "metrics.listen")]
    metrics_listen: Option<SocketAddr>,
}

pub(super) fn main(args: &Args) -> ExitCode {
    let flags = Flags {
        data_dir: args.data_dir.as_ref(),
        mqtt_listen: args.mqtt_listen,
        mqtt_broker: args.mqtt_broker.as_deref(),
        api_listen: args.api_listen,
        metrics_listen: args.metrics_listen,
    };
    let effective = match Config::load(args.config.config.as_deref(), &flags) {
        Ok(effective) => effective,
        Err(error) => return fail(Exit::Config, &error),
    };
    if args.config.print_config {
        print!("{effective}");
        return Exit::Done.into();
    }
    if let Err(error) = telemetry::init(&effective.config.telemetry) {
        return fail(Exit::Config, &error);
    }
    for variable in effective.ignored() {
        tracing::warn!(variable, "a variable of the environment looks like a setting and is none");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::OsErr, &error),
    };
    runtime.block_on(async {
        let signal = match stop_signal() {
            Ok(signal) => signal,
            Err(error) => return fail(Exit::OsErr, &error),
        };
        let app = match App::build(effective.config).await {
            Ok(app) => app,
            Err(error) => return fail(error.exit(), &error),
        };
        if let Err(error) = ready_line(&app.addresses()) {
            tracing::warn!(%error, "nobody reads the ready line");
        }
        app.run(signal).await.into()
    })
}
