//! The binary on real data directories: stopped, running, in use, damaged, or none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use ledge_core::journal::Journal;
use ledge_log_rocksdb::{RocksConfig, RocksReader, RocksStore};
use ledge_process::data_dir::Role;
use ledge_process::{CtlHandler, CtlReply, CtlRequest, CtlServer, DataDir, OpenMode};
use serde_json::Value;
use tempfile::TempDir;

use super::fixture::{DEVICE, append, day, desire, down};

fn replay(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ledge-replay")).args(args).output().unwrap()
}

#[track_caller]
fn check(args: &[&str], code: i32, said: &str) -> String {
    let output = replay(args);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(out.contains(said) || err.contains(said), "{out}{err}");
    out
}

fn text(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

/// A data directory of an edge with the day in it; the process has ended.
fn edge(seconds: u64) -> TempDir {
    let dir = TempDir::new().unwrap();
    let data_dir = DataDir::open(dir.path(), Role::Edge, OpenMode::Create).unwrap();
    drop(open(&data_dir, seconds));
    dir
}

fn open(data_dir: &DataDir, seconds: u64) -> Journal<RocksStore> {
    let config = RocksConfig { ballast_bytes: 0, ..RocksConfig::default() };
    day(RocksStore::open(&data_dir.join("log"), &config).unwrap().store, seconds)
}

/// Every file below a directory with its content.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(content(&path)),
            false => drop(all.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    all
}

#[test]
fn a_stopped_directory_is_read_and_left_as_it_is() {
    let dir = edge(7);
    let before = content(dir.path());
    let d = text(dir.path());
    check(&["ls", "--data-dir", d], 0, "up/oslo");
    let lines = check(&["cat", "--data-dir", d, "-o", "json"], 0, "edge-started");
    assert_eq!(lines, fs::read_to_string(golden("cat.jsonl")).unwrap());
    let shown = check(&["state", "--data-dir", d, "--device", DEVICE, "--at", "1:3", "-o", "json"], 0, "19");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown.pointer("/properties/temp/effective/value"), Some(&Value::from("20")));
    check(&["verify", "--data-dir", d], 0, "good");
    let after = content(dir.path());
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(before == after, "a file changed");
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn two_directories_are_compared() {
    let (ahead, behind) = (edge(7), edge(3));
    let (a, b) = (text(ahead.path()), text(behind.path()));
    check(&["verify", "--data-dir", a, "--against", b], 0, "first ahead by 3");
    check(&["verify", "--data-dir", b, "--against", a], 0, "second ahead by 3");
}

/// Serves checkpoints of a log as edge and cloud do.
struct Checkpoints {
    reader: RocksReader,
    dir: PathBuf,
}

impl CtlHandler for Checkpoints {
    async fn handle(&self, request: CtlRequest) -> CtlReply {
        if request.op != "checkpoint" {
            return CtlReply::unknown_op(&request);
        }
        let at = TempDir::new_in(&self.dir).unwrap();
        let dir = at.path().join("log");
        self.reader.checkpoint(&dir).unwrap();
        CtlReply::ok(serde_json::json!({ "dir": dir })).with_guard(at)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_directory_is_read_through_its_process() {
    let dir = TempDir::new().unwrap();
    let data_dir = DataDir::open(dir.path(), Role::Edge, OpenMode::Create).unwrap();
    let mut journal = open(&data_dir, 7);
    let checkpoints = dir.path().join("checkpoints");
    fs::create_dir(&checkpoints).unwrap();
    let handler = Checkpoints { reader: journal.store().reader(), dir: checkpoints.clone() };
    let stop = tokio_util::sync::CancellationToken::new();
    let server = CtlServer::bind(&data_dir).unwrap();
    let serving = tokio::spawn(server.run(Arc::new(handler), stop.clone()));

    let d = text(dir.path()).to_owned();
    let cat = move || check(&["cat", "--data-dir", &d, "--stream", "down/oslo", "-o", "json"], 0, "1:2");
    let before = tokio::task::spawn_blocking(cat.clone()).await.unwrap();
    assert_eq!(before.lines().count(), 2);
    append(&mut journal, 9, &down(), "devices.devices.kubeedge.io/shop/thermostat", &desire("23"), None);
    let after = tokio::task::spawn_blocking(cat).await.unwrap();
    assert_eq!(after.lines().count(), 3, "what was appended while it ran is there");

    let d = text(dir.path()).to_owned();
    tokio::task::spawn_blocking(move || check(&["verify", "--data-dir", &d], 0, "good")).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while fs::read_dir(&checkpoints).unwrap().count() > 0 {
        assert!(std::time::Instant::now() < deadline, "checkpoints stay behind");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stop.cancel();
    let _ = serving.await.unwrap();
}

#[test]
fn a_directory_in_use_by_a_silent_process_is_refused() {
    let dir = edge(1);
    let _held = DataDir::open(dir.path(), Role::Edge, OpenMode::Existing).unwrap();
    check(&["ls", "--data-dir", text(dir.path())], 75, &format!("in use by process {}", std::process::id()));
}

#[test]
fn what_is_no_data_directory_is_said_to_be_none() {
    let dir = TempDir::new().unwrap();
    check(&["verify", "--data-dir", text(dir.path())], 66, "is not a Ledge data directory");
    drop(DataDir::open(dir.path(), Role::Cloud, OpenMode::Create).unwrap());
    check(&["verify", "--data-dir", text(dir.path())], 66, "holds no log yet");
    let format = dir.path().join("FORMAT");
    let newer = fs::read_to_string(&format).unwrap().replace("\"format\":1", "\"format\":9");
    fs::write(&format, newer).unwrap();
    check(&["verify", "--data-dir", text(dir.path())], 78, "holds format v9; this build reads v1");
}

#[test]
fn a_damaged_log_is_wrong_not_an_accident() {
    let dir = edge(7);
    let current = dir.path().join("log/db/CURRENT");
    fs::write(&current, "nonsense").unwrap();
    let d = text(dir.path());
    check(&["verify", "--data-dir", d, "-o", "json"], 1, r#""verdict": "wrong""#);
    check(&["cat", "--data-dir", d], 65, "is damaged");
}

#[test]
fn what_was_asked_wrongly_is_a_usage_error() {
    let dir = edge(1);
    let d = text(dir.path());
    check(&["cat", "--data-dir", d, "--kind", "nonsense"], 64, "twin-changed");
    check(&["state", "--data-dir", d, "--stream", "up/oslo", "--at", "soon"], 64, "EPOCH:SEQ");
    check(&["state", "--data-dir", d], 64, "--stream");
    check(&["cat", "--data-dir", d, "--stream", "cluster"], 66, "there is no stream cluster here");
    check(&["state", "--data-dir", d, "--stream", "down/oslo", "--at", "1:9"], 2, "1:9 is outside");
    check(&["--help"], 0, "verify");
}

/// Whatever bit of a log flips, it is noticed, or it did not matter.
#[test]
fn a_flipped_bit_is_noticed_or_changes_nothing() {
    let dir = edge(7);
    // Without the MANIFEST: one whose record type becomes 5 keeps RocksDB busy until the tool gives up after a minute.
    let mut files: Vec<_> = content(&dir.path().join("log")).into_iter().collect();
    files.retain(|(path, bytes)| !bytes.is_empty() && !text(path).contains("MANIFEST"));
    let d = text(dir.path());
    let whole = fs::read(golden("cat.jsonl")).unwrap();
    let (mut random, mut noticed) = (0x5eed_u64, 0);
    let mut below = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % limit
    };
    for _ in 0..80 {
        let (path, good) = &files[below(files.len())];
        let at = below(good.len());
        let mut bad = good.clone();
        bad[at] ^= 1 << below(8);
        fs::write(path, &bad).unwrap();
        let place = format!("{} byte {at}", path.display());
        match replay(&["verify", "--data-dir", d]).status.code() {
            Some(0) => {
                assert_eq!(replay(&["cat", "--data-dir", d, "-o", "json"]).stdout, whole, "{place}");
            }
            Some(1 | 2) => noticed += 1,
            other => panic!("{place}: {other:?}"),
        }
        fs::write(path, good).unwrap();
    }
    assert!(noticed > 5, "only {noticed} of 80 flips were noticed");
    check(&["verify", "--data-dir", d], 0, "good");
}
