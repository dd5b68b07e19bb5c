//! A cloud process, and what is typed at it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use ledge_process::Ready;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_ledge-cloud");

/// A running `ledge-cloud serve`; killed when dropped.
pub(crate) struct Cloud {
    pub(crate) dir: PathBuf,
    child: Child,
    pub(crate) ready: Ready,
    _temp: Option<tempfile::TempDir>,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(dir: &Path, listen: [SocketAddr; 4]) -> (Child, Ready) {
    let flags = ["--hub-listen", "--join-listen", "--api-listen", "--metrics-listen"];
    let mut command = Command::new(BINARY);
    command.args(["serve", "--data-dir"]).arg(dir);
    for (flag, address) in flags.into_iter().zip(listen) {
        command.args([flag, &address.to_string()]);
    }
    command.env("LEDGE_LOG", std::env::var("LEDGE_LOG").unwrap_or_else(|_| "warn".into()));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, Ready::parse(&line).unwrap())
}

impl Cloud {
    pub(crate) fn start() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("cloud");
        let (child, ready) = spawn(&dir, ["127.0.0.1:0".parse().unwrap(); 4]);
        Self { dir, child, ready, _temp: Some(temp) }
    }

    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.ready.addr(name).unwrap()
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.stop();
    }

    /// Starts again where it was.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let listen = ["hub", "join", "api", "metrics"].map(|name| self.address(name));
        (self.child, self.ready) = spawn(&self.dir, listen);
    }

    /// Runs another command on its data directory.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        run(&self.dir, args)
    }

    pub(crate) fn token(&self, args: &[&str]) -> String {
        let output = self.run(&[&["token", "create"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["-o", "json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    pub(crate) async fn client(&self) -> Client {
        let config = Kubeconfig::read_from(self.dir.join("admin.kubeconfig")).unwrap();
        let config =
            kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    pub(crate) async fn api(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let (group, version, plural) = match kind {
            "Node" | "Namespace" => ("", "v1", format!("{}s", kind.to_lowercase())),
            "DeviceStatus" => ("devices.kubeedge.io", "v1beta1", "devicestatuses".to_owned()),
            _ => ("devices.kubeedge.io", "v1beta1", format!("{}s", kind.to_lowercase())),
        };
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural);
        match namespace {
            "" => Api::all_with(self.client().await, &resource),
            namespace => Api::namespaced_with(self.client().await, namespace, &resource),
        }
    }

    /// A Device of a model `thermo` on a node, with a wanted temperature; made or changed.
    pub(crate) async fn place(&self, name: &str, node: &str, temperature: &str) {
        let model = json!({
            "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "DeviceModel",
            "metadata": { "name": "thermo", "namespace": "default" },
            "spec": { "properties": [{ "name": "temperature", "type": "INT", "accessMode": "ReadWrite" }] },
        });
        let device = json!({
            "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device",
            "metadata": { "name": name, "namespace": "default" },
            "spec": {
                "deviceModelRef": { "name": "thermo" }, "nodeName": node,
                "properties": [{ "name": "temperature", "desired": { "value": temperature } }],
            },
        });
        self.put("DeviceModel", "thermo", model).await;
        self.put("Device", name, device).await;
    }

    async fn put(&self, kind: &str, name: &str, object: Value) {
        let api = self.api(kind, "default").await;
        match api.patch(name, &PatchParams::default(), &Patch::Merge(&object)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {
                let object: DynamicObject = serde_json::from_value(object).unwrap();
                drop(api.create(&kube::api::PostParams::default(), &object).await.unwrap());
            }
            other => drop(other.unwrap()),
        }
    }
}

/// Runs a command on a data directory.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(BINARY).args(args).arg("--data-dir").arg(dir).output().unwrap()
}
