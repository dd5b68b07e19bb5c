//! Load, and how it is counted: one after the other, or many producers that each wait for their answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// Times of single operations. Microseconds.
#[derive(Debug)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    /// Of operations in the order in which they ran; the first tenth does not count.
    pub(super) fn of(micros: &[f64]) -> anyhow::Result<Self> {
        let mut times = Histogram::new(3)?;
        for micros in &micros[micros.len() / 10..] {
            // Nanoseconds, so that three digits stay.
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "times are positive and short"
            )]
            times.record((micros * 1000.0) as u64)?;
        }
        Ok(Self(times))
    }

    pub(super) fn quantile(&self, quantile: f64) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
        let nanos = self.0.value_at_quantile(quantile) as f64;
        nanos / 1000.0
    }
}

/// Runs `producers` tasks that repeat `operation` for `time`; the first tenth does not count. Returns operations
/// per second. `operation` is given a number of its own each time.
pub(super) async fn closed_loop<O, F>(producers: u64, time: Duration, operation: O) -> anyhow::Result<f64>
where
    O: Fn(u64) -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    for producer in 0..producers {
        let (done, stop, operation) = (Arc::clone(&done), Arc::clone(&stop), operation.clone());
        tasks.spawn(async move {
            let mut number = producer;
            while !stop.load(Ordering::Relaxed) {
                operation(number).await?;
                done.fetch_add(1, Ordering::Relaxed);
                number += producers;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    tokio::time::sleep(time / 10).await;
    let (began, before) = (Instant::now(), done.load(Ordering::Relaxed));
    tokio::time::sleep(time - time / 10).await;
    let (after, took) = (done.load(Ordering::Relaxed), began.elapsed());
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok((after - before) as f64 / took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_first_tenth_does_not_count() {
        let times: Vec<f64> = std::iter::repeat_n(1e6, 10).chain(std::iter::repeat_n(100.0, 90)).collect();
        let times = Times::of(&times).unwrap();
        assert!((times.quantile(1.0) - 100.0).abs() < 1.0, "{}", times.quantile(1.0));
    }

    #[tokio::test]
    async fn a_producer_that_fails_fails_the_measurement() {
        // A task that never waits would starve the one thread of this test.
        let failing = |number: u64| async move {
            tokio::task::yield_now().await;
            if number == 3 { Err(anyhow::anyhow!("no")) } else { Ok(()) }
        };
        let willing = |_| async {
            tokio::task::yield_now().await;
            Ok(())
        };
        assert!(closed_loop(4, Duration::from_millis(20), failing).await.is_err());
        assert!(closed_loop(3, Duration::from_millis(20), willing).await.unwrap() > 0.0);
    }
}
