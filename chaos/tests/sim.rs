//! The simulator itself: it repeats itself, and bugs that it once found stay fixed.
#![allow(clippy::unwrap_used, reason = "tests")]

use ledge_chaos::sim::{PROFILES, run_seed};

#[test]
fn the_same_seed_gives_the_same_trace() {
    for (profile, name) in PROFILES {
        let (one, two) = (run_seed(7, Some(profile), false), run_seed(7, Some(profile), false));
        assert_eq!(one.trace, two.trace, "{name}");
        assert_eq!(one.steps, two.steps, "{name}");
        assert!(one.steps > 200, "{name}: {} steps", one.steps);
    }
    assert_ne!(run_seed(7, None, false).trace, run_seed(8, None, false).trace);
}

/// Seeds that failed once. What each found stands beside it.
const LEDGER: &[(u64, &str)] = &[
    (229, "a base that came twice was installed twice and took back the events after it"),
    (11, "a frame lost on the way, with nothing behind it, was never missed: sessions stalled for ever"),
];

#[test]
fn bugs_found_by_a_seed_stay_fixed() {
    for (seed, bug) in LEDGER {
        let outcome = run_seed(*seed, None, false);
        assert_eq!(outcome.violation.map(|v| v.to_string()), None, "seed {seed}: {bug}");
    }
}

#[test]
fn every_profile_holds() {
    for (profile, name) in PROFILES {
        for seed in 10_000..10_004 {
            let outcome = run_seed(seed, Some(profile), false);
            assert_eq!(outcome.violation.map(|v| v.to_string()), None, "seed {seed} profile {name}");
        }
    }
}
