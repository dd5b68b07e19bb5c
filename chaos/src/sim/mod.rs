//! Whole systems in one thread on virtual time: several edges, a cloud, links and disks that fail.
//!
//! ```text
//!   plan (from the seed) ─► world: agenda of actions ─► process (journal on a simulated disk)
//!                             │                          └─ the real sessions, views, commands
//!                             ├─ link: delay, drop, duplicate, reorder, cut one way
//!                             └─ oracle: what was confirmed; invariants at every step
//! ```
//! First a safety phase with faults, then all faults off: everything must converge. The same seed
//! gives the same trace.
//! Reading order: plan → process → link → oracle → world → strike → run.

mod agenda;
mod link;
mod operator;
mod oracle;
mod plan;
mod process;
mod run;
mod strike;
mod trace;
mod world;

pub use oracle::Coverage;
pub use plan::{PROFILES, Plan, Profile};
pub use run::{Outcome, Progress, run_seed, run_seeds};
