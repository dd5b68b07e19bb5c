//! `ledge-replay cat`

use std::io::Write;

use clap::Args;
use ledge_core::log::Reader;
use ledge_process::{Exit, Output, Table};
use ledge_schemas::{Kind, LogId, Seq, StreamId, kinds};

use super::{CommandError, Common, cut};
use crate::events::{Entry, Filter, Record, events};
use crate::source::Source;

/// Characters of a body in a table; `-o json` has all of it.
const BODY: usize = 160;

/// Prints events in order, decoded. `-o json` prints one JSON object a line.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    ledge-replay cat --data-dir /var/lib/ledge-edge --kind twin-changed --key shop/thermostat --limit 20")]
pub struct CatArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    which: Which,
}

/// Which events.
#[derive(Clone, Debug, Default, Args)]
pub struct Which {
    /// One stream: control, cluster, up/NODE or down/NODE. Without it, one after the other.
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<StreamId>,
    /// A log of the stream by its id, for archived ones; see `ledge-replay ls`.
    #[arg(long, value_name = "LOGID", requires = "stream")]
    pub log: Option<LogId>,
    /// Only events whose key begins with this.
    #[arg(long, value_name = "PREFIX")]
    pub key: Option<String>,
    /// Only events of this kind: a name such as twin-changed, or a number.
    #[arg(long, value_name = "NAME", value_parser = kind)]
    pub kind: Option<Kind>,
    /// First seq, inclusive.
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,
    /// Last seq, inclusive.
    #[arg(long, value_name = "SEQ")]
    pub to: Option<u64>,
    /// Stop after so many events.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

fn kind(text: &str) -> Result<Kind, String> {
    let named = kinds::all().find(|(_, name)| *name == text).map(|(kind, _)| kind);
    let numbered = || text.parse().ok().map(Kind);
    named.or_else(numbered).ok_or_else(|| {
        let names: Vec<_> = kinds::all().map(|(_, name)| name).collect();
        format!("no such kind; there are {}", names.join(", "))
    })
}

pub(super) fn run(args: &CatArgs, out: &mut impl Write) -> Result<Exit, CommandError> {
    let source = Source::open(&args.common.data_dir)?;
    show(source.reader(), &args.which, args.common.output, out)
}

/// Prints events of a store.
pub fn show<R: Reader>(
    reader: &R,
    which: &Which,
    output: Output,
    out: &mut impl Write,
) -> Result<Exit, CommandError> {
    let streams = match &which.stream {
        Some(stream) => vec![stream.clone()],
        None => reader.streams().map_err(crate::ReplayError::from)?,
    };
    let (from, to) = (which.from.map(Seq), which.to.map(Seq));
    let mut left = which.limit.unwrap_or(usize::MAX);
    if output == Output::Table {
        out.write_all(heading().as_bytes())?;
    }
    for stream in &streams {
        let filter = Filter { log: which.log, from, to, key: which.key.clone(), kind: which.kind };
        for entry in events(reader, stream, filter)?.take(left) {
            print(&entry?, output, out)?;
            left -= 1;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn print(entry: &Entry, output: Output, out: &mut impl Write) -> Result<(), CommandError> {
    let record = entry.record();
    match output {
        Output::Table => out.write_all(line(&record).as_bytes())?,
        Output::Json => {
            serde_json::to_writer(&mut *out, &record).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
        }
        // A sequence of one after the other is the sequence of all.
        Output::Yaml => {
            let mut text = Vec::new();
            let value = serde_json::to_value(&record).map_err(std::io::Error::from)?;
            output.write(&mut text, &[value], |_| Table::default())?;
            out.write_all(&text)?;
        }
    }
    Ok(())
}

fn heading() -> String {
    columns(["STREAM", "POSITION", "TIME", "KIND", "KEY", "SEEN", "CAUSE", "BODY"].map(str::to_owned))
}

fn line(record: &Record) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    columns([
        record.stream.clone(),
        record.position.clone(),
        record.time.clone(),
        record.kind.clone(),
        record.key.clone(),
        or_dash(&record.seen),
        or_dash(&record.cause),
        cut(record.body.as_str(), BODY),
    ])
}

/// One line of fixed least widths, so that nothing waits for the longest cell of a large log.
fn columns([stream, position, time, kind, key, seen, cause, body]: [String; 8]) -> String {
    let mut line = Table::default();
    line.row([
        format!("{stream:<16}"),
        format!("{position:<8}"),
        format!("{time:<24}"),
        format!("{kind:<16}"),
        format!("{key:<24}"),
        format!("{seen:<8}"),
        format!("{cause:<8}"),
        body,
    ]);
    line.to_string()
}
