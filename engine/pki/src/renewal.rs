//! When a node certificate is renewed: between 70 % and 90 % of its life, spread so that a fleet that
//! joined in one hour does not renew in one hour.

use crate::UnixSeconds;

const EARLIEST_PERCENT: i64 = 70;
const SPREAD_PERCENT: i64 = 20;

/// The moment at which to renew a certificate valid from `not_before` to `not_after`. `spread` in 0..=1
/// is this node's place in the window (drawn once, or derived from its name); values outside are clamped.
#[must_use]
pub fn renew_at(not_before: UnixSeconds, not_after: UnixSeconds, spread: f64) -> UnixSeconds {
    let life = not_after.saturating_sub(not_before).max(0);
    let window = life / 100 * SPREAD_PERCENT;
    let spread = if spread.is_nan() { 0.0 } else { spread.clamp(0.0, 1.0) };
    not_before + life / 100 * EARLIEST_PERCENT + (window as f64 * spread) as i64
}

/// Whether a certificate is so late in its life (90 %) that renewal may no longer wait for a quiet time.
#[must_use]
pub fn must_renew(not_before: UnixSeconds, not_after: UnixSeconds, now: UnixSeconds) -> bool {
    now >= renew_at(not_before, not_after, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_70_to_90_percent() {
        assert_eq!(renew_at(1000, 2000, 0.0), 1700);
        assert_eq!(renew_at(1000, 2000, 0.5), 1800);
        assert_eq!(renew_at(1000, 2000, 1.0), 1900);
        assert_eq!(renew_at(1000, 2000, 7.0), 1900);
        assert_eq!(renew_at(1000, 2000, f64::NAN), 1700);
        assert_eq!(renew_at(2000, 1000, 0.5), 2000);
    }

    #[test]
    fn after_90_percent_it_is_urgent() {
        assert!(!must_renew(1000, 2000, 1899));
        assert!(must_renew(1000, 2000, 1900));
    }
}
