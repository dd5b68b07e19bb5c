//! One long-running process: started, killed, stopped and started again, its output in a file.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ledge_process::Ready;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use super::StackError;
use super::tool::{command, last_lines};

/// Longest from the start to the ready line.
const READY: Duration = Duration::from_secs(30);
/// Longest from SIGTERM to the end.
const STOP: Duration = Duration::from_secs(20);
/// Lines of a log that are shown.
const TAIL: usize = 25;
/// Bytes of a log that are read for that.
const TAIL_BYTES: u64 = 16 * 1024;

/// See the module. Dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    /// From the start to the ready line.
    took: Duration,
    ready: Ready,
}

impl Process {
    /// Starts a program and waits for its ready line. What it says goes to the end of `log`.
    ///
    /// # Errors
    /// [`StackError::Process`] with the end of the log.
    pub async fn start(name: &str, program: &Path, args: &[String], log: &Path) -> Result<Self, StackError> {
        let mut process = Self {
            name: name.to_owned(),
            program: program.to_owned(),
            log: log.to_owned(),
            child: None,
            took: Duration::ZERO,
            ready: Ready::default(),
        };
        process.start_again(args).await?;
        Ok(process)
    }

    /// Starts it after it ended.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub async fn start_again(&mut self, args: &[String]) -> Result<(), StackError> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(|source| StackError::file(&self.log, "write", source))?;
        let mut command = command(&self.program);
        // A group of its own: Ctrl-C reaches this process alone, which then stops the others in order.
        command.args(args).stderr(Stdio::from(log)).process_group(0);
        let began = Instant::now();
        let spawn = |source| StackError::Spawn { name: self.name.clone(), source };
        let child = self.child.insert(command.spawn().map_err(spawn)?);
        let mut lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        let first = timeout(READY, first_line(lines.as_mut())).await;
        let line = match first {
            Ok(Some(line)) => line,
            Ok(None) => return Err(self.failed("ended before it was ready")),
            Err(_) => return Err(self.failed(&format!("was not ready within {} s", READY.as_secs()))),
        };
        self.took = began.elapsed();
        self.ready = Ready::parse(&line)
            .map_err(|error| StackError::answer(format!("{}'s stdout", self.name), error))?;
        if let Some(lines) = lines {
            tokio::spawn(keep(lines, self.log.clone()));
        }
        Ok(())
    }

    /// Ends it as a power cut would, as far as a process can see: SIGKILL.
    ///
    /// # Errors
    /// It had ended by itself before.
    pub async fn kill(&mut self) -> Result<(), StackError> {
        let mut child = self.running()?;
        let ended = async {
            child.start_kill()?;
            child.wait().await
        };
        ended.await.map(drop).map_err(|error| self.failed(&format!("could not be killed: {error}")))
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// It had ended before, ended badly, or did not end.
    pub async fn terminate(&mut self) -> Result<(), StackError> {
        let mut child = self.running()?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)
                .map_err(|error| self.failed(&format!("could not be stopped: {error}")))?;
        }
        match timeout(STOP, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.failed(&format!("was asked to stop and ended with {status}"))),
            Ok(Err(error)) => Err(self.failed(&format!("could not be waited for: {error}"))),
            Err(_) => Err(self.failed(&format!("did not stop within {} s", STOP.as_secs()))),
        }
    }

    /// The child, taken out; an error if it is not there or has ended.
    fn running(&mut self) -> Result<Child, StackError> {
        let Some(mut child) = self.child.take() else { return Err(self.failed("does not run")) };
        match child.try_wait() {
            Ok(None) => Ok(child),
            Ok(Some(status)) => Err(self.failed(&format!("ended by itself with {status}"))),
            Err(error) => Err(self.failed(&format!("cannot be looked at: {error}"))),
        }
    }

    /// An error if it does not run any more.
    ///
    /// # Errors
    /// [`StackError::Process`].
    pub fn check(&mut self) -> Result<(), StackError> {
        let child = self.running()?;
        self.child = Some(child);
        Ok(())
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// How long its last start took.
    #[must_use]
    pub fn start_took(&self) -> Duration {
        self.took
    }

    /// A listener's address, as in the ready line.
    ///
    /// # Errors
    /// [`StackError::Answer`].
    pub fn address(&self, listener: &str) -> Result<std::net::SocketAddr, StackError> {
        self.ready
            .addr(listener)
            .map_err(|error| StackError::answer(format!("{}'s ready line", self.name), error))
    }

    /// The end of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = tail_of(&self.log).unwrap_or_else(|error| format!("(cannot be read: {error})"));
        let Self { name, log, .. } = self;
        format!("--- the end of {}'s log, {}\n{}", name, log.display(), last_lines(&text, TAIL))
    }

    fn failed(&self, what: &str) -> StackError {
        StackError::Process { name: self.name.clone(), what: what.to_owned(), tail: self.tail() }
    }
}

async fn first_line(lines: Option<&mut Lines<BufReader<ChildStdout>>>) -> Option<String> {
    lines?.next_line().await.ok().flatten()
}

/// Whatever else it prints goes to its log, so that its pipe never fills.
async fn keep(mut lines: Lines<BufReader<ChildStdout>>, log: PathBuf) {
    while let Ok(Some(line)) = lines.next_line().await {
        let log = OpenOptions::new().append(true).open(&log);
        // A log that cannot be written costs only the line.
        let _ = log.and_then(|mut log| writeln!(log, "{line}"));
    }
}

fn tail_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
