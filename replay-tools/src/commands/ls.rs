//! `ledge-replay ls`

use std::io::Write;

use clap::Args;
use ledge_core::log::Reader;
use ledge_process::{Exit, Output, Table};

use super::{CommandError, Common};
use crate::list::{LogInfo, streams};
use crate::source::Source;

/// Characters of a chain or digest in a table.
const SHORT: usize = 12;

/// Lists the streams: where each begins and ends, its chain and the digest of its view.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ledge-replay ls --data-dir /var/lib/ledge-edge")]
pub struct LsArgs {
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &LsArgs, out: &mut impl Write) -> Result<Exit, CommandError> {
    let source = Source::open(&args.common.data_dir)?;
    show(source.reader(), args.common.output, out)
}

/// Prints the streams of a store.
pub fn show<R: Reader>(reader: &R, output: Output, out: &mut impl Write) -> Result<Exit, CommandError> {
    output.write(out, &streams(reader)?, |all| table(all))?;
    Ok(Exit::Done)
}

fn table(all: &[LogInfo]) -> Table {
    let mut table =
        Table::new(["STREAM", "LOG", "EPOCH", "BASE", "REASON", "HEAD", "CHAIN", "DIGEST", "STATUS"]);
    for log in all {
        let short = |text: String| text.chars().take(SHORT).collect::<String>();
        table.row([
            log.stream.clone(),
            log.log_id.to_string(),
            log.epoch.to_string(),
            log.base.to_string(),
            log.reason.to_owned(),
            log.head.to_string(),
            short(log.chain.to_string()),
            short(log.digest.to_string()),
            (if log.archived { "archived" } else { "current" }).to_owned(),
        ]);
    }
    table
}
