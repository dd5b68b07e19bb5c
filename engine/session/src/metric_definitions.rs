//! Names of the metrics of sessions.

use ledge_core::sync::Note;
use metrics::{Unit, describe_counter, describe_gauge};

/// Sessions that are live, by `side`: edge | cloud. Gauge.
pub const LIVE: &str = "session.live";
/// Sessions that ended, by `side` and `reason`: silent | stalled | protocol | store | refused | restart | fenced |
/// closed | lost | stopped.
pub const ENDED: &str = "session.ended.total";
/// Events that came again and were dropped, by `side`. Harmless: a reconnect repeats what was not acknowledged.
pub const DUPLICATES: &str = "session.duplicate.events.total";
/// Acknowledgements or offers whose chain was not ours, by `side`. Should stay zero.
pub const CHAIN_DIFFERS: &str = "session.chain.differs.total";
/// Equal positions with other digests, by `side`. Should stay zero.
pub const DIVERGED: &str = "session.diverged.total";
/// Streams found shorter at the other side than it had accepted, by `side`. Should stay zero.
pub const REGRESSED: &str = "session.regressed.total";

/// Texts and units for whoever scrapes.
pub fn describe_metrics() {
    describe_gauge!(LIVE, Unit::Count, "Sessions that are live");
    describe_counter!(ENDED, Unit::Count, "Sessions that ended, by reason");
    describe_counter!(DUPLICATES, Unit::Count, "Events received again and dropped");
    describe_counter!(CHAIN_DIFFERS, Unit::Count, "Chains of the other side that were not ours");
    describe_counter!(DIVERGED, Unit::Count, "Digests that differed at equal positions");
    describe_counter!(REGRESSED, Unit::Count, "Streams that were shorter than had been accepted");
}

/// Counts a note.
pub(crate) fn count(note: &Note, side: &'static str) {
    match note {
        Note::Duplicate { events } => metrics::counter!(DUPLICATES, "side" => side).increment(*events),
        Note::ChainDiffers { .. } => metrics::counter!(CHAIN_DIFFERS, "side" => side).increment(1),
        Note::Diverged { .. } => metrics::counter!(DIVERGED, "side" => side).increment(1),
        Note::Regressed { .. } => metrics::counter!(REGRESSED, "side" => side).increment(1),
        Note::ClockOffset(_) | Note::Proved(_) => {}
    }
}

/// Counts a session as live until dropped.
#[derive(Debug)]
pub(crate) struct LiveGauge(&'static str);

impl LiveGauge {
    pub(crate) fn new(side: &'static str) -> Self {
        metrics::gauge!(LIVE, "side" => side).increment(1);
        Self(side)
    }
}

impl Drop for LiveGauge {
    fn drop(&mut self) {
        metrics::gauge!(LIVE, "side" => self.0).decrement(1);
    }
}
