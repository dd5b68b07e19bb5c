//! `ledge-cloud recover`.

use ledge_process::{Exit, Output, Table};

use super::DirArg;
use super::offline::{CommandError, ask};
use crate::controllers::Preview;
use crate::ctl::RecoverArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code: 0 if nothing is held back or it was accepted, 1 if something waits for --accept.

Examples:
  ledge-cloud recover --data-dir D             what would be removed where
  ledge-cloud recover --data-dir D --accept    the API's objects are the truth: remove it")]
pub(super) struct Args {
    #[command(flatten)]
    dir: DirArg,
    /// Remove what is shown, and end recovering
    #[arg(long)]
    accept: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) async fn run(args: Args) -> Result<Exit, CommandError> {
    const STOPPED: &str =
        "recovering needs the running cloud, which alone knows what the API holds; start `ledge-cloud serve`";
    let dir = &args.dir.data_dir;
    let preview: Option<Preview> = ask(dir, "recover", &RecoverArgs { accept: false }).await?;
    let preview = preview.ok_or(CommandError::NeedsProcess(STOPPED))?;
    if !args.accept {
        args.output.print(&preview, table)?;
        let waits = preview.recovering.is_some() || !preview.removals.is_empty();
        return Ok(if waits { Exit::Different } else { Exit::Done });
    }
    // First what goes, then that it went.
    eprint!("{}", table(&preview));
    let done: Option<Preview> = ask(dir, "recover", &RecoverArgs { accept: true }).await?;
    args.output.print(&done.ok_or(CommandError::NeedsProcess(STOPPED))?, table)?;
    Ok(Exit::Done)
}

fn table(preview: &Preview) -> Table {
    let mut table = Table::new(Vec::<String>::new());
    table.row([match (&preview.recovering, preview.accepted) {
        (Some(why), false) => format!("recovering: {why}"),
        (Some(why), true) => format!("was recovering: {why}"),
        (None, _) => "not recovering".to_owned(),
    }]);
    let verb = if preview.accepted { "removed" } else { "would be removed" };
    table.row([format!("{} objects {verb}", preview.removals.len())]);
    for object in &preview.removals {
        table.row([object.node.clone(), object.object.clone(), object.held.clone()]);
    }
    table
}
