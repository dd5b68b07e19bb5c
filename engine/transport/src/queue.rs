//! What waits to be sent on one link, lane by lane, and which chunk goes next.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::chunk::cut;
use crate::close::{CloseCode, SendError, TrySendError};
use crate::config::LinkConfig;
use crate::lane::Lane;

/// What a message costs of its lane's budget beyond its length: bounds the number of empty ones too.
const OVERHEAD: usize = 64;
/// A queue that grew in a burst gives its memory back down to this many entries.
const KEPT_ENTRIES: usize = 32;

/// State shared by senders, writer task and receiver of one link.
pub(crate) struct Queue {
    limit: usize,
    budgets: [usize; Lane::ALL.len()],
    permits: [Semaphore; Lane::ALL.len()],
    state: Mutex<State>,
    wake: Notify,
    /// Nothing more is read or written; set last.
    pub(crate) ended: CancellationToken,
    /// The receiver is gone or has told its user the end.
    pub(crate) received_all: CancellationToken,
}

#[derive(Default)]
struct State {
    lanes: [LaneState; Lane::ALL.len()],
    /// The other of tunnel and history had the last turn.
    history_first: bool,
    closing: Option<(CloseCode, String)>,
    failed: Option<String>,
}

#[derive(Default)]
struct LaneState {
    waiting: VecDeque<Bytes>,
    /// How much of the first message has been cut already.
    offset: usize,
}

/// What the writer does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Hand this chunk to the socket. `finished` is set when it ends a message of that length.
    Chunk { chunk: Bytes, lane: Lane, finished: Option<usize> },
    /// Say farewell; nothing else is sent.
    Close(CloseCode, String),
    /// Flush and wait.
    Nothing,
}

impl Queue {
    pub(crate) fn new(config: &LinkConfig) -> Self {
        let clamp = |bytes: usize| bytes.clamp(OVERHEAD, (u32::MAX as usize).min(Semaphore::MAX_PERMITS));
        let budgets = Lane::ALL.map(|lane| clamp(config.lanes.of(lane)));
        Self {
            limit: config.message_limit(),
            budgets,
            permits: budgets.map(Semaphore::new),
            state: Mutex::default(),
            wake: Notify::new(),
            ended: CancellationToken::new(),
            received_all: CancellationToken::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Budget a message takes; never more than there is, so that a long one can pass alone. Fits u32,
    /// because budgets do.
    fn cost(&self, lane: Lane, length: usize) -> usize {
        (length + OVERHEAD).min(self.budgets[lane.index()])
    }

    fn check_length(&self, message: &Bytes) -> Result<(), SendError> {
        if message.len() > self.limit {
            return Err(SendError::TooLong { length: message.len(), limit: self.limit });
        }
        Ok(())
    }

    /// Waits for room. Dropping the future before it is ready queues nothing.
    pub(crate) async fn send(&self, lane: Lane, message: Bytes) -> Result<(), SendError> {
        self.check_length(&message)?;
        let cost = u32::try_from(self.cost(lane, message.len())).unwrap_or(u32::MAX);
        let permit = self.permits[lane.index()].acquire_many(cost).await.map_err(|_| SendError::Ended)?;
        permit.forget();
        self.push(lane, message);
        Ok(())
    }

    pub(crate) fn try_send(&self, lane: Lane, message: Bytes) -> Result<(), TrySendError> {
        self.check_length(&message)?;
        let cost = u32::try_from(self.cost(lane, message.len())).unwrap_or(u32::MAX);
        match self.permits[lane.index()].try_acquire_many(cost) {
            Ok(permit) => permit.forget(),
            Err(tokio::sync::TryAcquireError::NoPermits) => return Err(TrySendError::Full(message)),
            Err(tokio::sync::TryAcquireError::Closed) => return Err(SendError::Ended.into()),
        }
        self.push(lane, message);
        Ok(())
    }

    fn push(&self, lane: Lane, message: Bytes) {
        self.state().lanes[lane.index()].waiting.push_back(message);
        self.wake.notify_one();
    }

    /// Bytes of messages that wait in a lane, including what is left of the one being sent.
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        let state = self.state();
        let lane = &state.lanes[lane.index()];
        lane.waiting.iter().map(Bytes::len).sum::<usize>() - lane.offset
    }

    /// Takes what goes next: the most urgent lane, with tunnel and history taking turns.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.state();
        let order = if state.history_first {
            [Lane::Liveness, Lane::Live, Lane::History, Lane::Tunnel]
        } else {
            Lane::ALL
        };
        // A normal close lets everything go first; any other goes at once.
        if let Some((code, reason)) = state.closing.clone()
            && (code != CloseCode::Normal || state.lanes.iter().all(|lane| lane.waiting.is_empty()))
        {
            return Next::Close(code, reason);
        }
        let Some(lane) = order.into_iter().find(|lane| !state.lanes[lane.index()].waiting.is_empty()) else {
            return Next::Nothing;
        };
        match lane {
            Lane::Tunnel => state.history_first = true,
            Lane::History => state.history_first = false,
            Lane::Liveness | Lane::Live => {}
        }
        let queue = &mut state.lanes[lane.index()];
        let Some(message) = queue.waiting.front() else {
            return Next::Nothing;
        };
        let length = message.len();
        let (chunk, offset) = cut(lane, message, queue.offset);
        if offset < length {
            queue.offset = offset;
            return Next::Chunk { chunk, lane, finished: None };
        }
        queue.offset = 0;
        queue.waiting.pop_front();
        if queue.waiting.is_empty() {
            queue.waiting.shrink_to(KEPT_ENTRIES);
        }
        drop(state);
        self.permits[lane.index()].add_permits(self.cost(lane, length));
        Next::Chunk { chunk, lane, finished: Some(length) }
    }

