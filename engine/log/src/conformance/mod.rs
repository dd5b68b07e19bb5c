//! The contract of `ledge_core::log` as cases. Each store's tests run all of them:
//!
//! ```text
//!   mod conformance { ledge_log::conformance_tests!(MyFixture::new()); }
//! ```
//! Reading order: `appends`, `batches`, `bases`, `rows`, then `oracle`: random batches and crashes
//! against a slow, obvious model.

#![allow(clippy::unwrap_used, reason = "a suite of tests: a panic is its answer")]
#![allow(missing_docs, reason = "the names of the cases say it")]

pub mod appends;
mod arrange;
pub mod bases;
pub mod batches;
mod model;
pub mod oracle;
pub mod rows;

pub use arrange::Tape;
pub use model::Model;

use ledge_core::log::{Batch, Op, Store, StoreError};
use rand_chacha::ChaCha8Rng;

/// What a case needs of a store: an empty place, and crashes.
pub trait Fixture {
    /// The store.
    type Store: Store;

    /// Opens what is in this fixture's place; empty the first time.
    fn open(&mut self) -> Result<Self::Store, StoreError>;

    /// Ends the store as a kill of its process would; whatever is not durable may be lost.
    fn crash(&mut self, store: Self::Store);

    /// Called by the oracle before some commits: a fixture that can make the next write fail does so
    /// now and then.
    fn disturb(&mut self, rng: &mut ChaCha8Rng) {
        let _ = rng;
    }
}

fn commit<S: Store>(store: &mut S, ops: impl IntoIterator<Item = Op>) -> Result<(), StoreError> {
    store.commit(Batch { ops: ops.into_iter().collect() })
}

/// One `#[test]` for each case, over a fresh fixture each.
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:expr) => {
        $crate::conformance_tests! { $fixture;
            appends: runs_read_back_in_order_and_whole,
            appends: reads_begin_at_run_boundaries_only,
            appends: byte_limits_bound_a_read_but_one_run_always_comes,
            appends: chains_are_kept_at_run_boundaries_only,
            appends: run_at_finds_the_run_that_holds_a_seq,
            appends: a_mismatch_tells_the_real_tail_and_writes_nothing,
            appends: a_wrong_chain_is_refused,
            appends: an_unknown_stream_is_told_apart_from_an_empty_one,
            batches: a_batch_is_all_or_nothing,
            batches: several_streams_rows_cursors_and_locals_go_together,
            batches: later_operations_see_earlier_ones,
            batches: everything_is_there_after_reopening,
            batches: everything_confirmed_is_there_after_a_crash,
            bases: a_begin_archives_the_incarnation_before_it,
            bases: beginning_a_known_log_id_replaces_that_one_wholly,
            bases: forget_drops_archived_incarnations_only,
            bases: a_begin_wants_its_rows_ascending,
            bases: a_base_may_stand_anywhere,
            bases: bind_numbers_the_log_that_it_names_only,
            bases: trim_drops_runs_below_and_keeps_rows,
            bases: trim_wants_a_boundary_and_its_chain,
            bases: drop_takes_everything_of_one_stream,
            rows: rows_are_found_by_prefix_and_page,
            rows: streams_do_not_see_each_others_rows,
            rows: clear_rows_leaves_base_and_log,
            rows: a_cursor_stays_between_base_and_tail,
            rows: locals_are_found_by_prefix,
            oracle: random_batches_and_crashes_leave_a_prefix,
        }
    };
    ($fixture:expr; $($module:ident: $case:ident,)*) => {
        $(#[test]
        fn $case() {
            $crate::conformance::$module::$case(&mut $fixture);
        })*
    };
}
