//! What an idle connected edge costs the cloud: many edges in this process, each with its own certificate, session
//! and streams, in one log.
//!
//! Some connect first and stay, so that what the cloud needs once does not count. The difference holds everything
//! that an edge that came for the first time leaves in the cloud: connection, session, streams, Node object.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ledge_core::Row;
use ledge_core::sync::commands::Side;
use ledge_core::sync::commands::edge::SessionRecord;
use ledge_core::sync::{EdgeSession, Note};
use ledge_log_rocksdb::{RocksReader, RocksStore};
use ledge_pki::{CertificateAuthority, NodeCredentials, NodeKey, RenewRequest, node_client_config};
use ledge_schemas::{NodeName, Position, Seq};
use ledge_session::{SessionObserver, SessionStore, drive};
use ledge_transport::{ConnectTarget, LinkConfig, connect};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Bench;
use super::figure::{Bound, Figure};
use super::memory;
use super::rig::{PATIENCE, Rig};
use super::scratch::{ScratchLog, now_ms};

/// Edges that come first.
const FIRST: usize = 100;
/// That connect at once.
const AT_ONCE: usize = 32;
/// Several heartbeats.
const SETTLE: Duration = Duration::from_secs(15);

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let rig = Rig::start(bench, "edges").await?;
    let pid = rig.stack.cloud.process.pid();
    let count = bench.scale.edges;
    let nodes: Vec<NodeName> = (0..FIRST + count)
        .map(|number| NodeName::new(format!("bench-{number}")))
        .collect::<Result<_, _>>()?;
    let log = ScratchLog::open(&bench.dir.join("edges-log"), &nodes)?;
    let stop = CancellationToken::new();
    let hub = rig.stack.cloud.hub()?;
    let mut edges = Edges {
        authority: CertificateAuthority::load(&rig.stack.cloud.dir.join("pki"))?,
        target: ConnectTarget::hub(&hub.ip().to_string(), hub.port())?,
        sessions: JoinSet::new(),
        stop: stop.clone(),
    };
    bench.progress(&format!("edges: the first {FIRST}"));
    edges.connect(&log, &nodes[..FIRST]).await?;
    tokio::time::sleep(SETTLE).await;
    let before = memory::of(pid)?;
    bench.progress(&format!("edges: {count} more"));
    let began = Instant::now();
    edges.connect(&log, &nodes[FIRST..]).await?;
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let (count, took) = (count as f64, began.elapsed().as_secs_f64());
    tokio::time::sleep(SETTLE).await;
    let after = memory::of(pid)?;
    anyhow::ensure!(edges.sessions.try_join_next().is_none(), "a session ended while nothing happened");
    stop.cancel();
    while edges.sessions.join_next().await.is_some() {}
    std::fs::remove_dir_all(log.close().await?)?;
    rig.stop().await?;
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let each = |before: u64, after: u64| (after as f64 - before as f64) / 1024.0 / count;
    Ok(vec![
        Figure::of("edges.resident", "KiB/edge", &[each(before.resident, after.resident)])
            .goal(&[Bound::AtMost(40.0)]),
        Figure::of("edges.connect", "edges/s", &[count / took]),
    ])
}

/// Connected edges.
struct Edges {
    authority: CertificateAuthority,
    target: ConnectTarget,
    sessions: JoinSet<()>,
    stop: CancellationToken,
}

impl Edges {
    /// Connects these, and returns when all of them are live.
    async fn connect(&mut self, log: &ScratchLog, nodes: &[NodeName]) -> anyhow::Result<()> {
        let (live, mut lives) = mpsc::channel(nodes.len());
        let places = Arc::new(Semaphore::new(AT_ONCE));
        for node in nodes {
            let store = SessionStore {
                writer: log.writer.clone(),
                reader: log.reader.clone(),
                node: node.clone(),
                side: Side::Edge,
            };
            let edge = Edge {
                credentials: self.credentials(node)?,
                target: self.target.clone(),
                store,
                place: Arc::clone(&places),
                observer: Observer { live: live.clone() },
            };
            let stop = self.stop.clone();
            self.sessions.spawn(async move {
                if let Err(error) = edge.run(&stop).await {
                    tracing::error!(%error, "a simulated edge could not connect");
                }
            });
        }
        drop(live);
        for connected in 0..nodes.len() {
            let next = timeout(PATIENCE, lives.recv()).await.ok().flatten();
            next.with_context(|| format!("only {connected} of {} edges came to a session", nodes.len()))?;
        }
        Ok(())
    }

    /// As the cloud would issue them: with its own key, without its rate limit for joining.
    fn credentials(&self, node: &NodeName) -> anyhow::Result<NodeCredentials> {
        let key = NodeKey::generate()?;
        let request = RenewRequest { csr_pem: key.signing_request(node.as_str())? };
        let csr = RenewRequest::parse(&serde_json::to_vec(&request)?)?;
        let now = i64::try_from(now_ms() / 1000)?;
        let certificate = self.authority.issue_node(&csr, node.as_str(), now)?;
        Ok(NodeCredentials::new(key, &certificate.pem, self.authority.certificate_pem())?)
    }
}

/// One edge that does nothing.
struct Edge {
    credentials: NodeCredentials,
    target: ConnectTarget,
    store: SessionStore<RocksStore, RocksReader>,
    place: Arc<Semaphore>,
    observer: Observer,
}

impl Edge {
    async fn run(self, stop: &CancellationToken) -> anyhow::Result<()> {
        let Self { credentials, target, store, place, mut observer } = self;
        let turn = place.acquire_owned().await?;
        let link = connect(&target, node_client_config(&credentials)?, &LinkConfig::default()).await?;
        drop(turn);
        let (record, began) = (SessionRecord::default(), Instant::now());
        let (session, opening) =
            EdgeSession::start(&store.node, &record, &store.log(), 0, now_ms(), Seq::ZERO)?;
        drive(session, opening, began, link, &store, &mut observer, stop).await;
        Ok(())
    }
}

/// Tells that a session is live.
struct Observer {
    live: mpsc::Sender<()>,
}

impl SessionObserver for Observer {
    fn live(&mut self, _: u64) {
        // Nobody counts any more once all are live.
        let _ = self.live.try_send(());
    }

    fn overlay(&mut self, _: Position, _: Vec<Row>) {}

    fn note(&mut self, _: &Note) {}
}
