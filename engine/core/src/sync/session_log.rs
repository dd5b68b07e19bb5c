//! What a session reads: the two streams of its node.

use ledge_schemas::{NodeName, Seq, StreamId};

use super::message::{Direction, StreamState};
use crate::log::{Reader, RunEntry, StoreError, StreamHead};
use crate::view::row;
use crate::{Base, Chain, Row};

/// Rows read at once.
const PAGE: usize = 4096;

/// Reads of the two streams of one node.
pub trait SessionLog {
    /// Where a stream stands.
    fn head(&self, direction: Direction) -> Result<Option<StreamHead>, StoreError>;
    /// Chain at a run boundary.
    fn chain_at(&self, direction: Direction, seq: Seq) -> Result<Option<Chain>, StoreError>;
    /// Runs after a run boundary.
    fn runs(&self, direction: Direction, after: Seq, max_bytes: usize) -> Result<Vec<RunEntry>, StoreError>;
    /// The stored base with its rows.
    fn base(&self, direction: Direction) -> Result<Option<(Base, Vec<Row>)>, StoreError>;
    /// Rows of the view that events after `after` wrote.
    fn rows_after(&self, direction: Direction, after: Seq) -> Result<Vec<Row>, StoreError>;
    /// Every row of the view.
    fn all_rows(&self, direction: Direction) -> Result<Vec<Row>, StoreError>;
}

/// The streams of one node in a store.
#[derive(Clone, Copy, Debug)]
pub struct NodeLog<'a, R> {
    /// The store.
    pub reader: &'a R,
    /// The node.
    pub node: &'a NodeName,
}

/// The stream of a node in a direction.
#[must_use]
pub(super) fn stream(node: &NodeName, direction: Direction) -> StreamId {
    match direction {
        Direction::Up => StreamId::Up(node.clone()),
        Direction::Down => StreamId::Down(node.clone()),
    }
}

/// A head as it is told to the other side.
#[must_use]
pub(super) fn state(head: &StreamHead) -> StreamState {
    let Base { log_id, epoch, seq: oldest, .. } = head.base;
    StreamState { log_id, epoch, oldest, head: head.tail, chain: head.chain }
}

/// Every row of some pages.
pub(super) fn all_pages(
    mut page: impl FnMut(Option<&[u8]>) -> Result<Vec<Row>, StoreError>,
) -> Result<Vec<Row>, StoreError> {
    let mut all: Vec<Row> = Vec::new();
    loop {
        let more = page(all.last().map(|row| &row.key[..]))?;
        if more.is_empty() {
            return Ok(all);
        }
        all.extend(more);
    }
}

impl<R: Reader> SessionLog for NodeLog<'_, R> {
    fn head(&self, direction: Direction) -> Result<Option<StreamHead>, StoreError> {
        self.reader.head(&stream(self.node, direction))
    }

    fn chain_at(&self, direction: Direction, seq: Seq) -> Result<Option<Chain>, StoreError> {
        self.reader.chain_at(&stream(self.node, direction), seq)
    }

    fn runs(&self, direction: Direction, after: Seq, max_bytes: usize) -> Result<Vec<RunEntry>, StoreError> {
        self.reader.runs(&stream(self.node, direction), after, max_bytes)
    }

    fn base(&self, direction: Direction) -> Result<Option<(Base, Vec<Row>)>, StoreError> {
        let stream = stream(self.node, direction);
        let Some(head) = self.reader.head(&stream)? else { return Ok(None) };
        let rows = all_pages(|after| self.reader.base_rows(&stream, after, PAGE))?;
        Ok(Some((head.base, rows)))
    }

    fn rows_after(&self, direction: Direction, after: Seq) -> Result<Vec<Row>, StoreError> {
        let mut rows = self.all_rows(direction)?;
        rows.retain(|row| row::split(&row.value).is_ok_and(|(at, _)| at > after));
        Ok(rows)
    }

    fn all_rows(&self, direction: Direction) -> Result<Vec<Row>, StoreError> {
        let stream = stream(self.node, direction);
        all_pages(|from| self.reader.rows(&stream, b"", from, PAGE))
    }
}
