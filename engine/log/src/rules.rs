//! What every store checks of a batch before it writes any of it: pure functions from a stream's
//! head and one operation to the next head. One place, so that no two stores differ.

use ledge_core::log::{AppendMismatch, Cursor, StoreError, StreamHead};
use ledge_core::{Base, Chain, Row, Run};
use ledge_schemas::{Epoch, LogId, Seq, StreamId};

/// The typed answer to an append, or a bind, that expected something else.
#[must_use]
pub fn mismatch(stream: &StreamId, head: Option<&StreamHead>) -> StoreError {
    StoreError::Mismatch(AppendMismatch {
        stream: stream.clone(),
        log_id: head.map(|h| h.base.log_id),
        tail: head.map_or(Seq::ZERO, |h| h.tail),
        chain: head.map(|h| h.chain),
    })
}

/// A batch that breaks the contract.
#[must_use]
pub fn invalid(stream: &StreamId, why: impl Into<String>) -> StoreError {
    StoreError::Invalid { stream: stream.clone(), why: why.into() }
}

/// The head of a stream, or the answer that it is not here.
pub fn present<T>(stream: &StreamId, head: Option<T>) -> Result<T, StoreError> {
    head.ok_or_else(|| StoreError::NoStream(stream.clone()))
}

fn ascending(stream: &StreamId, rows: &[Row]) -> Result<(), StoreError> {
    match rows.windows(2).find(|pair| pair[0].key >= pair[1].key) {
        None => Ok(()),
        Some(_) => Err(invalid(stream, "the rows of its base are not ascending by key")),
    }
}

/// The head of a stream that begins with `base`.
pub fn begin(stream: &StreamId, base: &Base, rows: &[Row]) -> Result<StreamHead, StoreError> {
    ascending(stream, rows)?;
    let cursor = Cursor { applied: base.seq, view_version: base.view_version, digest: base.digest };
    Ok(StreamHead { base: base.clone(), tail: base.seq, chain: base.chain, cursor })
}

/// Compare-and-append: moves `head` behind `run`, or says where it really ends.
pub fn append(
    stream: &StreamId,
    head: Option<&mut StreamHead>,
    previous: Chain,
    run: &Run,
    chain: Chain,
) -> Result<(), StoreError> {
    let Some(head) = head else { return Err(mismatch(stream, None)) };
    let continues =
        run.log_id() == head.base.log_id && run.first() == head.tail.next() && previous == head.chain;
    if !continues {
        return Err(mismatch(stream, Some(head)));
    }
    if chain != previous.then(run.bytes()) {
        return Err(invalid(
            stream,
            format!("the chain stated behind {} is not that of its bytes", run.last()),
        ));
    }
    (head.tail, head.chain) = (run.last(), chain);
    Ok(())
}

/// Moves the view's progress.
pub fn set_cursor(stream: &StreamId, head: &mut StreamHead, cursor: Cursor) -> Result<(), StoreError> {
    if cursor.applied < head.base.seq || cursor.applied > head.tail {
        let (base, tail) = (head.base.seq, head.tail);
        return Err(invalid(stream, format!("cursor {} is outside {base} to {tail}", cursor.applied)));
    }
    head.cursor = cursor;
    Ok(())
}

/// Gives a log its epoch.
pub fn bind(
    stream: &StreamId,
    head: Option<&mut StreamHead>,
    log_id: LogId,
    epoch: Epoch,
) -> Result<(), StoreError> {
    match head {
        Some(head) if head.base.log_id == log_id => {
            head.base.epoch = epoch;
            Ok(())
        }
        head => Err(mismatch(stream, head.as_deref())),
    }
}

/// Moves the base up. `chain_at` tells the chain at a run boundary, changes of the batch included.
pub fn trim(
    stream: &StreamId,
    head: &mut StreamHead,
    base: &Base,
    rows: &[Row],
    chain_at: impl FnOnce(Seq) -> Result<Option<Chain>, StoreError>,
) -> Result<(), StoreError> {
    ascending(stream, rows)?;
    if base.log_id != head.base.log_id || base.epoch != head.base.epoch {
        return Err(invalid(
            stream,
            format!("the new base is of {:?}, the log is {:?}", base.log_id, head.base.log_id),
        ));
    }
    position(stream, head, base.seq)?;
    match chain_at(base.seq)? {
        Some(chain) if chain == base.chain => {}
        Some(_) => return Err(invalid(stream, format!("the new base states another chain at {}", base.seq))),
        None => return Err(StoreError::NotABoundary { stream: stream.clone(), asked: base.seq }),
    }
    head.base = base.clone();
    Ok(())
}

/// Whether `seq` may be asked for: at or above the base, at or below the tail.
pub fn position(stream: &StreamId, head: &StreamHead, seq: Seq) -> Result<(), StoreError> {
    if seq < head.base.seq {
        return Err(StoreError::Trimmed { stream: stream.clone(), asked: seq, oldest: head.base.seq });
    }
    if seq > head.tail {
        return Err(StoreError::NotABoundary { stream: stream.clone(), asked: seq });
    }
    Ok(())
}
