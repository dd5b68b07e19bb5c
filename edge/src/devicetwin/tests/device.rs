use ledge_core::log::{Cursor, Reader, RunEntry, StreamHead};
use ledge_core::{Base, BaseReason, Chain, Digest};
use ledge_schemas::{Epoch, LogId, Seq, format};

use super::super::{LoadError, StoreFacts};
use super::*;

/// A store that holds the rows of an [`Edge`], or only one of its streams.
struct Store<'a> {
    edge: &'a Edge,
    has: Vec<StreamId>,
}

impl Store<'_> {
    fn view(&self, stream: &StreamId) -> Result<&Map, StoreError> {
        if !self.has.contains(stream) {
            return Err(StoreError::NoStream(stream.clone()));
        }
        Ok(if matches!(stream, StreamId::Up(_)) { &self.edge.up } else { &self.edge.down })
    }
}

impl Reader for Store<'_> {
    fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        Ok(self.has.clone())
    }
    fn head(&self, stream: &StreamId) -> Result<Option<StreamHead>, StoreError> {
        if !self.has.contains(stream) {
            return Ok(None);
        }
        let position = self.edge.down_at;
        let digest = Digest::default();
        let base = Base::begin(LogId([1; 16]), position.epoch, digest, BaseReason::New);
        let cursor = Cursor { applied: position.seq, view_version: format::VIEW, digest };
        Ok(Some(StreamHead { chain: base.chain, base, tail: position.seq.next(), cursor }))
    }
    fn runs(&self, _: &StreamId, _: Seq, _: usize) -> Result<Vec<RunEntry>, StoreError> {
        Ok(Vec::new())
    }
    fn run_at(&self, _: &StreamId, _: Seq) -> Result<Option<RunEntry>, StoreError> {
        Ok(None)
    }
    fn chain_at(&self, _: &StreamId, _: Seq) -> Result<Option<Chain>, StoreError> {
        Ok(None)
    }
    fn row(&self, stream: &StreamId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.view(stream)?.0.get(key).cloned())
    }
    fn rows(
        &self,
        stream: &StreamId,
        prefix: &[u8],
        _: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        Ok(self.view(stream)?.rows(prefix, limit))
    }
    fn base_rows(&self, _: &StreamId, _: Option<&[u8]>, _: usize) -> Result<Vec<Row>, StoreError> {
        Ok(Vec::new())
    }
    fn archived(&self, _: &StreamId) -> Result<Vec<StreamHead>, StoreError> {
        Ok(Vec::new())
    }
    fn archived_runs(&self, _: &StreamId, _: LogId, _: Seq, _: usize) -> Result<Vec<RunEntry>, StoreError> {
        Ok(Vec::new())
    }
    fn local(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
    fn locals(&self, _: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }
}

fn load(edge: &Edge, has: &[StreamId]) -> Result<Option<Device>, LoadError> {
    let store = Store { edge, has: has.to_vec() };
    let reader: &dyn Reader = &store;
    devices::load(&StoreFacts::new(reader, &node()), &name(PUMP))
}

#[test]
fn a_device_is_put_together_from_the_rows_of_both_streams() {
    let mut edge = Edge::with_pump();
    edge.given(PUMP, &[("speed", "40")]);
    edge.twin(json!({"mode": {"actual": {"value": "auto"}}})).unwrap();
    let (up, down) = (StreamId::Up(node()), StreamId::Down(node()));

    let whole = load(&edge, &[up.clone(), down.clone()]).unwrap().unwrap();
    assert_eq!(Some(&whole), edge.device(PUMP).as_ref());
    assert_eq!(whole.seen, Position { epoch: Epoch(1), seq: Seq(2) }, "applied, not merely stored");
    assert_eq!(whole.properties.keys().collect::<Vec<_>>(), ["mode", "speed"]);

    let fresh = load(&edge, &[down]).unwrap().unwrap();
    assert_eq!(fresh.properties.keys().collect::<Vec<_>>(), ["speed"], "nothing was reported yet");
    assert_eq!(load(&edge, &[up]), Ok(None), "the cloud gave nothing yet");
}

#[test]
fn a_row_that_does_not_read_is_an_error_that_names_the_device() {
    let mut edge = Edge::with_pump();
    edge.up.0.insert(b"twin/dev/pump/k".to_vec(), vec![1]);
    let error = devices::load(&edge, &name(PUMP)).unwrap_err();
    assert!(error.to_string().contains("dev/pump"), "{error}");
}
