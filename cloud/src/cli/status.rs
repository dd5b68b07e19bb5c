//! `ledge-cloud status`.

use ledge_process::{Exit, Output, Table};

use super::DirArg;
use super::offline::{CommandError, Stopped, ask};
use crate::operations::{self, StatusView};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    dir: DirArg,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) async fn run(args: Args) -> Result<Exit, CommandError> {
    let status: StatusView = match ask(&args.dir.data_dir, "status", &()).await? {
        Some(status) => status,
        None => operations::status(&Stopped::open(&args.dir.data_dir)?.reader())?,
    };
    args.output.print(&status, table)?;
    Ok(Exit::Done)
}

fn table(status: &StatusView) -> Table {
    let mut table = Table::new(Vec::<String>::new());
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    table
        .row(["running", if status.running { "yes" } else { "no" }])
        .row(["store".to_owned(), or_dash(&status.store_id)])
        .row(["authority".to_owned(), or_dash(&status.authority)])
        .row(["recovering".to_owned(), status.recovering.clone().unwrap_or_else(|| "no".to_owned())])
        .row(["cluster".to_owned(), or_dash(&status.cluster)])
        .row(["control".to_owned(), or_dash(&status.control)])
        .row(["nodes".to_owned(), format!("{}, {} live", status.nodes, status.live)]);
    for (name, address) in &status.listeners {
        table.row([name.clone(), address.clone()]);
    }
    table
}
