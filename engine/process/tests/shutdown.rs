//! The order of stopping, and what ends a process.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ledge_process::shutdown::{Why, exit};
use ledge_process::{Drained, Exit, Stage, first_of, stop_signal};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
#[error("append failed")]
struct AppendError(#[source] std::io::Error);

type Never = std::convert::Infallible;

/// The appender accepts until its inbox is closed and empty; the listener feeds it until it is told to stop, and once more.
#[tokio::test]
async fn upstream_stops_first_and_what_it_accepted_is_still_written() {
    let (intake, writers) = (Stage::new("intake"), Stage::new("writers"));
    let (send, mut inbox) = mpsc::channel(8);
    let written = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&written);
    writers.spawn("appender", |stop| async move {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(event) = inbox.recv() => log.lock().unwrap().push(event),
            }
        }
        inbox.close();
        while let Some(event) = inbox.recv().await {
            log.lock().unwrap().push(event);
        }
        Ok::<_, Never>(())
    });
    intake.spawn("listener", |stop| async move {
        send.send("while running").await.unwrap();
        stop.cancelled().await;
        send.send("while stopping").await.unwrap();
        Ok::<_, Never>(())
    });
    let why = first_of(std::future::ready("SIGTERM"), [&intake, &writers]).await;
    assert_eq!(why, Why::Signal("SIGTERM"));
    let intake = intake.drain(GRACE).await;
    let writers = writers.drain(GRACE).await;
    assert_eq!(*written.lock().unwrap(), ["while running", "while stopping"]);
    assert_eq!(exit(&why, [intake, writers]), Exit::Done);
}

#[tokio::test]
async fn the_first_failed_task_ends_the_process_with_its_name_and_causes() {
    let (intake, writers) = (Stage::new("intake"), Stage::new("writers"));
    intake.spawn("listener", |stop| async move {
        stop.cancelled().await;
        Ok::<_, Never>(())
    });
    writers.spawn("appender", |_| async { Err(AppendError(std::io::Error::other("disk is gone"))) });
    let why = first_of(std::future::pending(), [&intake, &writers]).await;
    assert_eq!(why.to_string(), "appender: append failed: disk is gone");
    let drained = [intake.drain(GRACE).await, writers.drain(GRACE).await];
    assert_eq!(drained, [Drained::Clean, Drained::Clean]);
    assert_eq!(exit(&why, drained), Exit::Software);
}

#[tokio::test]
async fn a_panic_and_an_early_return_are_failures_too() {
    let stage = Stage::new("s");
    stage.spawn("view", |_| async { panic!("row {}", 7) as Result<(), Never> });
    assert_eq!(stage.failed().await.to_string(), "view: panicked: row 7");
    let stage = Stage::new("s");
    stage.spawn("timer", |_| async { Ok::<_, Never>(()) });
    assert_eq!(stage.failed().await.to_string(), "timer: ended before it was told to stop");
}

#[tokio::test]
async fn a_job_may_end_by_itself() {
    let stage = Stage::new("s");
    let (done, ended) = tokio::sync::oneshot::channel();
    stage.spawn_job("connection", |_| async { done.send(()).unwrap() });
    ended.await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), stage.failed()).await.is_err());
    assert_eq!(stage.drain(GRACE).await, Drained::Clean);
}

#[tokio::test]
async fn a_task_that_does_not_stop_is_named_and_aborted() {
    let stage = Stage::new("s");
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    stage.spawn_job("stubborn", |_| async move {
        let _held = held;
        std::future::pending().await
    });
    let drained = stage.drain(Duration::from_millis(20)).await;
    assert_eq!(drained, Drained::Abandoned(vec!["stubborn"]));
    assert_eq!(exit(&Why::Signal("SIGTERM"), [drained]), Exit::Software);
    tokio::time::timeout(GRACE, async {
        while Arc::strong_count(&alive) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

/// The body of the child process below, which ignores its grace period.
#[tokio::test]
#[ignore = "no test by itself: the body of a child process"]
async fn child_waits_for_signals() {
    if std::env::var_os("TEST_SIGNALS").is_none() {
        return;
    }
    let signal = stop_signal().unwrap();
    say("ready");
    say(signal.await);
    std::future::pending().await
}

fn say(line: &str) {
    println!("\n{line}");
    std::io::stdout().flush().unwrap();
}

fn await_line(out: &mut impl BufRead, expected: &str) {
    assert!(out.lines().map_while(Result::ok).any(|line| line == expected), "the child says {expected}");
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn the_first_signal_is_reported_and_the_second_ends_the_process_at_once() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_waits_for_signals", "--nocapture"])
        .env("TEST_SIGNALS", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    await_line(&mut out, "ready");
    send(&child, Signal::TERM);
    await_line(&mut out, "SIGTERM");
    send(&child, Signal::INT);
    let _ = out.read_to_end(&mut Vec::new());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{status:?}");
    assert_eq!(status.signal(), None);
}
