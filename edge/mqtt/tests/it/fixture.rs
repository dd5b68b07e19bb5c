//! A broker on a free port with a handler that records and obeys.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ledge_mqtt::{Broker, BrokerConfig, Claim, Handler, Incoming, Origin, Publisher, Refusal};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for anything that should happen; reached only by a failing test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Short enough to wait for what should not happen.
pub(crate) const MOMENT: Duration = Duration::from_millis(150);

/// Logged: `log/#` and device updates. Refused: what ends in `/result`. Everything else is plain.
#[derive(Default)]
pub(crate) struct Recorder {
    seen: Mutex<Vec<(Origin, Incoming)>>,
    /// Answers to give before the handler says `Ok` to everything.
    answers: Mutex<Vec<Refusal>>,
    /// When set, each answer takes a permit first.
    gate: Option<Arc<Semaphore>>,
}

impl Recorder {
    pub(crate) fn gated() -> (Arc<Self>, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Arc::new(Self { gate: Some(Arc::clone(&gate)), ..Self::default() }), gate)
    }

    pub(crate) fn answering(answers: impl IntoIterator<Item = Refusal>) -> Arc<Self> {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    pub(crate) fn seen(&self) -> Vec<(Origin, Incoming)> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn payloads(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|(_, message)| String::from_utf8_lossy(&message.payload).into_owned())
            .collect()
    }

    pub(crate) async fn saw(&self, count: usize) {
        until(|| self.seen.lock().unwrap().len() >= count).await;
    }
}

impl Handler for Recorder {
    fn classify(&self, topic: &str) -> Claim {
        if topic.ends_with("/result") {
            Claim::Refused("only the edge writes results")
        } else if topic.starts_with("log/")
            || ledge_mqtt::topic::matches("$hw/events/device/+/+/twin/+", topic)
        {
            Claim::Logged
        } else {
            Claim::Plain
        }
    }

    fn publish(&self, from: Origin, message: Incoming) -> BoxFuture<'static, Result<(), Refusal>> {
        self.seen.lock().unwrap().push((from, message));
        let answer = self.answers.lock().unwrap().pop();
        let gate = self.gate.clone();
        async move {
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            answer.map_or(Ok(()), Err)
        }
        .boxed()
    }
}

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) publisher: Publisher,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(config: BrokerConfig, handler: Arc<dyn Handler>) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let (broker, publisher) = Broker::bind(addr, config, handler).await.unwrap();
        let (addr, stop) = (broker.local_addr(), CancellationToken::new());
        let task = tokio::spawn(broker.run(stop.clone()));
        Self { addr, publisher, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the broker does not stop").unwrap();
    }
}

pub(crate) async fn broker() -> Running {
    Running::start(BrokerConfig::default(), Arc::new(Recorder::default())).await
}

pub(crate) async fn until(mut done: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it never came");
}
