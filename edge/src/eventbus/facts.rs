//! DeviceTwin's facts as a transaction sees them: what is durable and what stands before it in the same batch.

use ledge_core::Row;
use ledge_core::journal::Txn;
use ledge_core::log::{Store, StoreError};
use ledge_schemas::{NodeName, Position, StreamId};

use crate::devicetwin::Facts;

/// See the module.
pub(super) struct TxnFacts<'a, 'j, S> {
    txn: &'a Txn<'j, S>,
    up: StreamId,
    down: StreamId,
    applied: Position,
}

impl<'a, 'j, S: Store> TxnFacts<'a, 'j, S> {
    pub(super) fn new(txn: &'a mut Txn<'j, S>, node: &NodeName) -> Self {
        let applied = down_position(txn, node);
        Self { txn, up: StreamId::Up(node.clone()), down: StreamId::Down(node.clone()), applied }
    }

    fn rows(&self, stream: &StreamId, prefix: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        let rows = self.txn.rows(stream, prefix)?;
        Ok(rows.into_iter().take(limit).map(|(key, value)| Row { key, value }).collect())
    }
}

/// How far the view of `down` is in this transaction; 0:0 before anything came down. Events and their rows
/// are changed together, so the tail is applied.
pub(super) fn down_position<S: Store>(txn: &mut Txn<'_, S>, node: &NodeName) -> Position {
    txn.head(&StreamId::Down(node.clone())).map(|head| head.position()).unwrap_or_default()
}

impl<S: Store> Facts for TxnFacts<'_, '_, S> {
    fn down_applied(&self) -> Result<Position, StoreError> {
        Ok(self.applied)
    }

    fn down(&self, prefix: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.rows(&self.down, prefix, limit)
    }

    fn down_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.txn.row(&self.down, key)
    }

    fn up(&self, prefix: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.rows(&self.up, prefix, limit)
    }

    fn up_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.txn.row(&self.up, key)
    }
}
