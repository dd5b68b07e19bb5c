//! What one commit holds.

use ledge_schemas::{Epoch, LogId, StreamId};

use super::Cursor;
use crate::{Base, Chain, Row, Run};

/// Operations that become durable together or not at all, applied in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The operations.
    pub ops: Vec<Op>,
}

/// One operation of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The stream begins here, with these rows both as base and as view. An earlier incarnation
    /// stays readable as archived (its base and its runs; see `Reader::archived`), its rows go.
    /// Beginning a log id that is already archived, or current, replaces that one wholly.
    Begin {
        /// Which stream.
        stream: StreamId,
        /// What it begins with.
        base: Base,
        /// Rows of the base, ascending by key.
        rows: Vec<Row>,
    },
    /// One more run. `log_id`, `run.first() - 1` and `previous` are the tail that is expected.
    Append {
        /// Which stream.
        stream: StreamId,
        /// Chain at the expected tail.
        previous: Chain,
        /// The run.
        run: Run,
        /// Chain behind it.
        chain: Chain,
    },
    /// Sets a row of the view.
    PutRow {
        /// Which stream's view.
        stream: StreamId,
        /// Row key.
        key: Vec<u8>,
        /// Row value.
        value: Vec<u8>,
    },
    /// Removes a row of the view.
    DeleteRow {
        /// Which stream's view.
        stream: StreamId,
        /// Row key.
        key: Vec<u8>,
    },
    /// The view's progress after this batch.
    SetCursor {
        /// Which stream's view.
        stream: StreamId,
        /// Its progress.
        cursor: Cursor,
    },
    /// Gives a provisional log its epoch.
    Bind {
        /// Which stream.
        stream: StreamId,
        /// Incarnation that is expected.
        log_id: LogId,
        /// Its number.
        epoch: Epoch,
    },
    /// Replaces the base by a later one of the same log and drops the runs at or below it. The rows
    /// of the view stay.
    Trim {
        /// Which stream.
        stream: StreamId,
        /// The new base; its seq is a run boundary, its chain the one there.
        base: Base,
        /// Rows of the new base, ascending by key.
        rows: Vec<Row>,
    },
    /// Drops every row of the view, so that it can be rebuilt.
    ClearRows {
        /// Which stream's view.
        stream: StreamId,
    },
    /// Drops an archived incarnation.
    Forget {
        /// Which stream.
        stream: StreamId,
        /// Which incarnation; nothing happens if it is not archived.
        log_id: LogId,
    },
    /// Drops a stream with everything over it, archived incarnations included.
    Drop {
        /// Which stream.
        stream: StreamId,
    },
    /// Sets a small local value.
    PutLocal {
        /// Its key.
        key: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Removes a small local value.
    DeleteLocal {
        /// Its key.
        key: String,
    },
}
