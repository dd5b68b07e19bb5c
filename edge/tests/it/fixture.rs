//! A node that has joined, without a cloud: its directory, its process, and what stands in its log.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledge_core::base::{Base, BaseReason};
use ledge_core::digest::Digest;
use ledge_core::journal::Draft;
use ledge_core::log::Reader;
use ledge_edge::config::Config;
use ledge_edge::layout::{Edge, Layout};
use ledge_edge::{App, store};
use ledge_log_rocksdb::RocksReader;
use ledge_pki::{CertificateAuthority, JoinRequest, JoinResponse, NodeKey, Token};
use ledge_process::data_dir::OpenMode;
use ledge_process::{DataDir, Exit, Role};
use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::down::ObjectPut;
use ledge_schemas::kinds::up::{Change, TwinChanged};
use ledge_schemas::projection::ObjectKey;
use ledge_schemas::{Epoch, Event, LogId, NodeName, Seq, StreamId};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const NODE: &str = "oslo";

/// A device by namespace and name, with what is desired of its properties.
pub(crate) type Wished<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

pub(crate) fn node() -> NodeName {
    NodeName::new(NODE).unwrap()
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

pub(crate) struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    /// Joined to a cloud that is not there.
    pub(crate) fn alone() -> Self {
        Self::joined(&CertificateAuthority::create(now()).unwrap(), "127.0.0.1:1")
    }

    /// Joined to the cloud of that authority, whose hub is there.
    pub(crate) fn joined(authority: &CertificateAuthority, hub: &str) -> Self {
        let node = Self { dir: tempfile::tempdir().unwrap() };
        let layout = node.layout();
        drop(DataDir::open(layout.dir(), Role::Edge, OpenMode::Create).unwrap());
        std::fs::create_dir(layout.pki()).unwrap();
        let key = NodeKey::generate().unwrap();
        let token = Token::generate(&authority.ca_hash()).unwrap();
        let csr_pem = key.signing_request(NODE).unwrap();
        let request =
            JoinRequest { token: token.to_string(), node: NODE.to_owned(), csr_pem, store_id: None };
        let valid = JoinRequest::parse(&serde_json::to_vec(&request).unwrap()).unwrap();
        let response = JoinResponse {
            certificate_pem: authority.issue_node(&valid.csr_der, NODE, now()).unwrap().pem,
            ca_pem: authority.certificate_pem().to_owned(),
            hub: vec![hub.to_owned()],
        };
        response.accept(&token, key, NODE, now()).unwrap().store(&layout.pki()).unwrap();
        store::prepare(&layout, &self::node()).unwrap();
        let edge = Edge {
            node: self::node(),
            hub: vec![hub.parse().unwrap()],
            cloud: "127.0.0.1:1".parse().unwrap(),
        };
        edge.store(&layout).unwrap();
        node
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.dir.path())
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// As if the cloud had sent these devices: namespace, name, and what is desired.
    pub(crate) fn with_devices(self, devices: &[Wished<'_>]) -> Self {
        let mut journal = store::open(&self.layout(), &node()).unwrap();
        let down = StreamId::Down(node());
        let mut txn = journal.begin(1);
        let base = Base::begin(LogId([7; 16]), Epoch(1), Digest::default(), BaseReason::New);
        txn.begin(&down, base, Vec::new()).unwrap();
        for (namespace, name, desired) in devices {
            let put = ObjectPut { object: device(namespace, name, desired) };
            let key = ObjectKey::device(namespace, name).to_string();
            txn.append(&down, Draft::new(key, &put).unwrap()).unwrap();
        }
        txn.commit().unwrap();
        self
    }

    pub(crate) fn config(&self) -> Config {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config { data_dir: self.path().to_owned(), ..Config::default() };
        (config.mqtt.listen, config.api.listen, config.metrics.listen) = (any, any, any);
        config
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_with(self.config()).await
    }

    pub(crate) async fn start_with(&self, config: Config) -> Running {
        let app = App::build(config).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let address = |name: &str| {
            let addresses = app.addresses();
            addresses.iter().find(|(known, _)| *known == name).and_then(|(_, at)| at.parse().ok())
        };
        let (mqtt, api) = (address("mqtt"), address("api").unwrap());
        let hub = app.hub();
        let task = tokio::spawn(app.run(async {
            let _ = stopped.await;
            "test"
        }));
        Running { mqtt, api, hub, stop, task }
    }

    /// Every event of `up`, from a stopped node or a checkpoint.
    pub(crate) fn up_events(&self) -> Vec<(Seq, Event)> {
        events(&RocksReader::open_read_only(&self.layout().log()).unwrap(), &StreamId::Up(node()))
    }
}

pub(crate) fn events(reader: &impl Reader, stream: &StreamId) -> Vec<(Seq, Event)> {
    let mut at = reader.head(stream).unwrap().unwrap().base.seq;
    let mut all = Vec::new();
    loop {
        let entries = reader.runs(stream, at, 1 << 20).unwrap();
        let Some(last) = entries.last() else { return all };
        at = last.run.last();
        for entry in &entries {
            all.extend(
                entry.run.events().map(|event| event.unwrap()).map(|(seq, event)| (seq, event.to_owned())),
            );
        }
    }
}

/// The values that twin updates reported of a property, in the order of the log.
pub(crate) fn reported(events: &[(Seq, Event)], property: &str) -> Vec<String> {
    let mut values = Vec::new();
    for (_, event) in events.iter().filter(|(_, event)| event.kind == TwinChanged::KIND) {
        for change in TwinChanged::from_body(&event.body).unwrap().changes {
            if let Change::Set { actual: Some(actual), .. } = change.change
                && change.name == property
            {
                values.push(actual.value);
            }
        }
    }
    values
}

/// A Device as it goes down.
pub(crate) fn device(namespace: &str, name: &str, desired: &[(&str, &str)]) -> Vec<u8> {
    let property = |(name, value): &(&str, &str)| json!({"name": name, "desired": {"value": value}});
    let properties: Vec<_> = desired.iter().map(property).collect();
    let object = json!({
        "apiVersion": "devices.kubeedge.io/v1beta1",
        "kind": "Device",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"deviceModelRef": {"name": "m"}, "nodeName": NODE, "properties": properties},
    });
    ledge_schemas::projection::canonical(&object)
}

pub(crate) struct Running {
    mqtt: Option<SocketAddr>,
    pub(crate) api: SocketAddr,
    pub(crate) hub: tokio::sync::watch::Receiver<ledge_edge::edgehub::HubState>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Exit>,
}

impl Running {
    pub(crate) fn mqtt(&self) -> SocketAddr {
        self.mqtt.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        let exit = tokio::time::timeout(Duration::from_secs(40), self.task).await.expect("it does not stop");
        assert_eq!(exit.unwrap(), Exit::Done);
    }
}
