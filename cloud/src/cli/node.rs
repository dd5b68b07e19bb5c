//! `ledge-cloud node`.

use ledge_process::{Exit, Output, Table};
use ledge_schemas::{LogId, NodeName};

use super::DirArg;
use super::offline::{CommandError, Stopped, ask};
use crate::ctl::ResolveArgs;
use crate::operations::{self, NodeView};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Every node that ever joined
    List(ListArgs),
    /// Decide which log of a quarantined node lives; the Node's condition shows the command to type
    #[command(after_help = "\
Example:
  ledge-cloud node resolve oslo --keep 5f0c…  --data-dir D")]
    Resolve(ResolveCommand),
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    dir: DirArg,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResolveCommand {
    /// Which node
    node: NodeName,
    /// Log id of the `up` log that lives, 32 hex digits
    #[arg(long, value_name = "LOGID")]
    keep: LogId,
    #[command(flatten)]
    dir: DirArg,
}

pub(super) async fn run(command: Command) -> Result<Exit, CommandError> {
    match command {
        Command::List(ListArgs { dir, output }) => {
            let nodes: Vec<NodeView> = match ask(&dir.data_dir, "node-list", &()).await? {
                Some(nodes) => nodes,
                None => operations::nodes(&Stopped::open(&dir.data_dir)?.reader(), None)?,
            };
            output.print(&nodes, |nodes| table(nodes))?;
        }
        Command::Resolve(ResolveCommand { node, keep, dir }) => {
            let args = ResolveArgs { node: node.clone(), keep };
            if ask::<()>(&dir.data_dir, "node-resolve", &args).await?.is_none() {
                Stopped::open(&dir.data_dir)?.write(|txn| operations::resolve(txn, &node, keep))?;
            }
            eprintln!("node {node}: log {keep} lives; its next hello is admitted");
        }
    }
    Ok(Exit::Done)
}

fn table(nodes: &[NodeView]) -> Table {
    let mut table = Table::new(["NODE", "STATE", "SESSION", "ADDRESS", "UP", "DOWN", "ACKED", "QUARANTINE"]);
    for node in nodes {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.row([
            node.node.clone(),
            node.state.clone(),
            node.session.to_string(),
            or_dash(node.address.clone()),
            or_dash(node.up.clone()),
            or_dash(node.down.clone()),
            or_dash(node.down_acked.map(|seq| seq.to_string())),
            or_dash(node.quarantine.clone().map(|(why, log)| format!("{why} (log {log})"))),
        ]);
    }
    table
}
