//! The process: everything is opened and bound first, then runs, then stops in order.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use ledge_kube_api::{Api, Options, Registry, registry::RegistryError, router, run_controllers};
use ledge_log::writer::Ended;
use ledge_log_rocksdb::RocksStore;
use ledge_pki::{
    CertificateAuthority, PkiError, RevocationList, ServerIdentity, api_server_config, hub_server_config,
};
use ledge_process::metrics::{Health, MetricsError};
use ledge_process::{
    CtlServer, DataDir, Exit, OpenError, OpenMode, Role, Stage, control::CtlBindError, first_of,
    metrics::MetricsServer, ready_line, shutdown,
};
use ledge_schemas::StreamId;
use ledge_transport::{BindError, Listener, ListenerConfig};
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;

use crate::admin::{self, AdminError};
use crate::api::ClusterStore;
use crate::config::{Config, InvalidConfig, local_address};
use crate::controllers::{ApiClient, ClientError, DeviceController, NodeController, StatusController};
use crate::ctl::{CHECKPOINTS_DIR, Ctl};
use crate::hub::{self, Sessions};
use crate::join::{self, Issuer};
use crate::log::{self, Log, LogError};
use crate::metric_definitions as names;
use crate::{clock, namespaces, records};

/// Folder of keys and certificates in the data directory.
pub const PKI_DIR: &str = "pki";

/// Why the process cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory is not ours to use.
    #[error(transparent)]
    DataDir(#[from] OpenError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The administrator's kubeconfig.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The controllers' way to the API.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The API's kinds.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A setting.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The hub's port.
    #[error("{0}; pass another --hub-listen (port 0 picks a free one)")]
    Hub(#[from] BindError),
    /// Another port.
    #[error("cannot listen on {address}: {source}; pass another {flag} (port 0 picks a free one)")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that says so.
        flag: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// `D/ctl.sock`.
    #[error(transparent)]
    Ctl(#[from] CtlBindError),
    /// The data directory's files.
    #[error("cannot prepare {}: {source}", .path.display())]
    Prepare {
        /// What could not be made.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StartError {
    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::DataDir(error) => error.exit(),
            Self::Config(_) => Exit::Config,
            Self::Hub(_) | Self::Bind { .. } | Self::Metrics(_) => Exit::Unavailable,
            Self::Log(LogError::Open(ledge_log_rocksdb::OpenError::Locked { .. })) => Exit::TempFail,
            Self::Log(_) | Self::Prepare { .. } | Self::Ctl(_) | Self::Admin(_) => Exit::IoErr,
            Self::Pki(_) | Self::Client(_) | Self::Registry(_) => Exit::Software,
        }
    }
}

/// A process that is ready to serve and does not yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    log: Log,
    writer: JoinHandle<Ended<RocksStore>>,
    hub: Listener,
    join: TcpListener,
    api: TcpListener,
    metrics: MetricsServer,
    ctl: CtlServer,
    health: Health,
    authority: Arc<CertificateAuthority>,
    identity: ServerIdentity,
    revoked: RevocationList,
    client: ApiClient,
    registry: Registry,
    listeners: BTreeMap<&'static str, SocketAddr>,
    // Last, so that its lock outlives everything that uses the directory.
    dir: DataDir,
}

