//! `ledge-replay state`

use std::io::Write;

use clap::Args;
use ledge_core::log::Reader;
use ledge_core::view::effective::Property;
use ledge_process::{Exit, Output, Table};
use ledge_schemas::{DeviceName, StreamId};
use serde::Serialize;

use super::{CommandError, Common, cut};
use crate::at::At;
use crate::device::{Device, device_at, origin};
use crate::source::Source;
use crate::state::{StateRecord, state_at};

/// Characters of a row in a table; `-o json` has all of it.
const VALUE: usize = 200;

/// Shows a stream's view, or one device's twin, as it was at a position or a time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ledge-replay state --data-dir /var/lib/ledge-edge --stream up/oslo --at 1:4711\n  \
    ledge-replay state --data-dir /var/lib/ledge-edge --device shop/thermostat --at 2026-03-01T03:12:00Z")]
pub struct StateArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    what: What,
}

/// What to show, and of when.
#[derive(Clone, Debug, Default, Args)]
pub struct What {
    /// The stream: control, cluster, up/NODE or down/NODE.
    #[arg(long, value_name = "STREAM", required_unless_present = "device")]
    pub stream: Option<StreamId>,
    /// EPOCH:SEQ, or an RFC 3339 time by the writer's clock; without it, the head.
    #[arg(long, value_name = "WHEN")]
    pub at: Option<At>,
    /// Only rows whose key begins with this.
    #[arg(long, value_name = "PREFIX", conflicts_with = "device")]
    pub key: Option<String>,
    /// A device's twin, from both streams of its node.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub device: Option<DeviceName>,
}

pub(super) fn run(args: &StateArgs, out: &mut impl Write) -> Result<Exit, CommandError> {
    let source = Source::open(&args.common.data_dir)?;
    show(source.reader(), &args.what, args.common.output, out)
}

/// Prints a state of a store.
pub fn show<R: Reader>(
    reader: &R,
    what: &What,
    output: Output,
    out: &mut impl Write,
) -> Result<Exit, CommandError> {
    let at = what.at.unwrap_or_default();
    match (&what.device, &what.stream) {
        (Some(device), stream) => {
            let device = device_at(reader, device, stream.as_ref(), at)?;
            print(&device.record(), output, out, |_| device_table(&device))?;
        }
        (None, Some(stream)) => {
            let record = state_at(reader, stream, at)?.record(what.key.as_deref().unwrap_or_default());
            print(&record, output, out, state_table)?;
        }
        (None, None) => {}
    }
    Ok(Exit::Done)
}

/// YAML has no place for stored JSON as it is, so it gets the values.
fn print<T: Serialize>(
    record: &T,
    output: Output,
    out: &mut impl Write,
    table: impl FnOnce(&T) -> Table,
) -> Result<(), CommandError> {
    match output {
        Output::Yaml => {
            let value = serde_json::to_value(record).map_err(std::io::Error::from)?;
            output.write(out, &value, |_| Table::default())?;
        }
        _ => output.write(out, record, table)?,
    }
    Ok(())
}

fn state_table(state: &StateRecord) -> Table {
    let mut table = Table::new(["KEY", "AT", "VALUE"]);
    for row in &state.rows {
        table.row([row.key.clone(), row.at.to_string(), cut(row.value.as_str(), VALUE)]);
    }
    table
}

fn device_table(device: &Device) -> Table {
    let mut table =
        Table::new(["PROPERTY", "EFFECTIVE", "SET BY", "ACTUAL", "PENDING", "DESIRED", "EXPECTED"]);
    for (name, property) in &device.properties {
        table.row(property_row(name, property));
    }
    table
}

fn property_row(name: &str, property: &Property) -> [String; 7] {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let effective = property.expected();
    [
        name.to_owned(),
        or_dash(effective.map(|expected| expected.value)),
        or_dash(effective.map(|expected| origin(expected.origin))),
        or_dash(property.actual().map(|actual| actual.value.as_str())),
        or_dash(property.pending()),
        or_dash(property.desired.as_ref().map(|wish| wish.value.as_str())),
        or_dash(property.local().map(|local| local.value.as_str())),
    ]
}
