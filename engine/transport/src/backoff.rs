//! When to connect again: exponential with full jitter, so that a fleet that lost its hub in one second
//! does not come back in one second.

use std::time::Duration;

/// Delays between attempts. The first is anywhere in 0..200 ms, the bound doubles per attempt up to 30 s.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    attempts: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(30))
    }
}

impl Backoff {
    /// Delays below `base` at first, below `cap` in the end.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, attempts: 0 }
    }

    /// How long to wait before the next attempt. `random` gives numbers in 0..1, for example
    /// `|| rand::random()`. With `retry_after` from the hub the delay is between once and twice that,
    /// and never shorter than what the backoff alone would say.
    pub fn next_delay(&mut self, mut random: impl FnMut() -> f64, retry_after: Option<Duration>) -> Duration {
        let doubled = self.base.saturating_mul(2_u32.saturating_pow(self.attempts));
        self.attempts = self.attempts.saturating_add(1);
        let own = part(doubled.min(self.cap), random());
        match retry_after {
            None => own,
            Some(asked) => own.max(asked.saturating_add(part(asked, random()))),
        }
    }

    /// Attempts since the last success.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The link is up and has proved itself: begin anew next time. To be called after the first message
    /// from the peer rather than after the handshake, or a hub that breaks after it is hammered.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

fn part(of: Duration, random: f64) -> Duration {
    of.mul_f64(if random.is_nan() { 1.0 } else { random.clamp(0.0, 1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(backoff: &mut Backoff, random: f64, retry_after: Option<u64>) -> u128 {
        backoff.next_delay(|| random, retry_after.map(Duration::from_millis)).as_millis()
    }

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let mut backoff = Backoff::default();
        let bounds: Vec<_> = (0..10).map(|_| millis(&mut backoff, 1.0, None)).collect();
        assert_eq!(bounds, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        for _ in 0..100 {
            assert_eq!(millis(&mut backoff, 1.0, None), 30_000);
        }
    }

    #[test]
    fn the_delay_is_anywhere_below_the_bound() {
        let mut backoff = Backoff::default();
        assert_eq!(millis(&mut backoff, 0.0, None), 0);
        assert_eq!(millis(&mut backoff, 0.5, None), 200);
        assert_eq!(millis(&mut backoff, 0.25, None), 200);
    }

    #[test]
    fn success_begins_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            millis(&mut backoff, 1.0, None);
        }
        assert_eq!(backoff.attempts(), 5);
        backoff.reset();
        assert_eq!(millis(&mut backoff, 1.0, None), 200);
    }

    #[test]
    fn the_hub_is_never_met_earlier_than_it_asked() {
        let mut backoff = Backoff::default();
        assert_eq!(millis(&mut backoff, 0.0, Some(5000)), 5000);
        assert_eq!(millis(&mut backoff, 0.5, Some(5000)), 7500);
        assert_eq!(millis(&mut backoff, 1.0, Some(10)), 800);
        assert!(millis(&mut backoff, f64::NAN, Some(0)) > 0);
    }
}
