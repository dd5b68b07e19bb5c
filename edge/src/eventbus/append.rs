//! What becomes of one message in the writer: decided and appended in one transaction.

use ledge_core::journal::{Draft, Txn};
use ledge_core::log::{Store, StoreError};
use ledge_mqtt::Incoming;
use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::up::Message;
use ledge_schemas::{DeviceName, NodeName, Position, StreamId, limits};

use super::facts::{TxnFacts, down_position};
use super::remembered::Triple;
use crate::devicetwin::payload::{StateReport, Update};
use crate::devicetwin::{LoadError, Now, Rejected, Reply, device, state, update};

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Denied {
    /// The message is not one that can be taken; its sender is told.
    #[error(transparent)]
    Rejected(Box<Rejected>),
    /// The rows cannot be read, or the append is not possible.
    #[error(transparent)]
    Failed(StoreError),
}

impl From<StoreError> for Denied {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<Rejected> for Denied {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(Box::new(rejected))
    }
}

impl From<LoadError> for Denied {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => Self::Failed(error),
            row @ LoadError::Row { .. } => Self::Failed(StoreError::Read(row.to_string())),
        }
    }
}

/// A message with what makes it recognisable, and what to clean up with it.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) node: NodeName,
    pub(super) triple: Option<Triple>,
    /// The sender says that it sends this again.
    pub(super) dup: bool,
    pub(super) forget: Vec<Triple>,
    /// For answers that need a random id.
    pub(super) fresh_id: String,
}

impl Delivery {
    /// Whether this message is in the log already.
    fn is_repeated<S: Store>(&self, txn: &Txn<'_, S>) -> Result<bool, StoreError> {
        match &self.triple {
            Some(triple) if self.dup => triple.is_known(txn),
            _ => Ok(false),
        }
    }

    fn append<S: Store, B: Body>(
        &self,
        txn: &mut Txn<'_, S>,
        key: String,
        seen: Position,
        body: &B,
    ) -> Result<(), StoreError> {
        let up = StreamId::Up(self.node.clone());
        let draft = Draft::new(key, body)
            .map_err(|error| StoreError::Invalid { stream: up.clone(), why: error.to_string() })?;
        txn.append(&up, Draft { seen: Some(seen), ..draft })?;
        if let Some(triple) = &self.triple {
            triple.remember(txn);
        }
        for triple in &self.forget {
            triple.forget(txn)?;
        }
        Ok(())
    }

    fn now<S: Store>(&self, txn: &Txn<'_, S>) -> Now {
        Now { ms: txn.now_ms(), fresh_id: self.fresh_id.clone() }
    }

    /// An update of a twin.
    pub(super) fn twin<S: Store>(
        &self,
        txn: &mut Txn<'_, S>,
        name: &DeviceName,
        update: &Update,
    ) -> Result<Vec<Reply>, Denied> {
        let now = self.now(txn);
        let repeated = self.is_repeated(txn)?;
        let mut device = device::load(&TxnFacts::new(txn, &self.node), name)?;
        let accepted = match update::apply(name, device.as_mut(), update, &now) {
            // What it changed is changed; there is nothing more to say of it.
            Err(_) if repeated => return Ok(Vec::new()),
            decided => decided?,
        };
        let update::Accepted { event, result, document, delta } = accepted;
        if repeated {
            return Ok([Some(result), delta].into_iter().flatten().collect());
        }
        if let Some(event) = event {
            let seen = device.map(|device| device.seen).unwrap_or_default();
            self.append(txn, name.to_string(), seen, &event)?;
        }
        Ok([Some(result), document, delta].into_iter().flatten().collect())
    }

    /// A device's state.
    pub(super) fn state<S: Store>(
        &self,
        txn: &mut Txn<'_, S>,
        name: &DeviceName,
        report: &StateReport,
    ) -> Result<Vec<Reply>, Denied> {
        let now = self.now(txn);
        let device = device::load(&TxnFacts::new(txn, &self.node), name)?;
        let state::Accepted { event, result } = state::apply(name, device.as_ref(), report, &now)?;
        if !self.is_repeated(txn)? {
            let seen = down_position(txn, &self.node);
            self.append(txn, name.to_string(), seen, &event)?;
        }
        Ok(vec![result])
    }

    /// A message on another logged topic.
    pub(super) fn upload<S: Store>(
        &self,
        txn: &mut Txn<'_, S>,
        message: &Incoming,
    ) -> Result<Vec<Reply>, Denied> {
        if !self.is_repeated(txn)? {
            let body = Message { topic: message.topic.to_string(), payload: message.payload.to_vec() };
            let seen = down_position(txn, &self.node);
            self.append(txn, message.topic.to_string(), seen, &body)?;
        }
        Ok(Vec::new())
    }
}

/// Whether a message can be an event at all: its topic is the event's key, and stands in the body too.
pub(super) fn fits(message: &Incoming) -> bool {
    const LENGTHS: usize = 32;
    message.topic.len() <= limits::EVENT_KEY
        && message.topic.len() + message.payload.len() + LENGTHS <= limits::EVENT_BODY
}
