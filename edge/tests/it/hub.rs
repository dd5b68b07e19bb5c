//! A hub without controllers: real mutual TLS, a real store, and the cloud's half of every session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledge_core::Row;
use ledge_core::base::{Base, BaseReason};
use ledge_core::digest::Digest;
use ledge_core::journal::{Draft, Journal};
use ledge_core::log::{Reader, StoreError, StreamHead};
use ledge_core::sync::commands::cloud::{ensure_down, record};
use ledge_core::sync::commands::{Fresh, Side};
use ledge_core::sync::{CloudSession, Note};
use ledge_edge::store::wall_clock;
use ledge_log::writer::Ended;
use ledge_log::{Class, Writer, WriterConfig, WriterHandle};
use ledge_log_rocksdb::{RocksConfig, RocksReader, RocksStore};
use ledge_pki::{CertificateAuthority, ServerIdentity, hub_server_config};
use ledge_schemas::kinds::control::StoreCreated;
use ledge_schemas::kinds::down::{ObjectPut, ObjectRemoved, RemovalReason};
use ledge_schemas::projection::ObjectKey;
use ledge_schemas::{Epoch, LogId, NodeName, Position, StreamId};
use ledge_session::{SessionObserver, SessionStore, drive};
use ledge_transport::{Accepted, Listener, ListenerConfig};
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fixture::{device, node, now};
use crate::mqtt::PATIENCE;

pub(crate) struct Hub {
    pub(crate) authority: CertificateAuthority,
    tls: Arc<ServerConfig>,
    address: SocketAddr,
    writer: WriterHandle<RocksStore>,
    pub(crate) reader: RocksReader,
    thread: JoinHandle<Ended<RocksStore>>,
    serving: Option<(CancellationToken, TaskTracker)>,
    _dir: tempfile::TempDir,
}

struct Silent;

impl SessionObserver for Silent {
    fn live(&mut self, _: u64) {}
    fn overlay(&mut self, _: Position, _: Vec<Row>) {}
    fn note(&mut self, note: &Note) {
        let fine = matches!(note, Note::Duplicate { .. } | Note::ClockOffset(_) | Note::Proved(_));
        assert!(fine, "{note:?}");
    }
}

impl Hub {
    pub(crate) async fn start() -> Self {
        let authority = CertificateAuthority::create(now()).unwrap();
        let identity = ServerIdentity::issue(&authority, &["127.0.0.1".to_owned()], now()).unwrap();
        let tls = hub_server_config(&identity, authority.certificate()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = RocksStore::open(dir.path(), &RocksConfig::default()).unwrap().store;
        let reader = store.reader();
        let mut journal = Journal::open(store).unwrap();
        let mut txn = journal.begin(1);
        let base = Base::begin(LogId([1; 16]), Epoch(1), Digest::default(), BaseReason::New);
        txn.begin(&StreamId::Control, base, Vec::new()).unwrap();
        record(&mut txn, "", &StoreCreated { store_id: LogId([2; 16]) }).unwrap();
        txn.commit().unwrap();
        let (writer, thread) = Writer::start(journal, WriterConfig::default(), wall_clock()).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut hub = Self { authority, tls, address: any, writer, reader, thread, serving: None, _dir: dir };
        hub.heal().await;
        hub
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Takes connections, always on the same port.
    pub(crate) async fn heal(&mut self) {
        let mut listener =
            Listener::bind(self.address, Arc::clone(&self.tls), ListenerConfig::default()).await.unwrap();
        self.address = listener.local_addr();
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        self.serving = Some((stop.clone(), tracker.clone()));
        let store = SessionStore {
            writer: self.writer.clone(),
            reader: self.reader.clone(),
            node: node(),
            side: Side::Cloud,
        };
        tracker.clone().spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = listener.accept() => accepted.unwrap(),
                };
                tracker.spawn(serve(accepted, store.clone(), stop.clone()));
            }
        });
    }

    /// Closes the port and every session.
    pub(crate) async fn cut(&mut self) {
        let (stop, tracker) = self.serving.take().unwrap();
        stop.cancel();
        tracker.close();
        tokio::time::timeout(PATIENCE, tracker.wait()).await.expect("sessions go on");
    }

    pub(crate) async fn put(&self, namespace: &str, name: &str, desired: &[(&str, &str)]) {
        let put = ObjectPut { object: device(namespace, name, desired) };
        let draft = Draft::new(ObjectKey::device(namespace, name).to_string(), &put).unwrap();
        self.append(draft).await;
    }

    pub(crate) async fn remove(&self, namespace: &str, name: &str) {
        let removed = ObjectRemoved { reason: RemovalReason::Deleted };
        let draft = Draft::new(ObjectKey::device(namespace, name).to_string(), &removed).unwrap();
        self.append(draft).await;
    }

    async fn append(&self, draft: Draft) {
        let written = self.writer.write(Class::Configuration, move |txn| {
            ensure_down(txn, &node(), Fresh { log_id: LogId(rand::random()) })?;
            txn.append(&StreamId::Down(node()), draft).map(drop)
        });
        written.await.map_err(|error: ledge_log::WriteError<StoreError>| error.to_string()).unwrap();
    }

    pub(crate) fn head(&self, stream: fn(NodeName) -> StreamId) -> Option<StreamHead> {
        self.reader.head(&stream(node())).unwrap()
    }

    pub(crate) async fn stop(mut self) {
        if self.serving.is_some() {
            self.cut().await;
        }
        self.writer.close().await;
        let failure = tokio::task::spawn_blocking(|| self.thread.join().unwrap().failure).await.unwrap();
        assert_eq!(failure, None);
    }
}

async fn serve(accepted: Accepted, store: SessionStore<RocksStore, RocksReader>, stop: CancellationToken) {
    let certified: NodeName = accepted.peer.node.parse().unwrap();
    let session = CloudSession::start(certified, 0);
    drive(session, Vec::new(), Instant::now(), accepted.link, &store, &mut Silent, &stop).await;
}

/// Waits until it holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}
