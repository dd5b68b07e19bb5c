//! The last message kept per topic, within bounds of number and bytes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::message::Message;
use crate::metric_definitions::DROPPED;
use crate::topic;

#[derive(Default)]
pub(crate) struct Retained {
    kept: HashMap<Arc<str>, Arc<Message>>,
    bytes: usize,
}

impl Retained {
    /// Keeps a retained message, or with an empty payload forgets its topic.
    pub(crate) fn keep(&mut self, message: &Arc<Message>, max_count: usize, max_bytes: usize) {
        self.forget(&message.topic);
        if message.payload.is_empty() {
            return;
        }
        if self.is_full(message, max_count, max_bytes) {
            self.forget_expired();
        }
        if self.is_full(message, max_count, max_bytes) {
            metrics::counter!(DROPPED, "reason" => "not_retained").increment(1);
            tracing::debug!(topic = %message.topic, retained = self.kept.len(), bytes = self.bytes, "no room to retain");
            return;
        }
        self.bytes += message.weight();
        self.kept.insert(Arc::clone(&message.topic), Arc::clone(message));
    }

    fn is_full(&self, message: &Message, max_count: usize, max_bytes: usize) -> bool {
        self.kept.len() >= max_count || self.bytes.saturating_add(message.weight()) > max_bytes
    }

    fn forget(&mut self, topic: &str) {
        if let Some(old) = self.kept.remove(topic) {
            self.bytes -= old.weight();
        }
    }

    pub(crate) fn forget_expired(&mut self) {
        let expired: Vec<_> = self
            .kept
            .values()
            .filter(|message| message.expired())
            .map(|message| Arc::clone(&message.topic))
            .collect();
        for topic in expired {
            self.forget(&topic);
        }
    }

    /// What a new subscription to `filter` gets.
    pub(crate) fn matching(&self, filter: &str) -> Vec<Arc<Message>> {
        if !filter.contains(['+', '#']) {
            return self.kept.get(filter).filter(|message| !message.expired()).cloned().into_iter().collect();
        }
        self.kept
            .values()
            .filter(|message| !message.expired() && topic::matches(filter, &message.topic))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(topic: &str, payload: &str) -> Arc<Message> {
        Message::own(topic.into(), Bytes::copy_from_slice(payload.as_bytes()), 1, true)
    }

    #[test]
    fn a_full_store_keeps_what_it_has_and_still_replaces_it() {
        let mut retained = Retained::default();
        retained.keep(&message("a", "1"), 2, 10_000);
        retained.keep(&message("b", "1"), 2, 10_000);
        retained.keep(&message("c", "1"), 2, 10_000);
        assert!(retained.matching("c").is_empty());
        retained.keep(&message("a", "2"), 2, 10_000);
        assert_eq!(retained.matching("a")[0].payload, "2");
        retained.keep(&message("a", ""), 2, 10_000);
        assert!(retained.matching("a").is_empty());
        retained.keep(&message("c", "1"), 2, 10_000);
        assert_eq!(retained.matching("+").len(), 2);
    }

    #[test]
    fn bytes_are_given_back() {
        let mut retained = Retained::default();
        for round in 0..1000 {
            retained.keep(&message("a", &"x".repeat(round)), 10, 10_000);
        }
        retained.keep(&message("a", ""), 10, 10_000);
        assert_eq!(retained.bytes, 0);
    }
}
