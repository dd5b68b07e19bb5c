//! A node that speaks the real protocol: a store in a folder, a certificate, sessions. No devices.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use ledge_core::Row;
use ledge_core::journal::{Draft, Journal};
use ledge_core::log::{Reader, StoreError};
use ledge_core::sync::commands::edge::{begin_first, proved, session_record};
use ledge_core::sync::commands::{Fresh, Side};
use ledge_core::sync::{EdgeSession, Note};
use ledge_log::{Class, Writer, WriterConfig, WriterHandle};
use ledge_log_rocksdb::{RocksConfig, RocksReader, RocksStore};
use ledge_pki::{
    JoinError, JoinRequest, JoinResponse, NodeCredentials, NodeKey, Token, join_client_config,
    node_client_config, server_name,
};
use ledge_schemas::kinds::up::{Change, PropertyChange, TwinChanged, TwinValue};
use ledge_schemas::{LogId, NodeName, Position, StreamId};
use ledge_session::{Ended, SessionObserver, SessionStore, drive};
use ledge_transport::{ConnectError, ConnectTarget, LinkConfig, connect};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cloud::Cloud;
use crate::eventually;

/// See the module.
pub(crate) struct Edge {
    pub(crate) node: NodeName,
    pub(crate) writer: WriterHandle<RocksStore>,
    pub(crate) reader: RocksReader,
    pub(crate) credentials: Option<Arc<NodeCredentials>>,
    _temp: tempfile::TempDir,
}

/// A session under way; cut when dropped.
pub(crate) struct Online {
    stop: CancellationToken,
    live: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Result<Ended, ConnectError>>,
}

impl Drop for Online {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Online {
    pub(crate) fn session(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Result<Ended, ConnectError> {
        (&mut self.task).await.unwrap()
    }

    /// Cuts it and waits until it is over.
    pub(crate) async fn cut(self) {
        self.stop.cancel();
        drop(self.ended().await);
    }
}

struct Observer(Arc<AtomicU64>);

impl SessionObserver for Observer {
    fn live(&mut self, session: u64) {
        self.0.store(session, Ordering::Relaxed);
    }
    fn overlay(&mut self, _: Position, _: Vec<Row>) {}
    fn note(&mut self, _: &Note) {}
}

fn now_ms() -> u64 {
    ledge_cloud::clock::unix_ms()
}

fn open(dir: &Path, node: &NodeName) -> (WriterHandle<RocksStore>, RocksReader) {
    let config = RocksConfig { ballast_bytes: 0, keep_free_bytes: 0, ..RocksConfig::default() };
    let mut journal = Journal::open(RocksStore::open(dir, &config).unwrap().store).unwrap();
    let mut txn = journal.begin(now_ms());
    if txn.head(&StreamId::Up(node.clone())).is_none() {
        begin_first(&mut txn, node, Fresh { log_id: LogId(rand::random()) }).unwrap();
    }
    txn.commit().unwrap();
    let reader = journal.store().reader();
    let (writer, _) = Writer::start(journal, WriterConfig::default(), Arc::new(now_ms)).unwrap();
    (writer, reader)
}

impl Edge {
    /// A node without a certificate.
    pub(crate) fn new(node: &str) -> Self {
        let (temp, node) = (tempfile::tempdir().unwrap(), NodeName::new(node).unwrap());
        let (writer, reader) = open(&temp.path().join("log"), &node);
        Self { node, writer, reader, credentials: None, _temp: temp }
    }

    /// A node that joined.
    pub(crate) async fn joined(cloud: &Cloud, node: &str) -> Self {
        let mut edge = Self::new(node);
        edge.join(cloud, &cloud.token(&[])).await.unwrap();
        edge
    }

    pub(crate) fn log_id(&self) -> LogId {
        self.reader.head(&StreamId::Up(self.node.clone())).unwrap().unwrap().base.log_id
    }

    /// Joins by a token, and keeps the certificate.
    pub(crate) async fn join(&mut self, cloud: &Cloud, token: &str) -> Result<(), JoinError> {
        let (token, key): (Token, _) = (token.parse().unwrap(), NodeKey::generate().unwrap());
        let request = JoinRequest {
            token: token.to_string(),
            node: self.node.to_string(),
            csr_pem: key.signing_request(self.node.as_str()).unwrap(),
            store_id: Some(self.log_id().to_string()),
        };
        let body = serde_json::to_vec(&request).unwrap();
        let tls = join_client_config(&token).unwrap();
        let (status, body) = post(cloud, tls, "/v1/join", body).await;
        if status != 200 {
            return Err(JoinError::parse(status, &body));
        }
        let now = ledge_cloud::clock::unix_seconds();
        let response = JoinResponse::parse(&body).unwrap();
        assert_eq!(response.hub, [cloud.address("hub").to_string()]);
        self.credentials = Some(Arc::new(response.accept(&token, key, self.node.as_str(), now).unwrap()));
        Ok(())
    }

