//! The process: its ports, its folder, its tools.

use std::process::Command;

use crate::cloud::{Cloud, run};

#[track_caller]
fn fails(output: &std::process::Output, code: i32, says: &str) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(says), "{text}");
}

#[test]
fn a_second_process_on_the_same_folder_is_told_who_has_it() {
    let cloud = Cloud::start();
    let listen = [
        "serve",
        "--hub-listen",
        "127.0.0.1:0",
        "--join-listen",
        "127.0.0.1:0",
        "--api-listen",
        "127.0.0.1:0",
    ];
    fails(&cloud.run(&listen), 75, "is in use by process");
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_moves_it() {
    let cloud = Cloud::start();
    let temp = tempfile::tempdir().unwrap();
    for (flag, name) in [("--hub-listen", "hub"), ("--join-listen", "join"), ("--api-listen", "api")] {
        let taken = cloud.address(name).to_string();
        let mut args = vec!["serve"];
        for other in ["--hub-listen", "--join-listen", "--api-listen", "--metrics-listen"] {
            args.extend([other, if other == flag { &taken } else { "127.0.0.1:0" }]);
        }
        fails(&run(&temp.path().join(name), &args), 69, flag);
    }
}

#[test]
fn what_is_not_there_yet_and_what_makes_no_sense_is_said() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("cloud");
    fails(&run(&dir, &["serve", "--log", "raft"]), 78, "only rocksdb is there yet");
    fails(&run(&dir, &["serve", "--kubeconfig", "x"]), 78, "cannot be used yet");
    fails(&run(&dir, &["token", "create"]), 66, "");
    let cloud = Cloud::start();
    fails(&cloud.run(&["token", "create", "--uses", "0"]), 64, "--uses 0");
    fails(&cloud.run(&["node", "resolve", "nobody", "--keep", &"0".repeat(32)]), 1, "nobody is not known");
}

#[test]
fn the_files_that_hold_keys_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let cloud = Cloud::start();
    for file in ["admin.kubeconfig", "pki/ca.key"] {
        let mode = std::fs::metadata(cloud.dir.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_readable_and_goes_with_its_connection() {
    let cloud = Cloud::start();
    let mut client = ledge_process::CtlClient::connect(&cloud.dir).await.unwrap();
    let lease = client.call("checkpoint", &()).await.unwrap();
    let dir = std::path::PathBuf::from(lease["dir"].as_str().unwrap());
    let reader = ledge_log_rocksdb::RocksReader::open_read_only(&dir.join("log")).unwrap();
    assert!(ledge_cloud::records::store(&reader).unwrap().is_some());
    drop((reader, client));
    crate::eventually("the checkpoint goes", async || (!dir.exists()).then_some(())).await;
}

const SAMPLE: &str = "\
apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: { name: thermo, namespace: default }
spec: { protocol: mqtt, properties: [{ name: temperature, type: INT, accessMode: ReadWrite }] }
---
apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: { name: t1, namespace: default }
spec:
  deviceModelRef: { name: thermo }
  nodeName: oslo
  protocol: { protocolName: mqtt }
  properties: [{ name: temperature, desired: { value: \"21\" } }]
";

#[test]
fn kubectl_applies_the_sample_twice() {
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        eprintln!("SKIPPED: kubectl is not installed, see `make setup`");
        return;
    }
    let cloud = Cloud::start();
    let file = cloud.dir.with_file_name("sample.yaml");
    std::fs::write(&file, SAMPLE).unwrap();
    for expected in ["created", "unchanged"] {
        let config = cloud.dir.join("admin.kubeconfig");
        let output = Command::new("kubectl")
            .env("KUBECACHEDIR", cloud.dir.with_file_name("cache"))
            .arg("--kubeconfig")
            .arg(config)
            .arg("apply")
            .arg("-f")
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(text.matches(expected).count(), 2, "{text}");
    }
}
