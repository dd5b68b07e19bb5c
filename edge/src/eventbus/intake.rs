//! The broker's handler: classifies, and gives every logged message its place in the queue.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use ledge_mqtt::{Claim, Handler, Incoming, Origin, Refusal};
use ledge_schemas::NodeName;
use tokio::sync::{mpsc, oneshot};

use crate::devicetwin::{Refusal as TopicRefusal, Route, topic};

/// A message that waits to be decided.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) from: Origin,
    pub(super) message: Incoming,
    pub(super) route: Route,
    pub(super) answer: oneshot::Sender<Result<(), Refusal>>,
}

/// The queue's other end, for [`super::Bus`].
#[derive(Debug)]
pub struct Jobs(pub(super) mpsc::UnboundedReceiver<Job>);

/// See the module.
#[derive(Debug)]
pub struct Intake {
    node: NodeName,
    queue: mpsc::UnboundedSender<Job>,
}

impl Intake {
    /// The handler of that node, and the queue it fills.
    #[must_use]
    pub fn new(node: NodeName) -> (Arc<Self>, Jobs) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the broker bounds what is with its handler: a window of messages per client, whose bytes it \
                      holds itself; a second bound here could only change their order"
        )]
        let (queue, jobs) = mpsc::unbounded_channel();
        (Arc::new(Self { node, queue }), Jobs(jobs))
    }

    fn route(&self, topic: &str) -> Route {
        topic::route(&self.node, topic, |_| false)
    }
}

impl Handler for Intake {
    fn classify(&self, topic: &str) -> Claim {
        match self.route(topic) {
            Route::Device { .. } | Route::Membership | Route::Upload => Claim::Logged,
            Route::Plain => Claim::Plain,
            Route::Refused(refusal) => Claim::Refused(match refusal {
                TopicRefusal::Own(_) => "only Ledge writes there; subscribe to it instead",
                TopicRefusal::UnknownAction(_) => "a twin knows twin/update and twin/get",
                TopicRefusal::Name { .. } => "a device's topic is $hw/events/device/<namespace>/<name>/…",
                TopicRefusal::TooLong(_) => "a logged topic is at most 1024 bytes long",
                TopicRefusal::OtherNode { .. } => "this node knows its own devices only",
            }),
        }
    }

    fn publish(&self, from: Origin, message: Incoming) -> BoxFuture<'static, Result<(), Refusal>> {
        let route = self.route(&message.topic);
        let (answer, answered) = oneshot::channel();
        // Its place in the log is decided here, in the call.
        let queued = self.queue.send(Job { from, message, route, answer });
        async move {
            match queued {
                Ok(()) => answered.await.unwrap_or(Err(Refusal::Closed)),
                Err(_) => Err(Refusal::Closed),
            }
        }
        .boxed()
    }
}
