//! What keeps an edge from starting is said in one line that names the way out.

use crate::fixture::Node;
use crate::process::{Process, command, fails, run};

const ANY: [&str; 2] = ["--mqtt-listen", "127.0.0.1:0"];

#[tokio::test]
async fn a_second_process_on_the_same_directory_is_told_who_has_it() {
    let node = Node::alone();
    let first = Process::start(node.path(), &ANY).await;
    let (code, said) = fails(run(node.path(), &ANY)).await;
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains("is in use by process"), "{said}");
    first.terminate().await;
}

#[tokio::test]
async fn a_directory_of_a_newer_format_stays_as_it_is() {
    let node = Node::alone();
    let path = node.path().join("FORMAT");
    let newer = std::fs::read_to_string(&path).unwrap().replace("\"format\":1", "\"format\":99");
    std::fs::write(&path, &newer).unwrap();
    let (code, said) = fails(run(node.path(), &ANY)).await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("format v99"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), newer);
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
    let node = Node::alone();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().to_string();
    let (code, said) = fails(run(node.path(), &["--mqtt-listen", &port])).await;
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains(&port) && said.contains("--mqtt-listen"), "{said}");
    assert!(node.up_events().is_empty(), "a start that failed is no event");
}

#[tokio::test]
async fn a_broker_without_a_password_is_not_opened_to_the_network() {
    let node = Node::alone();
    let (code, said) = fails(run(node.path(), &["--mqtt-listen", "0.0.0.0:0"])).await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("loopback"), "{said}");
}

#[tokio::test]
async fn a_directory_that_never_joined_is_told_how_to() {
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = fails(run(dir.path(), &ANY)).await;
    assert_eq!(code, Some(66), "{said}");
    assert!(said.contains("not a Ledge data directory"), "{said}");
    drop(ledge_process::DataDir::open(
        dir.path(),
        ledge_process::Role::Edge,
        ledge_process::data_dir::OpenMode::Create,
    ));
    let (code, said) = fails(run(dir.path(), &ANY)).await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("ledge-edge join"), "{said}");
}

#[tokio::test]
async fn what_would_run_can_be_seen() {
    let mut shown = command(&["run", "--print-config", "--data-dir", "/nowhere"]);
    let output = shown.env("LEDGE_LOG_KEEP_BYTES", "1MiB").output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("keep_bytes:")).unwrap_or_default();
    assert!(output.status.success() && line.ends_with("from LEDGE_LOG_KEEP_BYTES"), "{text}");
    let (code, said) = fails(command(&["run", "--print-config"])).await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("--data-dir"), "{said}");
    let (code, _) = fails(command(&["run", "--no-such-flag"])).await;
    assert_eq!(code, Some(64));
}

#[tokio::test]
async fn status_is_the_same_of_a_running_and_a_stopped_edge() {
    let node = Node::alone().with_devices(&[("default", "pump", &[])]);
    let status = async || {
        let mut command = command(&["status", "-o", "json"]);
        let output = command.arg("--data-dir").arg(node.path()).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let running = Process::start(node.path(), &ANY).await;
    let live = status().await;
    assert_eq!(
        (&live["node"], &live["running"], &live["devices"]),
        (&"oslo".into(), &true.into(), &1.into())
    );
    let (streams, up) = (live["streams"].as_array().unwrap().clone(), live["streams"][0].clone());
    assert_eq!((&up["stream"], &up["epoch"], &up["proved"]), (&"up/oslo".into(), &0.into(), &0.into()));
    assert!(up["head"].as_u64() >= Some(1));
    running.terminate().await;
    let stopped = status().await;
    assert_eq!(stopped["running"], false);
    assert_eq!(stopped["streams"].as_array().unwrap().clone(), streams);
}