/// The folder of a stopped or starting cloud, with its authority.
pub fn open_dir(
    config_dir: &std::path::Path,
    mode: OpenMode,
) -> Result<(DataDir, CertificateAuthority), StartError> {
    let dir = DataDir::open(config_dir, Role::Cloud, mode)?;
    let pki = dir.join(PKI_DIR);
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&pki);
    made.map_err(|source| StartError::Prepare { path: pki.clone(), source })?;
    let authority = CertificateAuthority::load_or_create(&pki, clock::unix_seconds())?;
    Ok((dir, authority))
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind { address, flag, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

impl App {
    /// Opens the log and binds every port; serves nobody yet.
    pub async fn build(config: Config) -> Result<Self, StartError> {
        let recorder = ledge_process::metrics::install()?;
        names::describe_metrics();
        ledge_transport::describe_metrics();
        ledge_session::metric_definitions::describe_metrics();
        ledge_log_rocksdb::describe_metrics();
        let (dir, authority) = open_dir(&config.data_dir, OpenMode::Create)?;
        let authority = Arc::new(authority);
        let left_behind = dir.join(CHECKPOINTS_DIR);
        if left_behind.exists() {
            std::fs::remove_dir_all(&left_behind)
                .map_err(|source| StartError::Prepare { path: left_behind, source })?;
        }
        let identity = ServerIdentity::issue(&authority, &config.server_names()?, clock::unix_seconds())?;
        let journal = log::open_journal(dir.path())?;
        let revoked = RevocationList::default();
        records::load_revoked(&journal.store().reader(), &revoked).map_err(LogError::from)?;
        let listening = ListenerConfig {
            admission: Arc::new(hub::admission(revoked.clone())),
            ..ListenerConfig::default()
        };
        let hub_tls = hub_server_config(&identity, authority.certificate())?;
        let hub = Listener::bind(config.hub.listen, hub_tls, listening).await?;
        let (join, join_address) = bind(config.join.listen, "--join-listen").await?;
        let (api, api_address) = bind(config.api.listen, "--api-listen").await?;
        let health = Health::default();
        let metrics = MetricsServer::bind(config.metrics.listen, recorder, health.clone()).await?;
        let ctl = CtlServer::bind(&dir)?;
        let local_api = local_address(api_address);
        admin::ensure(dir.path(), &authority, local_api)?;
        let client = ApiClient::local(&authority, local_api).await?;
        let listeners = BTreeMap::from([
            ("hub", hub.local_addr()),
            ("join", join_address),
            ("api", api_address),
            ("metrics", metrics.address()),
        ]);
        let registry = Registry::standard()?;
        // Last: from here on a thread owns the store, and whoever ends the process must join it first.
        let (log, writer) = log::start(journal)?;
        Ok(Self {
            config,
            log,
            writer,
            hub,
            join,
            api,
            metrics,
            ctl,
            health,
            authority,
            identity,
            revoked,
            client,
            registry,
            listeners,
            dir,
        })
    }

    /// Hubs as nodes are told of them.
    fn hubs(&self) -> Result<Vec<String>, InvalidConfig> {
        let bound = self.hub.local_addr();
        let text = |host: &str, port: u16| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let advertised = self.config.advertised()?;
        let hubs = advertised.iter().map(|name| text(&name.host, name.port.unwrap_or(bound.port())));
        let hubs: Vec<String> = hubs.collect();
        Ok(if hubs.is_empty() { vec![local_address(bound).to_string()] } else { hubs })
    }

    /// Serves until `signal`, then stops: first what takes work in, then the controllers, then the log.
    pub async fn run(self, signal: impl Future<Output = &'static str>) -> Result<Exit, StartError> {
        let (hubs, grace) = (self.hubs()?, self.config.grace.0);
        let join_tls = api_server_config(&self.identity, self.authority.certificate())?;
        let api_tls = api_server_config(&self.identity, self.authority.certificate())?;
        let Self {
            config,
            log,
            writer,
            hub,
            join,
            api: listener,
            metrics,
            ctl: socket,
            health,
            authority,
            revoked,
            client,
            registry,
            listeners,
            dir,
            ..
        } = self;
        let sessions = Sessions::default();
        let devices = DeviceController::new(log.clone(), sessions.clone(), client);
        let (per_second, burst) = (config.status.writes_per_second, config.status.burst);
        let statuses = StatusController::new(&devices, per_second, burst);
        let nodes = NodeController::new(&devices);
        let api = Api::new(
            Arc::new(ClusterStore::new(log.clone())),
            Arc::new(registry),
            Options::new(jiff::Timestamp::now, namespaces::random_uuid),
        );
        let issuer = Issuer::new(Arc::clone(&authority), log.clone(), sessions.clone(), revoked, hubs);
        let ctl = Ctl {
            log: log.clone(),
            sessions: sessions.clone(),
            authority,
            devices: devices.clone(),
            dir: dir.path().to_owned(),
            listeners: listeners.iter().map(|(name, at)| ((*name).to_owned(), at.to_string())).collect(),
        };

        let (intake, controllers, serving) =
            (Stage::new("intake"), Stage::new("controllers"), Stage::new("serving"));
        let (to_hub, to_watch) = (log.clone(), log.clone());
        intake.spawn("hub", |stop| hub::run(hub, to_hub, sessions, stop));
        intake.spawn("join", |stop| join::run(join, join_tls, issuer, stop));
        intake.spawn("control socket", |stop| socket.run(Arc::new(ctl), stop));
        controllers.spawn("devices", |stop| devices.run(stop));
        controllers.spawn("statuses", |stop| statuses.run(stop));
        controllers.spawn("nodes", |stop| nodes.run(stop));
        let background = api.clone();
        serving.spawn("background deletion", |stop| async move {
            run_controllers(background, stop).await;
            Ok::<_, Infallible>(())
        });
        serving.spawn("api", |stop| async move {
            let tls = Arc::unwrap_or_clone(api_tls);
            ledge_kube_api::serve(listener, tls, router(api), stop).await;
            Ok::<_, Infallible>(())
        });
        serving.spawn("metrics", |stop| metrics.run(stop));
        serving.spawn("counters", |stop| count(to_watch, stop));
        let failing = log.writer.clone();
        serving.spawn("log", |stop| async move {
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                why = failing.failed() => {
                    health.problem("log", &why);
                    Err(std::io::Error::other(why))
                }
            }
        });

        ready_line(&listeners.iter().map(|(name, at)| (*name, *at)).collect::<Vec<_>>())
            .map_err(|source| StartError::Prepare { path: "stdout".into(), source })?;
        let why = first_of(signal, [&intake, &controllers, &serving]).await;
        let drained = [intake.drain(grace).await, controllers.drain(grace).await, serving.drain(grace).await];
        log.writer.close().await;
        let exit = shutdown::exit(&why, drained);
        let ended = tokio::task::spawn_blocking(move || writer.join()).await;
        let clean = matches!(&ended, Ok(Ok(ended)) if ended.failure.is_none());
        // The store is closed before the directory's lock goes.
        drop(ended);
        drop(dir);
        Ok(if clean || exit != Exit::Done { exit } else { Exit::IoErr })
    }
}

/// Counts what becomes durable, by direction, and whether the cloud is recovering.
async fn count(log: Log, stop: tokio_util::sync::CancellationToken) -> Result<(), Infallible> {
    let mut commits = log.writer.committed();
    let mut seen = BTreeMap::new();
    let recovering = || {
        let now = records::recovering(&log.reader).is_ok_and(|row| row.is_some());
        metrics::gauge!(names::RECOVERING).set(if now { 1.0 } else { 0.0 });
    };
    recovering();
    loop {
        let committed = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            committed = commits.recv() => committed,
        };
        match committed {
            Ok(committed) => {
                for (stream, tail) in &committed.tails {
                    let direction = match stream {
                        StreamId::Up(_) => "up",
                        StreamId::Down(_) => "down",
                        StreamId::Cluster => "cluster",
                        StreamId::Control => "control",
                    };
                    // A stream's first commit in this process tells where it stands, not how far it came.
                    if let Some(before) = seen.insert(stream.clone(), *tail)
                        && before.epoch == tail.epoch
                    {
                        let events = tail.seq.0.saturating_sub(before.seq.0);
                        metrics::counter!(names::EVENTS, "direction" => direction).increment(events);
                    }
                    if *stream == StreamId::Control {
                        recovering();
                    }
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}
