//! The task that moves everything: jobs into the writer, answers out of it, both in order.

use std::convert::Infallible;

use futures::future::{FutureExt, ready};
use ledge_core::log::StoreError;
use ledge_log::writer::Submitted;
use ledge_log::{Class, WriteError, WriterHandle};
use ledge_mqtt::{Incoming, Publisher, Refusal};
use ledge_schemas::{DeviceName, NodeName};
use ledge_session::{Begun, Pipeline, Step};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::append::{Delivery, Denied, fits};
use super::intake::{Job, Jobs};
use super::remembered::{Acknowledged, Triple};
use crate::devicetwin::payload::{Head, StateReport, Unreadable, Update};
use crate::devicetwin::{
    Ask, LoadError, Rejected, Rejection, Reply, Route, StoreFacts, device, get, membership,
};
use crate::metric_definitions::BUS_MESSAGES;
use crate::store::{Log, LogReader};

/// Messages with the writer at once; more wait in the queue.
const IN_FLIGHT: usize = 1024;

/// See the module.
pub struct Bus {
    node: NodeName,
    writer: WriterHandle<Log>,
    reader: LogReader,
    publisher: Publisher,
    acknowledged: Acknowledged,
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("node", &self.node).finish_non_exhaustive()
    }
}

/// A message that the writer is done with, or that did not need it.
struct Landed {
    answer: oneshot::Sender<Result<(), Refusal>>,
    outcome: Outcome,
    triple: Option<Triple>,
    route: &'static str,
}

enum Outcome {
    /// Say this, then acknowledge or refuse.
    Said { replies: Vec<Reply>, result: Result<(), Refusal>, label: &'static str },
    /// Answer from the rows, now that everything before it is durable.
    Asked { route: Route, message: Incoming },
}

impl Outcome {
    fn rejected(rejected: Rejected) -> Self {
        // A message that can never be taken is acknowledged, or its client would send it for ever.
        Self::Said { replies: vec![rejected.reply], result: Ok(()), label: "rejected" }
    }

    fn refused(refusal: Refusal, label: &'static str) -> Self {
        Self::Said { replies: Vec::new(), result: Err(refusal), label }
    }
}

impl Bus {
    /// Reads what a former process remembered.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn new(
        node: NodeName,
        writer: WriterHandle<Log>,
        reader: LogReader,
        publisher: Publisher,
    ) -> Result<Self, StoreError> {
        let acknowledged = Acknowledged::load(&reader)?;
        Ok(Self { node, writer, reader, publisher, acknowledged })
    }

    /// Serves until told to stop, and then until every message that was taken is answered.
    ///
    /// # Errors
    /// None; the type is the stage's.
    pub async fn run(mut self, mut jobs: Jobs, stop: CancellationToken) -> Result<(), Infallible> {
        let mut flights = Pipeline::default();
        loop {
            tokio::select! {
                biased;
                landed = flights.next() => self.land(landed).await,
                job = jobs.0.recv(), if flights.len() < IN_FLIGHT => match job {
                    Some(job) => flights.push(self.begin(job)),
                    None => break,
                },
                () = stop.cancelled(), if flights.is_empty() => {
                    jobs.0.close();
                    // What came in the meantime is answered too: receiving ends when the queue is empty.
                    if jobs.0.is_empty() {
                        break;
                    }
                }
            }
        }
        while !flights.is_empty() {
            let landed = flights.next().await;
            self.land(landed).await;
        }
        Ok(())
    }

    fn begin(&mut self, job: Job) -> Step<Landed> {
        let Job { from, message, route, answer } = job;
        let delivery = Delivery {
            node: self.node.clone(),
            triple: Triple::of(&from, &message),
            dup: from.dup,
            forget: self.acknowledged.take(),
            fresh_id: super::fresh_id(),
        };
        let triple = delivery.triple.clone();
        let (label, outcome) = match route {
            Route::Device { device, ask: Ask::TwinUpdate } => {
                ("twin-update", self.update(delivery, device, &message))
            }
            Route::Device { device, ask: Ask::StateUpdate } => {
                ("state-update", self.state(delivery, device, &message))
            }
            Route::Upload => ("upload", self.upload(delivery, message)),
            route => ("get", at_once(Outcome::Asked { route, message })),
        };
        let landed = move |outcome| Landed { answer, outcome, triple, route: label };
        outcome.map(move |begun| begun.map(landed)).boxed()
    }

    fn update(&self, delivery: Delivery, name: DeviceName, message: &Incoming) -> Step<Outcome> {
        let update = match Update::parse(&message.payload) {
            Ok(update) => update,
            Err(unreadable) => return rejected(&name, Ask::TwinUpdate, unreadable),
        };
        let told = Told { name: name.clone(), ask: Ask::TwinUpdate, event_id: update.head.event_id.clone() };
        let (writer, bytes) = (self.writer.clone(), message.payload.len() + 512);
        async move {
            let command =
                move |txn: &mut ledge_core::journal::Txn<'_, Log>| delivery.twin(txn, &name, &update);
            let submitted = writer.submit(Class::State, bytes, command).await;
            Begun::new(async move { told.outcome(finish(submitted).await) })
        }
        .boxed()
    }

    fn state(&self, delivery: Delivery, name: DeviceName, message: &Incoming) -> Step<Outcome> {
        let report = match StateReport::parse(&message.payload) {
            Ok(report) => report,
            Err(unreadable) => return rejected(&name, Ask::StateUpdate, unreadable),
        };
        let told = Told { name: name.clone(), ask: Ask::StateUpdate, event_id: report.head.event_id.clone() };
        let (writer, bytes) = (self.writer.clone(), message.payload.len() + 512);
        async move {
            let command =
                move |txn: &mut ledge_core::journal::Txn<'_, Log>| delivery.state(txn, &name, &report);
            let submitted = writer.submit(Class::State, bytes, command).await;
            Begun::new(async move { told.outcome(finish(submitted).await) })
        }
        .boxed()
    }

