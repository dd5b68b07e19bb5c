//! A message on its way to subscribers: shared by all of them, never copied.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::codec::{Publish, Will};
use crate::handler::Incoming;

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: Arc<str>,
    pub(crate) payload: Bytes,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// After this it is not worth delivering.
    pub(crate) expires: Option<Instant>,
    /// v5 properties as they came, for v5 subscribers.
    pub(crate) forward: Bytes,
    /// Its publisher, for subscriptions that do not want their own; `None` for the edge itself.
    pub(crate) from: Option<Arc<str>>,
}

fn deadline(seconds: Option<u32>) -> Option<Instant> {
    seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds.into())))
}

impl Message {
    pub(crate) fn published(publish: Publish, from: Arc<str>) -> Arc<Self> {
        let Publish { topic, qos, retain, payload, expiry, forward, .. } = publish;
        Arc::new(Self { topic, payload, qos, retain, expires: deadline(expiry), forward, from: Some(from) })
    }

    pub(crate) fn will(will: Will, from: Arc<str>) -> Arc<Self> {
        let Will { topic, payload, qos, retain, expiry, forward, .. } = will;
        Arc::new(Self { topic, payload, qos, retain, expires: deadline(expiry), forward, from: Some(from) })
    }

    pub(crate) fn own(topic: Arc<str>, payload: Bytes, qos: u8, retain: bool) -> Arc<Self> {
        Arc::new(Self { topic, payload, qos, retain, expires: None, forward: Bytes::new(), from: None })
    }

    pub(crate) fn incoming(&self) -> Incoming {
        Incoming {
            topic: Arc::clone(&self.topic),
            payload: self.payload.clone(),
            qos: self.qos,
            retain: self.retain,
        }
    }

    /// Bytes that it holds, about; what queues and the retained store are bounded by.
    pub(crate) fn weight(&self) -> usize {
        self.topic.len() + self.payload.len() + self.forward.len() + size_of::<Self>()
    }

    pub(crate) fn expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= Instant::now())
    }

    /// Whole seconds left of an expiry, rounded up, so that a message in time never says 0.
    pub(crate) fn seconds_left(&self) -> Option<u32> {
        let left = self.expires?.saturating_duration_since(Instant::now());
        Some(u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX))
    }
}
