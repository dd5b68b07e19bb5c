//! `ledge-edge status`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ledge_log_rocksdb::RocksReader;
use ledge_process::data_dir::OpenMode;
use ledge_process::{CtlClient, CtlError, DataDir, Exit, Output, Role, fail};

use crate::ctl::{certificate_ends, store_status};
use crate::edgehub::HubState;
use crate::layout::{Edge, Layout};
use crate::status::Status;
use crate::store::{StoreOpenError, node_of};

/// Show where the edge stands: its session with the cloud, its streams, its devices, its store
///
/// Asks the running process, or reads the data directory of a stopped one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    ledge-edge status --data-dir /var/lib/ledge-edge\n  \
    ledge-edge status --data-dir ./oslo -o json | jq .cloud.phase")]
pub(super) struct Args {
    /// The edge's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn main(args: &Args) -> ExitCode {
    let runtime = match super::small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::OsErr, &error),
    };
    let status = match runtime.block_on(ask(&args.data_dir)) {
        Err(CtlError::NotRunning { .. }) => match read(&args.data_dir) {
            Ok(status) => status,
            Err(exit) => return exit,
        },
        Err(error) => return fail(error.exit(), &error),
        Ok(status) => status,
    };
    match args.output.print(&status, Status::table) {
        Ok(()) => Exit::Done.into(),
        Err(error) => fail(Exit::IoErr, &error),
    }
}

async fn ask(dir: &Path) -> Result<Status, CtlError> {
    let mut client = CtlClient::connect(dir).await?;
    let answer = client.call("status", &()).await?;
    serde_json::from_value(answer).map_err(|error| CtlError::Refused {
        dir: dir.to_owned(),
        reason: format!("its status is not one that this build reads: {error}"),
    })
}

/// The directory of a stopped edge; nothing in it changes but its lock.
fn read(dir: &Path) -> Result<Status, ExitCode> {
    let _lock =
        DataDir::open(dir, Role::Edge, OpenMode::ReadOnly).map_err(|error| fail(error.exit(), &error))?;
    let layout = Layout::new(dir);
    let reader = RocksReader::open_read_only(&layout.log()).map_err(|error| {
        let error = StoreOpenError::from(error);
        fail(error.exit(), &error)
    })?;
    let node = match Edge::load(&layout) {
        Ok(edge) => edge.node,
        Err(error) => node_of(&reader).ok_or_else(|| fail(Exit::Config, &error))?,
    };
    let unreadable = |error| fail(Exit::DataErr, &error);
    Ok(Status {
        running: false,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cloud: HubState::default(),
        streams: Status::streams(&reader, &node).map_err(unreadable)?,
        devices: Status::devices(&reader, &node).map_err(unreadable)?,
        store: store_status(&layout, "ok".to_owned(), Vec::new()),
        certificate_ends: certificate_ends(&layout),
        node,
    })
}
