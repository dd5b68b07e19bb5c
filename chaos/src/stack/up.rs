//! `ledge-chaos up`: the stack in the foreground, and what to type next.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ledge_process::{Exit, fail, stop_signal};
use tokio::sync::mpsc;

use super::edge::Edge;
use super::manifests::{device, model};
use super::thermostat::Thermostat;
use super::{Stack, StackError};

/// Between two reports of a thermostat.
const REPORT: Duration = Duration::from_secs(5);
/// What thermostats are to hold at first.
const TARGET: &str = "21.0";

/// Start one cloud, its edges and a thermostat on each, leave them running, and say what to type next
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
While it runs, type `cut edge-1` to break an edge's link and `heal edge-1` to mend it. Ctrl-C stops everything;
the next start goes on with what is in DIR.")]
pub struct UpArgs {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = "./ledge-up")]
    pub dir: PathBuf,
    /// How many edges
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub edges: u16,
}

/// Starts the stack and keeps it until SIGINT or SIGTERM.
pub async fn up(args: UpArgs) -> Exit {
    let signal = match stop_signal() {
        Ok(signal) => signal,
        Err(error) => return failed(Exit::OsErr, &error),
    };
    tokio::pin!(signal);
    let started = tokio::select! {
        _ = &mut signal => return Exit::Done,
        started = start(&args) => started,
    };
    let mut stack = match started {
        Ok(stack) => stack,
        Err(error) => return failed(error.exit(), &error),
    };
    let ended = tokio::select! {
        _ = &mut signal => Ok(()),
        ended = keep(&mut stack) => ended,
    };
    eprintln!("stopping");
    match ended.and(stack.stop().await) {
        Ok(()) => Exit::Done,
        Err(error) => failed(error.exit(), &error),
    }
}

fn failed(exit: Exit, error: &dyn std::error::Error) -> Exit {
    let _ = fail(exit, error);
    exit
}

async fn start(args: &UpArgs) -> Result<Stack, StackError> {
    eprintln!("starting one cloud and {} edges in {}", args.edges, args.dir.display());
    let stack = Stack::start(&args.dir, usize::from(args.edges)).await?;
    let new = |thermostat: &Thermostat, edge: &Edge| device(&thermostat.name, &edge.node, TARGET);
    let mut objects = vec![model()];
    for (thermostat, edge) in stack.thermostats.iter().zip(&stack.edges) {
        // What a user wished in a former run stays.
        if stack.kube.peek("Device", &thermostat.name).await?.is_none() {
            objects.push(new(thermostat, edge));
        }
    }
    stack.kube.apply(&objects).await?;
    print!("{}", guide(&stack)?);
    Ok(stack)
}

/// Lets thermostats report, obeys what is typed, and ends when a process does.
async fn keep(stack: &mut Stack) -> Result<(), StackError> {
    let mut lines = typed();
    let mut more = true;
    let mut report = tokio::time::interval(REPORT);
    loop {
        tokio::select! {
            line = lines.recv(), if more => match line {
                Some(line) => obey(stack, &line),
                None => more = false,
            },
            _ = report.tick() => {
                stack.cloud.process.check()?;
                for edge in &mut stack.edges {
                    edge.process.check()?;
                }
                for thermostat in &stack.thermostats {
                    thermostat.report(1).await?;
                }
            }
        }
    }
}

/// The lines of stdin. A thread of its own reads them, so that the end of the process never waits for one.
fn typed() -> mpsc::Receiver<String> {
    let (lines, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn obey(stack: &Stack, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let edge = |node: &str| stack.edges.iter().find(|edge| edge.node == node);
    match words[..] {
        [] => {}
        ["cut", node] if edge(node).is_some() => {
            edge(node).into_iter().for_each(|edge| edge.link.cut());
            eprintln!("the link of {node} is cut");
        }
        ["heal", node] if edge(node).is_some() => {
            edge(node).into_iter().for_each(|edge| edge.link.heal());
            eprintln!("the link of {node} is whole");
        }
        _ => eprintln!("type `cut NODE` or `heal NODE`, or Ctrl-C to stop; nodes: {}", nodes(stack)),
    }
}

fn nodes(stack: &Stack) -> String {
    stack.edges.iter().map(|edge| edge.node.as_str()).collect::<Vec<_>>().join(" ")
}

fn guide(stack: &Stack) -> Result<String, StackError> {
    let (Some(edge), Some(thermostat)) = (stack.edges.first(), stack.thermostats.first()) else {
        return Ok(String::new());
    };
    let (kubeconfig, cloud) = (shown(&stack.cloud.kubeconfig()), shown(&stack.cloud.dir));
    let (name, node, at) = (&thermostat.name, &edge.node, edge.mqtt()?);
    let (host, port) = (at.ip(), at.port());
    let (replay, programs) = (shown(&stack.binaries.replay), shown(&stack.binaries.edge));
    let topic = format!("$hw/events/device/default/{name}/twin");
    let dir = shown(&edge.dir);
    Ok(format!(
        "\
running: ledge-cloud, {nodes}, and a thermostat on each that reports every {every} s. In another terminal:

  export KUBECONFIG={kubeconfig}
  kubectl get nodes,devices
  kubectl get devicestatus {name} -o yaml

what the device hears and says; then change what it is to hold:
  mosquitto_sub -h {host} -p {port} -v -t '{topic}/#'
  kubectl patch device {name} --type json -p '{patch}'

be a device yourself:
  mosquitto_pub -h {host} -p {port} -q 1 -t '{topic}/update' -m '{report}'

what happened, and whether all of it is still as it was written:
  {programs} status --data-dir {dir}
  {replay} cat --data-dir {dir} --stream up/{node} --limit 20
  {replay} state --data-dir {dir} --device default/{name}
  {replay} verify --data-dir {dir} --against {cloud}

here: `cut {node}` breaks its link, `heal {node}` mends it; Ctrl-C stops everything.
",
        nodes = nodes(stack),
        every = REPORT.as_secs(),
        patch = r#"[{"op":"replace","path":"/spec/properties/0/desired/value","value":"23.5"}]"#,
        report = r#"{"event_id":"by-hand","twin":{"temperature":{"actual":{"value":"4.0"}}}}"#,
    ))
}

/// A path as a shell takes it.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