    /// Resolves when something was queued or a close asked for since the last call.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Refuses further messages and has the writer say farewell. The first reason stays.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        self.state().closing.get_or_insert_with(|| (code, reason.to_owned()));
        for permits in &self.permits {
            permits.close();
        }
        self.wake.notify_one();
    }

    pub(crate) fn closing(&self) -> bool {
        self.state().closing.is_some()
    }

    /// The writer could not go on.
    pub(crate) fn fail(&self, reason: String) {
        self.state().failed.get_or_insert(reason);
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.state().failed.clone()
    }

    /// After this nothing is sent or received. What waits is dropped.
    pub(crate) fn end(&self) {
        for permits in &self.permits {
            permits.close();
        }
        self.state().lanes = Default::default();
        self.ended.cancel();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::LaneBudgets;

    fn queue() -> Queue {
        let lanes = LaneBudgets { liveness: 1000, live: 1000, tunnel: 100_000, history: 100_000 };
        Queue::new(&LinkConfig { lanes, max_message: 50_000, ..LinkConfig::default() })
    }

    fn message(length: usize) -> Bytes {
        Bytes::from(vec![7; length])
    }

    /// The lanes of the chunks in the order they would go, until nothing is left.
    fn drain(queue: &Queue) -> Vec<Lane> {
        let mut lanes = Vec::new();
        while let Next::Chunk { lane, .. } = queue.next() {
            lanes.push(lane);
        }
        lanes
    }

    #[test]
    fn the_most_urgent_goes_first_between_chunks() {
        let queue = queue();
        queue.try_send(Lane::History, message(20_000)).unwrap();
        assert!(matches!(queue.next(), Next::Chunk { lane: Lane::History, finished: None, .. }));
        queue.try_send(Lane::Live, message(10)).unwrap();
        queue.try_send(Lane::Liveness, message(10)).unwrap();
        assert_eq!(drain(&queue), [Lane::Liveness, Lane::Live, Lane::History, Lane::History]);
    }

    #[test]
    fn tunnel_and_history_take_turns() {
        let queue = queue();
        for _ in 0..3 {
            queue.try_send(Lane::History, message(10)).unwrap();
            queue.try_send(Lane::Tunnel, message(10)).unwrap();
        }
        let (t, h) = (Lane::Tunnel, Lane::History);
        assert_eq!(drain(&queue), [t, h, t, h, t, h]);
    }

    #[test]
    fn a_lane_is_bounded_by_bytes_and_gives_them_back() {
        let queue = queue();
        queue.try_send(Lane::Live, message(800)).unwrap();
        let Err(TrySendError::Full(back)) = queue.try_send(Lane::Live, message(300)) else {
            panic!("taken beyond the budget");
        };
        assert_eq!(back.len(), 300);
        queue.try_send(Lane::Liveness, message(300)).unwrap();
        drain(&queue);
        queue.try_send(Lane::Live, message(300)).unwrap();
    }

    #[test]
    fn empty_messages_are_bounded_too() {
        let queue = queue();
        let taken = (0..1000).take_while(|_| queue.try_send(Lane::Live, Bytes::new()).is_ok()).count();
        assert_eq!(taken, 1000 / OVERHEAD);
    }

    #[test]
    fn a_message_beyond_its_lanes_budget_passes_alone() {
        let queue = queue();
        queue.try_send(Lane::Live, message(5000)).unwrap();
        assert!(matches!(queue.try_send(Lane::Live, message(1)), Err(TrySendError::Full(_))));
        assert_eq!(queue.waiting(Lane::Live), 5000);
        drain(&queue);
        queue.try_send(Lane::Live, message(1)).unwrap();
    }

    #[test]
    fn a_message_beyond_the_limit_is_never_taken() {
        let refused = queue().try_send(Lane::History, message(50_001));
        assert_eq!(refused, Err(SendError::TooLong { length: 50_001, limit: 50_000 }.into()));
    }

    #[test]
    fn a_normal_close_lets_everything_go_first_and_others_do_not_wait() {
        for (code, chunks) in [(CloseCode::Normal, 1), (CloseCode::Policy, 0)] {
            let queue = queue();
            queue.try_send(Lane::Live, message(10)).unwrap();
            queue.close(code, "bye");
            queue.close(CloseCode::Other(4000), "too late");
            assert_eq!(queue.try_send(Lane::Live, message(1)), Err(SendError::Ended.into()));
            assert_eq!(drain(&queue).len(), chunks);
            assert_eq!(queue.next(), Next::Close(code, "bye".into()));
        }
    }
}
