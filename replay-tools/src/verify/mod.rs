//! Is everything that is stored what was written?
//!
//! ```text
//!   base ── digest of its rows, genesis ─┐
//!   runs ── CRC, continuity, chain ──────┼─► fold ──► rows, cursor and digest of the stored view
//!   tail ── where the head says it is ───┘
//! ```
//! [`verify`] looks at one store, [`compare`] at the logs that two stores share.

mod against;
mod report;
mod rows;
mod stream;

pub use against::{Comparison, Relation, compare};
pub use report::{Fault, Problem, Report, StreamReport, Verdict};

use ledge_core::log::Reader;

/// Checks every stream of a store, archived incarnations included. Reads everything; the rows of one view at a time are
/// held in memory.
pub fn verify<R: Reader>(reader: &R) -> Report {
    let mut report = Report::default();
    let streams = match reader.streams() {
        Ok(streams) => streams,
        Err(error) => {
            report.problems.push(Problem::of_store(None, None, None, &error));
            return report;
        }
    };
    for id in streams {
        stream::check(reader, &id, &mut report);
    }
    report
}
