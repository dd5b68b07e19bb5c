//! A token bucket over the writes of a controller.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many writes a second, and so many at once after a rest.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: f64,
    burst: f64,
    state: Mutex<(f64, Instant)>,
}

impl Budget {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let (per_second, burst) = (f64::from(per_second.max(1)), f64::from(burst.max(1)));
        Self { per_second, burst, state: Mutex::new((burst, Instant::now())) }
    }

    /// Takes one now, or says how long to wait for it.
    pub(crate) fn try_take(&self) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (tokens, at) = *state;
        let tokens = (tokens + now.duration_since(at).as_secs_f64() * self.per_second).min(self.burst);
        if tokens >= 1.0 {
            *state = (tokens - 1.0, now);
            return Ok(());
        }
        *state = (tokens, now);
        Err(Duration::from_secs_f64((1.0 - tokens) / self.per_second))
    }

    /// Takes one, waiting for it.
    pub(crate) async fn take(&self) {
        while let Err(wait) = self.try_take() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_then_the_rate() {
        let (budget, began) = (Budget::new(100, 5), Instant::now());
        for _ in 0..5 {
            assert_eq!(budget.try_take(), Ok(()));
        }
        assert!(budget.try_take().is_err());
        for _ in 0..10 {
            budget.take().await;
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(95), "{took:?} for ten at a hundred a second");
    }
}
