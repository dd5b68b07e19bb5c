//! The writer: one commit for whatever waits, honest answers, a latch after a failed write.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ledge_core::journal::{Draft, Journal, Txn};
use ledge_core::log::{Reader, StoreError};
use ledge_core::{Base, BaseReason, Digest};
use ledge_log::sim::{Afterwards, SimStore};
use ledge_log::writer::{AdmissionChange, Ended, Usage};
use ledge_log::{Class, SimDisk, WriteError, Writer, WriterConfig, WriterHandle};
use ledge_schemas::{Epoch, Kind, LogId, NodeName, Position, Seq, StreamId};

type Handle = WriterHandle<SimStore>;

fn stream() -> StreamId {
    StreamId::Up(NodeName::new("a").unwrap())
}

fn draft(n: u64) -> Draft {
    Draft { kind: Kind(9999), key: n.to_string(), cause: None, seen: None, body: vec![] }
}

/// A writer over a disk on which the stream has begun.
fn start(disk: &SimDisk, config: WriterConfig) -> (Handle, std::thread::JoinHandle<Ended<SimStore>>) {
    let mut journal = Journal::open(disk.open()).unwrap();
    if journal.head(&stream()).is_none() {
        let base = Base::begin(LogId([1; 16]), Epoch(1), Digest::default(), BaseReason::New);
        let mut txn = journal.begin(1);
        txn.begin(&stream(), base, vec![]).unwrap();
        txn.commit().unwrap();
    }
    Writer::start(journal, config, Arc::new(|| 1)).unwrap()
}

async fn append(handle: &Handle, class: Class, n: u64) -> Result<Position, WriteError<StoreError>> {
    handle.write(class, move |txn| txn.append(&stream(), draft(n))).await
}

/// Keeps the writer busy until the returned sender is used, so that what is sent meanwhile waits.
async fn hold(handle: &Handle) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel();
    let (entered, inside) = tokio::sync::oneshot::channel();
    let handle = handle.clone();
    tokio::spawn(async move {
        let held = move |_: &mut Txn<'_, SimStore>| {
            entered.send(()).unwrap();
            held.recv().map_err(drop)
        };
        handle.write(Class::Configuration, held).await
    });
    inside.await.unwrap();
    release
}

fn tail(disk: &SimDisk) -> u64 {
    disk.tails()[&stream()].1.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_waits_becomes_durable_with_one_sync() {
    let disk = SimDisk::new();
    let (handle, _thread) = start(&disk, WriterConfig::default());
    let release = hold(&handle).await;
    let waiting: Vec<_> = (0..64)
        .map(|n| {
            let handle = handle.clone();
            tokio::spawn(async move { append(&handle, Class::State, n).await })
        })
        .collect();
    while handle_queue_is_short(&handle) {
        tokio::task::yield_now().await;
    }
    let before = disk.bites().synced;
    release.send(()).unwrap();
    let mut seqs = Vec::new();
    for task in waiting {
        seqs.push(task.await.unwrap().unwrap().seq.0);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=64).collect::<Vec<_>>());
    assert_eq!(disk.bites().synced - before, 1);
}

fn handle_queue_is_short(handle: &Handle) -> bool {
    handle.waiting() < 64
}

#[tokio::test]
async fn a_refused_command_leaves_nothing_and_others_are_written() {
    let disk = SimDisk::new();
    let (handle, _thread) = start(&disk, WriterConfig::default());
    let refused: Result<(), _> = handle
        .write(Class::State, |txn| {
            txn.append(&stream(), draft(1)).unwrap();
            Err("no")
        })
        .await;
    assert_eq!(refused, Err(WriteError::Refused("no")));
    assert_eq!(tail(&disk), 0);
    assert_eq!(append(&handle, Class::State, 2).await.unwrap().seq, Seq(1));
}

#[tokio::test]
async fn those_who_watch_a_stream_are_woken_after_it_is_durable() {
    let disk = SimDisk::new();
    let (handle, _thread) = start(&disk, WriterConfig::default());
    let (mut watch, mut committed) = (handle.watch(&stream()), handle.committed());
    assert_eq!(*watch.borrow_and_update(), Some(Position::new(1, 0)));
    append(&handle, Class::State, 1).await.unwrap();
    watch.changed().await.unwrap();
    assert_eq!(*watch.borrow_and_update(), Some(Position::new(1, 1)));
    assert_eq!(committed.recv().await.unwrap().tails, [(stream(), Position::new(1, 1))]);
    handle.write(Class::State, |_| Ok::<_, ()>(())).await.unwrap();
    assert!(!watch.has_changed().unwrap(), "nothing was appended");
}

