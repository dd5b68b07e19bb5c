//! One client's messages on their way through the handler: called in order, answered in order, many at
//! once. Broker connections and the bridge share it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{self, BoxFuture, FutureExt};
use futures::stream::{FuturesOrdered, StreamExt};

use crate::handler::{Handler, Origin, Refusal};
use crate::message::Message;
use crate::metric_definitions::BUSY;

/// Waits between offers of a message that the handler is too busy for: doubling from the first to the last.
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// A message and what became of it.
pub(crate) struct Settled {
    pub(crate) origin: Origin,
    pub(crate) message: Arc<Message>,
    pub(crate) result: Result<(), Refusal>,
}

pub(crate) struct Intake {
    handler: Arc<dyn Handler>,
    flights: FuturesOrdered<BoxFuture<'static, Settled>>,
    /// The oldest message, being offered again; everything behind it waits for its acknowledgement.
    retry: Option<BoxFuture<'static, Settled>>,
    wait: Duration,
    /// Whether a busy handler is asked again, or the refusal is the sender's to deal with.
    retries: bool,
}

impl Intake {
    pub(crate) fn new(handler: Arc<dyn Handler>, retries: bool) -> Self {
        Self { handler, flights: FuturesOrdered::new(), retry: None, wait: FIRST_RETRY, retries }
    }

    /// Messages not yet settled.
    pub(crate) fn len(&self) -> usize {
        self.flights.len() + usize::from(self.retry.is_some())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The oldest message waits for a busy handler: nothing new should be offered before it.
    pub(crate) fn is_retrying(&self) -> bool {
        self.retry.is_some()
    }

    /// Calls the handler now; the answer comes out of [`Self::next`] in turn.
    pub(crate) fn offer(&mut self, origin: Origin, message: Arc<Message>) {
        let done = self.handler.publish(origin.clone(), message.incoming());
        self.flights.push_back(done.map(|result| Settled { origin, message, result }).boxed());
    }

    /// Lets something that needs no handler wait for its turn.
    pub(crate) fn pass(&mut self, settled: Settled) {
        self.flights.push_back(future::ready(settled).boxed());
    }

    /// The oldest message, once it is settled; never returns while there is none. Dropping the future
    /// loses nothing.
    pub(crate) async fn next(&mut self) -> Settled {
        loop {
            let settled = match &mut self.retry {
                Some(retry) => retry.await,
                None => match self.flights.next().await {
                    Some(settled) => settled,
                    None => future::pending().await,
                },
            };
            self.retry = None;
            let again =
                self.retries && settled.result == Err(Refusal::Busy) && settled.origin.packet_id.is_some();
            if !again {
                self.wait = FIRST_RETRY;
                return settled;
            }
            metrics::counter!(BUSY).increment(1);
            self.retry = Some(offer_later(Arc::clone(&self.handler), settled, self.wait).boxed());
            self.wait = (self.wait * 2).min(LAST_RETRY);
        }
    }

    /// The oldest message if it is settled already.
    pub(crate) fn ready(&mut self) -> Option<Settled> {
        self.next().now_or_never()
    }

    /// From here on a busy handler is not asked again: the sender has left, or will be asked to repeat.
    pub(crate) fn stop_retrying(&mut self) {
        self.retries = false;
    }

    /// For seeing what is left through to its end: `None` when nothing is left or `deadline` has come.
    pub(crate) async fn next_before(&mut self, deadline: tokio::time::Instant) -> Option<Settled> {
        if self.is_empty() {
            return None;
        }
        let next = tokio::time::timeout_at(deadline, self.next()).await;
        if next.is_err() {
            tracing::warn!(
                messages = self.len(),
                "the handler did not answer in time for a client that has left"
            );
        }
        next.ok()
    }
}

async fn offer_later(handler: Arc<dyn Handler>, settled: Settled, wait: Duration) -> Settled {
    let Settled { origin, message, .. } = settled;
    tokio::time::sleep(wait).await;
    let result = handler.publish(origin.clone(), message.incoming()).await;
    Settled { origin, message, result }
}