    /// Opens a session with its own certificate and waits until it is live.
    pub(crate) async fn online(&self, cloud: &Cloud) -> Online {
        let online = self.connect(cloud, &self.node);
        let live = Arc::clone(&online.live);
        eventually("live session", async || (live.load(Ordering::Relaxed) > 0).then_some(())).await;
        online
    }

    /// Opens a session in which it calls itself `name`.
    pub(crate) fn connect(&self, cloud: &Cloud, name: &NodeName) -> Online {
        let (stop, live) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let tls = node_client_config(self.credentials.as_ref().unwrap()).unwrap();
        let target = ConnectTarget::hub("127.0.0.1", cloud.address("hub").port()).unwrap();
        let store = SessionStore {
            writer: self.writer.clone(),
            reader: self.reader.clone(),
            node: self.node.clone(),
            side: Side::Edge,
        };
        let (name, token, mut observer) = (name.clone(), stop.clone(), Observer(Arc::clone(&live)));
        let task = tokio::spawn(async move {
            let link = connect(&target, tls, &LinkConfig::default()).await?;
            let record = session_record(&store.reader).unwrap();
            let log_id = store.reader.head(&StreamId::Up(store.node.clone())).unwrap().unwrap().base.log_id;
            let accepted = proved(&store.reader, log_id).unwrap();
            let began = Instant::now();
            let (session, opening) =
                EdgeSession::start(&name, &record, &store.log(), 0, now_ms(), accepted).unwrap();
            Ok(drive(session, opening, began, link, &store, &mut observer, &token).await)
        });
        Online { stop, live, task }
    }

    /// Appends reports of a property, one event each.
    pub(crate) async fn report(
        &self,
        device: &str,
        property: &str,
        values: impl IntoIterator<Item = String>,
    ) {
        let up = StreamId::Up(self.node.clone());
        let drafts: Vec<Draft> = values.into_iter().map(|value| reported(device, property, value)).collect();
        let appended = self.writer.write(Class::State, move |txn| {
            drafts.into_iter().try_for_each(|draft| txn.append(&up, draft).map(drop))
        });
        appended.await.map_err(|error: ledge_log::WriteError<StoreError>| error.to_string()).unwrap();
    }

    /// What its view of `down` holds under a key.
    pub(crate) fn object(&self, key: &str) -> Option<Value> {
        let row = self.reader.row(&StreamId::Down(self.node.clone()), format!("object/{key}").as_bytes());
        row.ok()?.map(|row| serde_json::from_slice(&row[8..]).unwrap())
    }

    pub(crate) fn device(&self, name: &str) -> Option<Value> {
        self.object(&format!("devices.devices.kubeedge.io/default/{name}"))
    }

    /// Position of its `down`.
    pub(crate) fn down(&self) -> Option<Position> {
        self.reader.head(&StreamId::Down(self.node.clone())).unwrap().map(|head| head.position())
    }

    /// Waits until a device is there with this wanted temperature.
    pub(crate) async fn has(&self, name: &str, temperature: &str) {
        let wanted = |device: Value| device["spec"]["properties"][0]["desired"]["value"] == *temperature;
        eventually(&format!("{name} at {temperature}"), async || {
            self.device(name).is_some_and(wanted).then_some(())
        })
        .await;
    }

    /// Waits until a device is gone.
    pub(crate) async fn lacks(&self, name: &str) {
        eventually(&format!("no {name}"), async || self.device(name).is_none().then_some(())).await;
    }
}

fn reported(device: &str, property: &str, value: String) -> Draft {
    let actual = Some(TwinValue { value, timestamp_ms: 1_800_000_000_000 });
    let change = Change::Set { expected: None, actual, optional: None, value_type: "int".to_owned() };
    let changes = vec![PropertyChange { name: property.to_owned(), change }];
    Draft::new(format!("default/{device}"), &TwinChanged { event_id: String::new(), changes }).unwrap()
}

/// One POST over TLS; status and body.
pub(crate) async fn post(
    cloud: &Cloud,
    tls: Arc<rustls::ClientConfig>,
    path: &str,
    body: Vec<u8>,
) -> (u16, Bytes) {
    let stream = tokio::net::TcpStream::connect(cloud.address("join")).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(tls)
        .connect(server_name("127.0.0.1").unwrap(), stream)
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = hyper::Request::post(path)
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    connection.abort();
    (status, body)
}
