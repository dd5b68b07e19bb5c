//! A thermostat that a device developer could have written: it measures a temperature, is told what to hold, and
//! speaks MQTT with its edge. QoS 1 and a session that outlives connections: what was not acknowledged is sent again,
//! marked as such.
//!
//! ```text
//!   report(n) ─► voice: numbers and publishes, in order, few unanswered at once ─► twin/update
//!   setting   ◄─ ear:   keeps the connection, takes in what comes ◄─ result, delta, twin/get/result
//! ```

mod ear;
mod record;
mod voice;

pub use record::{Record, Report};

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, MqttOptions};
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::StackError;
use voice::Voice;

/// Reports that wait for their answers at once.
const WINDOW: usize = 16;
/// Packets that the MQTT client sends ahead; more than the window, so that no packet id is in use twice.
const INFLIGHT: u16 = 100;
/// Requests that wait for the client.
const REQUESTS: usize = 64;
/// Longest that an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// See the module. It ends when it is dropped.
#[derive(Debug)]
pub struct Thermostat {
    /// Its name; its namespace is `default`.
    pub name: String,
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    setting: watch::Receiver<Option<String>>,
    tasks: [JoinHandle<()>; 2],
}

/// What it is told to do.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Measure and report so often.
    Report(usize),
    /// Ask for the twin.
    Get,
}

/// What its tasks share.
#[derive(Debug)]
struct Shared {
    record: Mutex<Record>,
    /// Answers came in.
    answered: Notify,
    window: Semaphore,
    /// What it was last told to hold.
    setting: watch::Sender<Option<String>>,
    /// The last answer to `twin/get`, and how many there were.
    twin: watch::Sender<(usize, Value)>,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Thermostat {
    /// Connects to the broker of an edge, now and whenever the connection broke.
    #[must_use]
    pub fn start(name: &str, broker: SocketAddr) -> Self {
        let mut options = MqttOptions::new(name, broker.ip().to_string(), broker.port());
        options.set_clean_session(false).set_keep_alive(Duration::from_secs(5)).set_inflight(INFLIGHT);
        let (client, connection) = AsyncClient::new(options, REQUESTS);
        let (setting, told) = watch::channel(None);
        let shared = Arc::new(Shared {
            record: Mutex::default(),
            answered: Notify::new(),
            window: Semaphore::new(WINDOW),
            setting,
            twin: watch::Sender::new((0, Value::Null)),
        });
        let (orders, inbox) = mpsc::channel(4);
        let topics = Topics::of(name);
        let voice = Voice::new(name, topics.clone(), client, Arc::clone(&shared), told.clone());
        let tasks = [
            tokio::spawn(ear::listen(connection, topics, Arc::clone(&shared))),
            tokio::spawn(voice.speak(inbox)),
        ];
        Self { name: name.to_owned(), shared, orders, setting: told, tasks }
    }

    /// `namespace/name`
    #[must_use]
    pub fn device(&self) -> String {
        format!("default/{}", self.name)
    }

    /// Orders `count` reports. They go out one after the other.
    ///
    /// # Errors
    /// Its task has ended.
    pub async fn report(&self, count: usize) -> Result<(), StackError> {
        self.order(Order::Report(count)).await
    }

    /// Waits until `count` reports were sent in all, and everything sent was answered.
    ///
    /// # Errors
    /// [`StackError::Late`] if no answer comes for half a minute; a report that was rejected.
    pub async fn answered(&self, count: usize) -> Result<(), StackError> {
        loop {
            let came = self.shared.answered.notified();
            let (sent, answered) = {
                let record = self.shared.record();
                if let Some(rejection) = &record.rejection {
                    return Err(StackError::answer(format!("a report of {}", self.name), rejection));
                }
                (record.reports.len(), record.answered())
            };
            if sent >= count && answered == sent {
                return Ok(());
            }
            if timeout(ANSWER, came).await.is_err() {
                return Err(StackError::Late {
                    what: format!("{}'s reports to be answered", self.name),
                    seconds: ANSWER.as_secs(),
                    last: format!("{sent} sent, {answered} answered"),
                });
            }
        }
    }

    /// Waits until so many reports were answered, whatever is still under way.
    ///
    /// # Errors
    /// As [`Thermostat::answered`].
    pub async fn answered_at_least(&self, count: usize) -> Result<(), StackError> {
        loop {
            let came = self.shared.answered.notified();
            let answered = self.shared.record().answered();
            if answered >= count {
                return Ok(());
            }
            if timeout(ANSWER, came).await.is_err() {
                return Err(StackError::Late {
                    what: format!("{count} reports of {} to be answered", self.name),
                    seconds: ANSWER.as_secs(),
                    last: format!("{answered} answered"),
                });
            }
        }
    }

    /// Waits until it was told to hold `target`.
    ///
    /// # Errors
    /// [`StackError::Late`].
    pub async fn told(&self, target: &str, patience: Duration) -> Result<(), StackError> {
        let mut setting = self.setting.clone();
        let told = timeout(patience, setting.wait_for(|told| told.as_deref() == Some(target))).await;
        match told {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StackError::Late {
                what: format!("{} to be told {target}", self.name),
                seconds: patience.as_secs(),
                last: format!("told {:?}", self.setting()),
            }),
        }
    }

    /// What it was last told to hold.
    #[must_use]
    pub fn setting(&self) -> Option<String> {
        self.setting.borrow().clone()
    }

    /// Asks its edge for the twin, and waits for the answer.
    ///
    /// # Errors
    /// [`StackError::Late`].
    pub async fn twin(&self) -> Result<Value, StackError> {
        let mut twin = self.shared.twin.subscribe();
        let before = twin.borrow_and_update().0;
        self.order(Order::Get).await?;
        let answer = timeout(ANSWER, twin.wait_for(|(count, _)| *count > before)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer.1.clone()),
            Ok(Err(_)) | Err(_) => Err(StackError::Late {
                what: format!("the answer to twin/get of {}", self.name),
                seconds: ANSWER.as_secs(),
                last: "nothing".to_owned(),
            }),
        }
    }

    /// Everything it sent and heard so far.
    #[must_use]
    pub fn record(&self) -> Record {
        self.shared.record().clone()
    }

    async fn order(&self, order: Order) -> Result<(), StackError> {
        let sent = self.orders.send(order).await;
        sent.map_err(|_| StackError::answer(self.name.clone(), "its task has ended"))
    }
}

impl Drop for Thermostat {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Its topics.
#[derive(Clone, Debug)]
struct Topics {
    update: String,
    result: String,
    delta: String,
    get: String,
    twin: String,
}

impl Topics {
    fn of(name: &str) -> Self {
        let topic = |rest: &str| format!("$hw/events/device/default/{name}/twin/{rest}");
        Self {
            update: topic("update"),
            result: topic("update/result"),
            delta: topic("update/delta"),
            get: topic("get"),
            twin: topic("get/result"),
        }
    }

    /// Those that it listens to.
    fn heard(&self) -> [&str; 3] {
        [&self.result, &self.delta, &self.twin]
    }
}
