//! The programs of Ledge, and commands that are run to their end.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::StackError;

/// Longest that a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the programs are: beside the running one.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `ledge-cloud`
    pub cloud: PathBuf,
    /// `ledge-edge`
    pub edge: PathBuf,
    /// `ledge-replay`
    pub replay: PathBuf,
}

impl Binaries {
    /// Finds all of them.
    ///
    /// # Errors
    /// [`StackError::NoBinary`].
    pub fn find() -> Result<Self, StackError> {
        let running = std::env::current_exe();
        let running =
            running.map_err(|source| StackError::file(Path::new("/proc/self/exe"), "read", source))?;
        let dir = running.parent().unwrap_or(Path::new("."));
        let find = |name: &str| {
            let path = dir.join(name);
            if path.is_file() { Ok(path) } else { Err(StackError::NoBinary { path }) }
        };
        Ok(Self { cloud: find("ledge-cloud")?, edge: find("ledge-edge")?, replay: find("ledge-replay")? })
    }
}

/// A command that was run to its end.
#[derive(Clone, Debug)]
pub struct Done {
    /// As it would be typed.
    pub command: String,
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said beside.
    pub stderr: String,
}

impl Done {
    /// It, if it exited with 0.
    ///
    /// # Errors
    /// [`StackError::Tool`] with what it said.
    pub fn good(self) -> Result<Self, StackError> {
        match self.code {
            Some(0) => Ok(self),
            _ => Err(self.error()),
        }
    }

    /// What it printed, as JSON. An exit code that is an answer (1, 2) is none of its concern.
    ///
    /// # Errors
    /// [`StackError::Tool`] if it failed instead of answering; [`StackError::Answer`].
    pub fn json(&self) -> Result<Value, StackError> {
        if self.stdout.is_empty() && self.code != Some(0) {
            return Err(self.error());
        }
        let answer = |error| StackError::answer(format!("the output of `{}`", self.command), error);
        serde_json::from_str(&self.stdout).map_err(answer)
    }

    /// That it did not do what it should.
    #[must_use]
    pub fn error(&self) -> StackError {
        let what = match self.code {
            Some(code) => format!("exited with {code}"),
            None => "was ended by a signal".to_owned(),
        };
        let output = format!("{}{}", self.stdout, self.stderr);
        StackError::Tool { command: self.command.clone(), what, output: last_lines(&output, 30) }
    }
}

/// A program with arguments, without the settings of whoever runs this (`LEDGE_…`, `KUBECONFIG`, proxies).
#[must_use]
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours =
            text.starts_with("LEDGE_") || text == "KUBECONFIG" || text.to_lowercase().ends_with("_proxy");
        if ours {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end, with `input` as its stdin.
///
/// # Errors
/// It could not be started, or took over a minute. That it failed is in its exit code.
pub async fn run(mut command: Command, input: Option<&str>) -> Result<Done, StackError> {
    let shown = shown(&command);
    let spawn = |source| StackError::Spawn { name: shown.clone(), source };
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().map_err(spawn)?;
    let stdin = child.stdin.take();
    let ended = timeout(PATIENCE, async {
        let write = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A program that ended without reading says so by its exit code.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        tokio::join!(write, child.wait_with_output()).1
    });
    let Ok(ended) = ended.await else {
        let what = format!("did not end within {} s", PATIENCE.as_secs());
        return Err(StackError::Tool { command: shown, what, output: String::new() });
    };
    let Output { status, stdout, stderr } = ended.map_err(spawn)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Done { command: shown, code: status.code(), stdout: text(stdout), stderr: text(stderr) })
}

/// As it would be typed, without the folder of the program and without secrets.
fn shown(command: &Command) -> String {
    let command = command.as_std();
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// The end of a text.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
