//! One direction of a session: what was sent and is not yet acknowledged, what was received and is
//! not yet stored.

use std::collections::VecDeque;

use ledge_schemas::{LogId, Seq, limits};

use super::message::Direction;
use super::session_log::SessionLog;
use crate::log::StoreError;
use crate::{Chain, Run, frame};

/// Frames up to this size are cut while history drains, so that live traffic slips in between.
const FRAME_TARGET: usize = 256 * 1024;

/// The sending end: frames in flight under credit.
#[derive(Clone, Debug)]
pub(super) struct Outbound {
    direction: Direction,
    /// Sent through here.
    pub(super) next_after: Seq,
    in_flight: VecDeque<(Seq, Chain, usize)>,
    bytes: usize,
    credit_frames: usize,
    credit_bytes: usize,
    /// Acknowledged and proved through here.
    pub(super) proved: Seq,
}

/// What an acknowledgement meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acked {
    /// Nothing new.
    Known,
    /// The other side proved everything through here.
    Through(Seq),
    /// Its chain is not ours.
    Differs,
}

impl Outbound {
    pub(super) fn new(direction: Direction, after: Seq, credit_frames: u32, credit_bytes: u32) -> Self {
        Self {
            direction,
            next_after: after,
            in_flight: VecDeque::new(),
            bytes: 0,
            credit_frames: credit_frames.clamp(1, limits::CREDIT_FRAMES) as usize,
            credit_bytes: credit_bytes.clamp(1, limits::CREDIT_BYTES) as usize,
            proved: after,
        }
    }

    /// Continues after a base that was sent: the base counts as in flight until acknowledged.
    pub(super) fn after_base(&mut self, seq: Seq, chain: Chain) {
        self.next_after = seq;
        self.in_flight.clear();
        self.in_flight.push_back((seq, chain, 0));
        self.bytes = 0;
    }

    /// The next frame, if there is something to send and credit for it. `through` bounds it.
    pub(super) fn next(
        &mut self,
        log: &dyn SessionLog,
        through: Option<Seq>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if self.in_flight.len() >= self.credit_frames || self.bytes >= self.credit_bytes {
            return Ok(None);
        }
        let head = log.head(self.direction)?.map_or(Seq::ZERO, |head| head.tail);
        if head.min(through.unwrap_or(head)) <= self.next_after {
            return Ok(None);
        }
        let entries = log.runs(self.direction, self.next_after, FRAME_TARGET)?;
        let runs: Vec<Run> = entries.iter().map(|entry| entry.run.clone()).collect();
        let (frame, taken) = frame::pack(&runs, FRAME_TARGET);
        let Some(last) = taken.checked_sub(1).and_then(|last| entries.get(last)) else { return Ok(None) };
        self.next_after = last.run.last();
        self.in_flight.push_back((self.next_after, last.chain, frame.len()));
        self.bytes += frame.len();
        Ok(Some(frame))
    }

    /// Whether something was sent and is not acknowledged.
    pub(super) fn is_waiting(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Takes a cumulative acknowledgement.
    pub(super) fn acked(&mut self, seq: Seq, chain: Chain) -> Acked {
        if seq <= self.proved && self.in_flight.front().is_none_or(|(first, ..)| seq < *first) {
            return Acked::Known;
        }
        let Some(at) = self.in_flight.iter().position(|(last, ..)| *last == seq) else {
            return Acked::Known;
        };
        if self.in_flight.get(at).is_some_and(|(_, ours, _)| *ours != chain) {
            return Acked::Differs;
        }
        for (_, _, bytes) in self.in_flight.drain(..=at) {
            self.bytes -= bytes;
        }
        self.proved = seq;
        Acked::Through(seq)
    }
}

/// Notices that something which the other side owes does not come, although it speaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    since_ms: u64,
    mark: Option<Seq>,
}

impl Patience {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { since_ms: now_ms, mark: None }
    }

    /// `owed`: whether something is; `mark`: what moves as it comes. True after `limit_ms` without.
    pub(super) fn is_over(&mut self, now_ms: u64, owed: bool, mark: Option<Seq>, limit_ms: u64) -> bool {
        if !owed || mark != self.mark {
            *self = Self { since_ms: now_ms, mark };
        }
        now_ms.saturating_sub(self.since_ms) > limit_ms
    }
}

/// The receiving end.
#[derive(Clone, Debug)]
pub(super) struct Inbound {
    log_id: LogId,
    /// Received through here; what is stored may lag behind.
    received: Seq,
}

/// What a frame held that is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fresh {
    pub(super) runs: Vec<Run>,
    /// Events that came again.
    pub(super) duplicates: u64,
}

impl Inbound {
    pub(super) fn new(log_id: LogId, received: Seq) -> Self {
        Self { log_id, received }
    }

    /// Whether more of this log was received than a base of it would hold.
    pub(super) fn is_beyond(&self, log_id: LogId, seq: Seq) -> bool {
        self.log_id == log_id && self.received > seq
    }

    /// Takes the runs of a frame: drops what was received before, refuses a gap or a foreign log.
    pub(super) fn take(&mut self, runs: Vec<Run>) -> Result<Fresh, String> {
        let mut fresh = Fresh { runs: Vec::new(), duplicates: 0 };
        for run in runs {
            if run.log_id() != self.log_id {
                return Err(format!("run of log {} in a session of {}", run.log_id(), self.log_id));
            }
            if run.last() <= self.received && !crate::broken::is(crate::broken::Bug::ApplyTwice) {
                fresh.duplicates += u64::from(run.count());
            } else if run.first() == self.received.next()
                || crate::broken::is(crate::broken::Bug::ApplyOutOfOrder)
                || crate::broken::is(crate::broken::Bug::ApplyTwice)
            {
                self.received = run.last().max(self.received);
                fresh.runs.push(run);
            } else {
                return Err(format!("run begins at {}, {} is next", run.first(), self.received.next()));
            }
        }
        Ok(fresh)
    }
}
