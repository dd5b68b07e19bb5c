//! A store that answers something else than it holds, as damaged indexes and bad memory would make it.

use ledge_core::log::{Reader, RunEntry, StoreError, StreamHead};
use ledge_core::{Chain, Row};
use ledge_schemas::{LogId, Seq, StreamId};

type Edit<T> = Box<dyn Fn(T) -> T>;

/// Changes what is read of every stream.
pub struct Tampered<'a, R> {
    pub inner: &'a R,
    pub head: Edit<StreamHead>,
    pub runs: Edit<Vec<RunEntry>>,
    /// Applied to the first page only.
    pub rows: Edit<Vec<Row>>,
    pub base_rows: Edit<Vec<Row>>,
}

impl<'a, R> Tampered<'a, R> {
    pub fn new(inner: &'a R) -> Self {
        let rows = || -> Edit<Vec<Row>> { Box::new(|rows| rows) };
        Self {
            inner,
            head: Box::new(|head| head),
            runs: Box::new(|runs| runs),
            rows: rows(),
            base_rows: rows(),
        }
    }
}

impl<R: Reader> Reader for Tampered<'_, R> {
    fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        self.inner.streams()
    }
    fn head(&self, stream: &StreamId) -> Result<Option<StreamHead>, StoreError> {
        Ok(self.inner.head(stream)?.map(&self.head))
    }
    fn runs(&self, stream: &StreamId, after: Seq, max_bytes: usize) -> Result<Vec<RunEntry>, StoreError> {
        self.inner.runs(stream, after, max_bytes).map(&self.runs)
    }
    fn run_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<RunEntry>, StoreError> {
        self.inner.run_at(stream, seq)
    }
    fn chain_at(&self, stream: &StreamId, seq: Seq) -> Result<Option<Chain>, StoreError> {
        self.inner.chain_at(stream, seq)
    }
    fn row(&self, stream: &StreamId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.row(stream, key)
    }
    fn rows(
        &self,
        stream: &StreamId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let page = self.inner.rows(stream, prefix, after, limit)?;
        Ok(if after.is_none() { (self.rows)(page) } else { page })
    }
    fn base_rows(
        &self,
        stream: &StreamId,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let page = self.inner.base_rows(stream, after, limit)?;
        Ok(if after.is_none() { (self.base_rows)(page) } else { page })
    }
    fn archived(&self, stream: &StreamId) -> Result<Vec<StreamHead>, StoreError> {
        self.inner.archived(stream)
    }
    fn archived_runs(
        &self,
        stream: &StreamId,
        log_id: LogId,
        after: Seq,
        max_bytes: usize,
    ) -> Result<Vec<RunEntry>, StoreError> {
        self.inner.archived_runs(stream, log_id, after, max_bytes).map(&self.runs)
    }
    fn local(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.local(key)
    }
    fn locals(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.inner.locals(prefix)
    }
}
