//! Keys that want looking at: each waits once however often it is added, and is looked at by one worker
//! at a time. What is added meanwhile is looked at again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::metric_definitions as names;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Worked,
    /// Worked on, and added again.
    Again,
}

/// See the module. Bounded by the number of keys.
#[derive(Debug)]
pub(super) struct Queue<K> {
    controller: &'static str,
    inner: Mutex<Inner<K>>,
    added: Notify,
}

#[derive(Debug)]
struct Inner<K> {
    waiting: VecDeque<K>,
    states: BTreeMap<K, State>,
}

impl<K: Ord + Clone> Queue<K> {
    pub(super) fn new(controller: &'static str) -> Self {
        let inner = Inner { waiting: VecDeque::new(), states: BTreeMap::new() };
        Self { controller, inner: Mutex::new(inner), added: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, key: K) {
        let mut inner = self.lock();
        match inner.states.get_mut(&key) {
            Some(State::Waiting | State::Again) => {}
            Some(state @ State::Worked) => *state = State::Again,
            None => {
                inner.states.insert(key.clone(), State::Waiting);
                inner.waiting.push_back(key);
                self.gauge(&inner);
                drop(inner);
                self.added.notify_one();
            }
        }
    }

    /// The key that waits longest; it is the caller's until [`Queue::done`].
    pub(super) async fn next(&self) -> K {
        loop {
            let added = self.added.notified();
            if let Some(key) = self.take() {
                return key;
            }
            added.await;
        }
    }

    fn take(&self) -> Option<K> {
        let mut inner = self.lock();
        let key = inner.waiting.pop_front()?;
        inner.states.insert(key.clone(), State::Worked);
        if !inner.waiting.is_empty() {
            // Another worker may have been woken for a key that this one took.
            self.added.notify_one();
        }
        self.gauge(&inner);
        Some(key)
    }

    pub(super) fn done(&self, key: &K) {
        let again = self.lock().states.remove(key) == Some(State::Again);
        if again {
            self.add(key.clone());
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of keys")]
    fn gauge(&self, inner: &Inner<K>) {
        metrics::gauge!(names::QUEUE, "controller" => self.controller).set(inner.waiting.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_waits_once_and_is_worked_on_by_one() {
        let queue = Queue::new("test");
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.next().await, "a");
        queue.add("a");
        assert_eq!(queue.next().await, "b");
        assert_eq!(queue.take(), None, "a is worked on");
        queue.done(&"a");
        assert_eq!(queue.take(), Some("a"), "it was added meanwhile");
        queue.done(&"a");
        queue.done(&"b");
        assert_eq!(queue.take(), None);
    }
}
