//! How the edge speaks to devices, whichever of broker and bridge carries it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::broker::Hub;
use crate::message::Message;
use crate::topic;

/// A handle to publish with; cloned freely.
#[derive(Clone)]
pub struct Publisher {
    way: Way,
    /// Largest topic and payload together, bytes.
    max: usize,
}

#[derive(Clone)]
enum Way {
    Broker(Arc<Hub>),
    Bridge(mpsc::Sender<Arc<Message>>),
}

/// Why a message was not taken for publishing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nothing can be published under this name.
    #[error("{topic:?} is not a topic name: it is empty, deeper than 128 levels, or holds a wildcard")]
    Topic {
        /// The name.
        topic: String,
    },
    /// QoS 2 is not spoken outwards.
    #[error("quality of service {qos} on {topic}; the edge publishes with 0 or 1")]
    Qos {
        /// Where to.
        topic: String,
        /// What was asked.
        qos: u8,
    },
    /// The packet would be larger than the configured maximum.
    #[error(
        "a message of {size} bytes on {topic} exceeds the limit of {max}; raise the packet size of the broker or bridge"
    )]
    TooLarge {
        /// Where to.
        topic: String,
        /// Topic and payload, bytes.
        size: usize,
        /// The limit, bytes.
        max: usize,
    },
    /// The broker or bridge has stopped.
    #[error("the broker or bridge has stopped")]
    Closed,
}

impl Publisher {
    pub(crate) fn to_broker(hub: Arc<Hub>, max: usize) -> Self {
        Self { way: Way::Broker(hub), max }
    }

    pub(crate) fn to_bridge(queue: mpsc::Sender<Arc<Message>>, max: usize) -> Self {
        Self { way: Way::Bridge(queue), max }
    }

    /// Publishes with `qos` 0 or 1. `Ok` means that the message is with the broker or in the bridge's
    /// queue, not that a device has it.
    ///
    /// The broker never waits: a subscriber that does not keep up loses QoS 0 messages or its connection.
    /// The bridge waits while its queue is full, which it is after a while without its broker.
    pub async fn publish(
        &self,
        topic: &str,
        payload: Bytes,
        qos: u8,
        retain: bool,
    ) -> Result<(), PublishError> {
        if !topic::is_name(topic) {
            return Err(PublishError::Topic { topic: topic.chars().take(200).collect() });
        }
        if qos > 1 {
            return Err(PublishError::Qos { topic: topic.to_owned(), qos });
        }
        let size = topic.len() + payload.len();
        if size > self.max {
            return Err(PublishError::TooLarge { topic: topic.to_owned(), size, max: self.max });
        }
        let message = Message::own(topic.into(), payload, qos, retain);
        match &self.way {
            Way::Broker(hub) if hub.is_closed() => Err(PublishError::Closed),
            Way::Broker(hub) => {
                hub.publish(&message);
                // A long run of messages from one task gives the subscribers' connections their turn.
                tokio::task::coop::consume_budget().await;
                Ok(())
            }
            Way::Bridge(queue) => queue.send(message).await.map_err(|_| PublishError::Closed),
        }
    }
}
