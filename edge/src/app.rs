//! The process: everything bound in [`App::build`], everything run and stopped in [`App::run`].
//!
//! ```text
//! stages, in the order in which they stop:
//!   intake   broker or bridge, local API, session with the cloud, renewal
//!   core     bus (answers what intake took), announcer, retention, admission
//!   service  control socket, metrics, the writer's watch
//!   writer   everything accepted becomes durable; the store closes with an exact witness
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::JoinHandle;

use ledge_core::log::StoreError;
use ledge_core::sync::commands::Side;
use ledge_log::writer::{AdmissionChange, Ended};
use ledge_log::{Class, WriteError, Writer, WriterConfig, WriterHandle};
use ledge_mqtt::Publisher;
use ledge_process::data_dir::OpenMode;
use ledge_process::metrics::{Health, MetricsServer};
use ledge_process::{CtlServer, DataDir, Exit, Role, Stage, first_of, shutdown};
use ledge_session::SessionStore;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::config::Config;
use crate::ctl::{Control, remove_checkpoints};
use crate::edgehub::{EdgeHub, HubState, Renewal};
use crate::eventbus::{Bus, Intake, Jobs, Listening, listen};
use crate::gauges::Gauges;
use crate::layout::{Edge, Layout};
use crate::metamanager::Announcer;
use crate::retention::Retention;
use crate::start_error::StartError;
use crate::store::{self, Log, LogReader, append_admission, wall_clock};

/// Changes of admission that may wait for their events.
const ADMISSION_CHANGES: usize = 64;

/// An edge that is ready to run.
#[derive(Debug)]
pub struct App {
    config: Config,
    edge: Edge,
    layout: Layout,
    writer: WriterHandle<Log>,
    thread: JoinHandle<Ended<Log>>,
    reader: LogReader,
    mqtt: Listening,
    publisher: PublisherHandle,
    jobs: Jobs,
    api: Api,
    metrics: MetricsServer,
    health: Health,
    ctl: CtlServer,
    hub: Arc<watch::Sender<HubState>>,
    admission: mpsc::Receiver<AdmissionChange>,
    // Dropped last: the next process must not get in before everything is closed.
    dir: DataDir,
}

/// A publisher that can stand in a struct that is printed.
#[derive(Clone)]
struct PublisherHandle(Publisher);

impl std::fmt::Debug for PublisherHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Publisher")
    }
}

/// The writer has stopped: the process has to open the store again.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be written any more: {0}; starting again shows what is durable")]
struct WriterStopped(String);

impl App {
    /// Opens the store, binds every listener, and notes the start. Serves nobody yet.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind.
    pub async fn build(config: Config) -> Result<Self, StartError> {
        let dir = DataDir::open(&config.data_dir, Role::Edge, OpenMode::Existing)?;
        let layout = Layout::new(dir.path());
        let edge = Edge::load(&layout)?;
        let handle = ledge_process::metrics::install()?;
        describe_metrics();
        let health = Health::default();
        // Ports first: a process that cannot serve writes nothing.
        let (intake, jobs) = Intake::new(edge.node.clone());
        let (mqtt, publisher) = listen(&edge.node, &config.mqtt, intake).await?;
        let api = Api::bind(config.api.listen).await?;
        let metrics = MetricsServer::bind(config.metrics.listen, handle, health.clone()).await?;
        remove_checkpoints(&layout);
        let ctl = CtlServer::bind(&dir)?;
        let journal = {
            let (layout, node) = (layout.clone(), edge.node.clone());
            tokio::task::spawn_blocking(move || {
                let mut journal = store::open(&layout, &node)?;
                store::note_start(&mut journal, &layout, &node)?;
                Ok::<_, StartError>(journal)
            })
            .await
            .map_err(StartError::task)??
        };
        let reader = journal.store().reader();
        let (told, admission) = mpsc::channel(ADMISSION_CHANGES);
        let writer_config = WriterConfig {
            budget: config.log.budget.0,
            usage: Some(Box::new(journal.store().usage())),
            on_admission: Some(Box::new(move |change| {
                // A queue that is full of changes says all there is to say.
                let _ = told.try_send(change);
            })),
            ..WriterConfig::default()
        };
        // Last: from here on a thread owns the store, and whoever ends the process must join it first.
        let (writer, thread) =
            Writer::start(journal, writer_config, wall_clock()).map_err(StartError::Thread)?;
        let hub = Arc::new(watch::Sender::new(HubState::default()));
        let publisher = PublisherHandle(publisher);
        Ok(Self {
            config,
            edge,
            layout,
            writer,
            thread,
            reader,
            mqtt,
            publisher,
            jobs,
            api,
            metrics,
            health,
            ctl,
            hub,
            admission,
            dir,
        })
    }

