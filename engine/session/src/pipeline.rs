//! Many steps under way at once, begun in order and finished in order.
//!
//! A step is begun (its place in the writer's queue is taken) before the next one is begun; what it then waits for,
//! it waits for beside all others. Polling many futures in order would not do: a future that is told to wait, because
//! its task's turn is over, falls behind those that were polled after it.

use std::collections::VecDeque;
use std::future::pending;

use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};

/// The first half of a step; gives the second.
pub type Step<T> = BoxFuture<'static, Begun<T>>;

/// The second half of a step.
pub struct Begun<T>(BoxFuture<'static, T>);

impl<T> Begun<T> {
    /// What is waited for once the step is begun.
    pub fn new(rest: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(rest))
    }

    /// The same step with another result.
    pub fn map<U>(self, map: impl FnOnce(T) -> U + Send + 'static) -> Begun<U>
    where
        T: Send + 'static,
    {
        Begun::new(async move { map(self.0.await) })
    }
}

impl<T> std::fmt::Debug for Begun<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Begun")
    }
}

/// See the module.
pub struct Pipeline<T> {
    beginning: VecDeque<Step<T>>,
    begun: FuturesOrdered<BoxFuture<'static, T>>,
}

impl<T> Default for Pipeline<T> {
    fn default() -> Self {
        Self { beginning: VecDeque::new(), begun: FuturesOrdered::new() }
    }
}

impl<T> std::fmt::Debug for Pipeline<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("steps", &self.len()).finish()
    }
}

impl<T> Pipeline<T> {
    /// Adds a step; it is begun by [`Pipeline::next`].
    pub fn push(&mut self, step: Step<T>) {
        self.beginning.push_back(step);
    }

    /// Steps that are not finished.
    #[must_use]
    pub fn len(&self) -> usize {
        self.beginning.len() + self.begun.len()
    }

    /// Whether every step is finished.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins what can be begun, and gives the oldest step's result once it is there; never returns while there
    /// is no step. Dropping the future loses nothing.
    pub async fn next(&mut self) -> T {
        loop {
            let first = async {
                match self.beginning.front_mut() {
                    Some(step) => step.await,
                    None => pending().await,
                }
            };
            let oldest = async {
                match self.begun.next().await {
                    Some(result) => result,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                begun = first => {
                    self.beginning.pop_front();
                    self.begun.push_back(begun.0);
                }
                result = oldest => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn steps_begin_and_finish_in_order_whatever_each_has_to_wait_for() {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let mut pipeline = Pipeline::default();
        for number in 0..500_u32 {
            let begun = Arc::clone(&begun);
            pipeline.push(
                async move {
                    // Runs out of its task's turn every now and then, as any use of a channel does.
                    tokio::task::coop::consume_budget().await;
                    begun.lock().expect("no panic").push(number);
                    Begun::new(async move {
                        if number % 3 == 0 {
                            tokio::task::yield_now().await;
                        }
                        number
                    })
                }
                .boxed(),
            );
        }
        let all: Vec<u32> = (0..500).collect();
        for number in &all {
            assert_eq!(pipeline.next().await, *number);
        }
        assert!(pipeline.is_empty());
        assert_eq!(*begun.lock().expect("no panic"), all);
    }
}