    fn upload(&self, delivery: Delivery, message: Incoming) -> Step<Outcome> {
        if !fits(&message) {
            let why = format!("{} bytes with its topic; an event holds 512 KiB", message.payload.len());
            return at_once(Outcome::refused(Refusal::Invalid(why), "too-large"));
        }
        let (writer, bytes) = (self.writer.clone(), message.payload.len() + 512);
        async move {
            let command = move |txn: &mut ledge_core::journal::Txn<'_, Log>| delivery.upload(txn, &message);
            let submitted = writer.submit(Class::Telemetry, bytes, command).await;
            Begun::new(async move { uploaded(finish(submitted).await) })
        }
        .boxed()
    }

    /// Answers, in the order of the log.
    async fn land(&mut self, landed: Landed) {
        let Landed { answer, outcome, triple, route } = landed;
        let (replies, result, label) = match outcome {
            Outcome::Said { replies, result, label } => (replies, result, label),
            Outcome::Asked { route, message } => {
                let reply = self.look_up(&route, &message.payload);
                (reply.into_iter().collect(), Ok(()), "answered")
            }
        };
        metrics::counter!(BUS_MESSAGES, "route" => route, "outcome" => label).increment(1);
        for reply in replies {
            self.say(reply).await;
        }
        if let Some(triple) = triple.filter(|_| result.is_ok()) {
            self.acknowledged.push(triple);
        }
        // A client that has gone away sends again.
        let _ = answer.send(result);
    }

    async fn say(&self, reply: Reply) {
        let Reply { topic, payload } = reply;
        if let Err(error) = self.publisher.publish(&topic, payload.into(), 1, false).await {
            tracing::warn!(topic, %error, "an answer could not be published");
        }
    }

    fn look_up(&self, route: &Route, payload: &[u8]) -> Option<Reply> {
        let (facts, now) = (StoreFacts::new(&self.reader, &self.node), super::now());
        let unreadable = |error: LoadError| Rejection::NotStored(error.to_string());
        let answered = match route {
            Route::Device { device: name, ask } => match device::load(&facts, name) {
                Ok(device) => get::answer(name, device.as_ref(), payload, &now),
                Err(error) => {
                    let topic = ask.result_topic(name);
                    Err(Rejected::new(topic, &event_id(payload), &now, unreadable(error)))
                }
            },
            Route::Membership => match device::list(&facts) {
                Ok(devices) => membership::answer(&self.node, &devices, payload, &now),
                Err(error) => {
                    let topic = crate::devicetwin::topic::membership_result(&self.node);
                    Err(Rejected::new(topic, &event_id(payload), &now, unreadable(error)))
                }
            },
            Route::Upload | Route::Plain | Route::Refused(_) => return None,
        };
        Some(answered.unwrap_or_else(|rejected| rejected.reply))
    }
}

fn event_id(payload: &[u8]) -> String {
    Head::parse(payload).map(|head| head.event_id).unwrap_or_default()
}

fn rejected(name: &DeviceName, ask: Ask, unreadable: Unreadable) -> Step<Outcome> {
    let Unreadable { event_id, rejection } = unreadable;
    let rejected = Rejected::new(ask.result_topic(name), &event_id, &super::now(), rejection);
    at_once(Outcome::rejected(rejected))
}

/// A step that needs no writer, but its turn.
fn at_once(outcome: Outcome) -> Step<Outcome> {
    ready(Begun::new(ready(outcome))).boxed()
}

type Written = Result<Vec<Reply>, WriteError<Denied>>;

/// The second half of a write.
async fn finish(submitted: Result<Submitted<Vec<Reply>, Denied>, WriteError<Denied>>) -> Written {
    submitted?.answer().await
}

fn uploaded(written: Written) -> Outcome {
    match written {
        Ok(replies) => Outcome::Said { replies, result: Ok(()), label: "logged" },
        Err(WriteError::Admission(_)) => Outcome::refused(Refusal::Busy, "admission"),
        Err(WriteError::Store(error) | WriteError::Refused(Denied::Failed(error))) if error.retryable() => {
            Outcome::refused(Refusal::Busy, "full")
        }
        Err(WriteError::Refused(Denied::Failed(error))) => {
            Outcome::refused(Refusal::Invalid(error.to_string()), "failed")
        }
        Err(WriteError::Refused(Denied::Rejected(rejected))) => Outcome::rejected(*rejected),
        Err(error) => gone(&error.to_string()),
    }
}

/// The writer has stopped: what became of the message is known after the next start.
fn gone(why: &str) -> Outcome {
    tracing::debug!(why, "a message was not acknowledged");
    Outcome::refused(Refusal::Closed, "unknown")
}

/// Who is told what became of a device's message.
struct Told {
    name: DeviceName,
    ask: Ask,
    event_id: String,
}

impl Told {
    fn outcome(&self, written: Written) -> Outcome {
        let not_stored = |why: String| {
            let (topic, now) = (self.ask.result_topic(&self.name), super::now());
            Outcome::rejected(Rejected::new(topic, &self.event_id, &now, Rejection::NotStored(why)))
        };
        match written {
            Ok(replies) => Outcome::Said { replies, result: Ok(()), label: "logged" },
            Err(WriteError::Refused(Denied::Rejected(rejected))) => Outcome::rejected(*rejected),
            Err(WriteError::Admission(refused)) => not_stored(refused.to_string()),
            Err(WriteError::Store(error) | WriteError::Refused(Denied::Failed(error))) => {
                not_stored(error.to_string())
            }
            Err(error) => gone(&error.to_string()),
        }
    }
}