    /// For the ready line.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, String)> {
        vec![
            ("mqtt", self.mqtt.address()),
            ("api", self.api.address().to_string()),
            ("metrics", self.metrics.address().to_string()),
        ]
    }

    /// Where the connection to the cloud is, for tests and whoever waits for it.
    #[must_use]
    pub fn hub(&self) -> watch::Receiver<HubState> {
        self.hub.subscribe()
    }

    /// Serves until `signal`, or until a part fails; then stops in order.
    pub async fn run(self, signal: impl Future<Output = &'static str>) -> Exit {
        let (intake, core, service) = (Stage::new("intake"), Stage::new("core"), Stage::new("service"));
        let (node, writer, reader) = (self.edge.node.clone(), self.writer.clone(), self.reader.clone());
        let (publisher, health) = (self.publisher.0.clone(), self.health.clone());
        let grace = self.config.grace.0;
        let parts = (
            Bus::new(node.clone(), writer.clone(), reader.clone(), publisher.clone()),
            Announcer::new(node.clone(), writer.clone(), reader.clone(), publisher, health.clone()),
        );
        let (Ok(bus), Ok(announcer)) = parts else {
            tracing::error!("the log cannot be read");
            return Exit::IoErr;
        };
        let failure = Arc::new(watch::Sender::new(None));
        let control = Control {
            node: node.clone(),
            layout: self.layout.clone(),
            reader: reader.clone(),
            writer: writer.clone(),
            hub: Arc::clone(&self.hub),
            failure: Arc::clone(&failure),
        };
        let gauges = Gauges {
            node: node.clone(),
            reader: reader.clone(),
            hub: Arc::clone(&self.hub),
            layout: self.layout.clone(),
        };
        let retention = Retention::new(node.clone(), writer.clone(), reader.clone(), self.config.log.clone());
        let renewal =
            Renewal { pki: self.layout.pki(), cloud: self.edge.cloud.clone(), health: health.clone() };
        let store = SessionStore { writer: writer.clone(), reader, node: node.clone(), side: Side::Edge };
        let hub = EdgeHub { store, hubs: self.edge.hub.clone(), pki: self.layout.pki(), state: self.hub };

        service.spawn("writer", |stop| watch_writer(writer.clone(), failure, stop));
        service.spawn("control", |stop| self.ctl.run(Arc::new(control), stop));
        service.spawn("metrics", |stop| self.metrics.run(stop));
        service.spawn("gauges", |stop| gauges.run(stop));
        core.spawn("eventbus", |stop| bus.run(self.jobs, stop));
        core.spawn("metamanager", |stop| announcer.run(stop));
        core.spawn("retention", |stop| retention.run(stop));
        core.spawn("admission", |stop| note_admission(self.admission, writer.clone(), node, stop));
        intake.spawn("api", |stop| self.api.run(stop));
        intake.spawn("mqtt", |stop| async move {
            self.mqtt.run(stop).await;
            Ok::<(), Infallible>(())
        });
        intake.spawn("edgehub", |stop| hub.run(stop));
        intake.spawn("renewal", |stop| renewal.run(stop));

        let why = first_of(signal, [&intake, &core, &service]).await;
        tracing::info!(%why, "stopping");
        let drained = [intake.drain(grace).await, core.drain(grace).await, service.drain(grace).await];
        writer.close().await;
        let thread = self.thread;
        let closed = tokio::task::spawn_blocking(move || thread.join().map(|ended| ended.failure)).await;
        let exit = shutdown::exit(&why, drained);
        drop(self.dir);
        match closed {
            Ok(Ok(None)) => exit,
            Ok(Ok(Some(error))) => {
                tracing::error!(%error, "the log was not closed in order");
                Exit::IoErr
            }
            Ok(Err(_)) | Err(_) => Exit::Software,
        }
    }
}

fn describe_metrics() {
    crate::metric_definitions::describe_metrics();
    ledge_session::metric_definitions::describe_metrics();
    ledge_transport::describe_metrics();
    ledge_log_rocksdb::describe_metrics();
}

/// Ends the process when the writer has stopped.
async fn watch_writer(
    writer: WriterHandle<Log>,
    failure: Arc<watch::Sender<Option<String>>>,
    stop: CancellationToken,
) -> Result<(), WriterStopped> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        why = writer.failed() => {
            failure.send_replace(Some(why.clone()));
            Err(WriterStopped(why))
        }
    }
}

/// Appends an event for each change of admission.
async fn note_admission(
    mut changes: mpsc::Receiver<AdmissionChange>,
    writer: WriterHandle<Log>,
    node: ledge_schemas::NodeName,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    loop {
        let change = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            // The sender lives on the writer's thread, which this handle keeps.
            Some(change) = changes.recv() => change,
        };
        let AdmissionChange { class, open, used, budget } = change;
        tracing::warn!(class = class.name(), open, used, budget, "admission changed");
        let node = node.clone();
        let noted: Result<(), WriteError<StoreError>> =
            writer.write(Class::Configuration, move |txn| append_admission(txn, &node, change)).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "a change of admission could not be noted");
        }
    }
}