#[tokio::test]
async fn a_full_disk_is_told_to_all_and_passes() {
    let disk = SimDisk::new();
    let (handle, _thread) = start(&disk, WriterConfig::default());
    disk.set_free(Some(0));
    let answer = append(&handle, Class::State, 1).await;
    assert!(matches!(&answer, Err(WriteError::Store(error)) if error.retryable()), "{answer:?}");
    disk.set_free(None);
    assert_eq!(append(&handle, Class::State, 2).await.unwrap().seq, Seq(1));
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_taken_until_the_process_starts_again() {
    let disk = SimDisk::new();
    let (handle, thread) = start(&disk, WriterConfig::default());
    disk.fail_next_sync(Afterwards::Present);
    let answer = append(&handle, Class::State, 1).await;
    assert!(matches!(answer, Err(WriteError::Unknown(_))), "{answer:?}");
    let answer = append(&handle, Class::State, 2).await;
    assert!(matches!(answer, Err(WriteError::Stopped(_))), "{answer:?}");
    assert!(handle.failed().await.contains("simulated sync failure"));
    assert!(matches!(thread.join().unwrap().failure, Some(StoreError::Failed(_))));
    let (handle, _thread) = start(&disk, WriterConfig::default());
    assert_eq!(
        append(&handle, Class::State, 3).await.unwrap().seq,
        Seq(2),
        "the first one had reached the disk"
    );
}

#[tokio::test]
async fn a_panicking_command_stops_the_writer() {
    let disk = SimDisk::new();
    let (handle, thread) = start(&disk, WriterConfig::default());
    let answer: Result<(), WriteError<()>> =
        handle.write(Class::State, |_| panic!("wanted by the test")).await;
    assert!(matches!(answer, Err(WriteError::Stopped(_) | WriteError::Closed)), "{answer:?}");
    assert!(thread.join().is_err());
    assert!(matches!(append(&handle, Class::State, 1).await, Err(WriteError::Stopped(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_what_was_accepted() {
    let disk = SimDisk::new();
    let (handle, thread) = start(&disk, WriterConfig::default());
    let release = hold(&handle).await;
    let accepted = tokio::spawn({
        let handle = handle.clone();
        async move { append(&handle, Class::State, 1).await }
    });
    while handle.waiting() < 1 {
        tokio::task::yield_now().await;
    }
    handle.close().await;
    release.send(()).unwrap();
    assert_eq!(accepted.await.unwrap().unwrap().seq, Seq(1));
    let ended = thread.join().unwrap();
    assert_eq!(ended.failure, None);
    assert_eq!(append(&handle, Class::State, 2).await, Err(WriteError::Closed));
    assert_eq!(ended.journal.into_store().head(&stream()).unwrap().unwrap().tail, Seq(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_makes_producers_wait() {
    let disk = SimDisk::new();
    let (handle, _thread) = start(&disk, WriterConfig { queue_bytes: 1000, ..WriterConfig::default() });
    let release = hold(&handle).await;
    let large = tokio::spawn({
        let handle = handle.clone();
        // Counts for the whole queue at most, or it could never be taken.
        async move { handle.write_sized(Class::State, 5000, |_| Ok::<_, ()>(())).await }
    });
    let small = handle.write_sized(Class::State, 500, |_| Ok::<_, ()>(()));
    assert!(tokio::time::timeout(Duration::from_millis(50), small).await.is_err());
    release.send(()).unwrap();
    large.await.unwrap().unwrap();
    handle.write_sized(Class::State, 500, |_| Ok::<_, ()>(())).await.unwrap();
}

#[tokio::test]
async fn telemetry_is_refused_first_and_told_about() {
    let disk = SimDisk::new();
    let (used, told) = (Arc::new(AtomicU64::new(85)), Arc::new(Mutex::new(Vec::new())));
    let asked = Arc::new(AtomicBool::new(false));
    let config = WriterConfig {
        budget: 100,
        usage: Some(Box::new({
            let (used, asked) = (Arc::clone(&used), Arc::clone(&asked));
            move || {
                asked.store(true, Ordering::Relaxed);
                Some(Usage { used: used.load(Ordering::Relaxed), free: 1_000 })
            }
        })),
        on_admission: Some(Box::new({
            let told = Arc::clone(&told);
            move |change| told.lock().unwrap().push(change)
        })),
        ..WriterConfig::default()
    };
    let (handle, _thread) = start(&disk, config);
    while !asked.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    append(&handle, Class::State, 1).await.unwrap();
    let answer = append(&handle, Class::Telemetry, 1).await;
    assert!(matches!(answer, Err(WriteError::Admission(refused)) if refused.used == 85), "{answer:?}");
    let closed = AdmissionChange { class: Class::Telemetry, open: false, used: 85, budget: 100 };
    assert_eq!(*told.lock().unwrap(), [closed]);

    used.store(10, Ordering::Relaxed);
    while append(&handle, Class::Telemetry, 2).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(told.lock().unwrap().len(), 2, "asking again finds the room, at most a second later");
}
