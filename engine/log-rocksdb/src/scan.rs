//! Reading runs, every byte checked: the record's checksum, the run's, that runs follow one another
//! without a hole, and that each chain is the one that follows from its run.

use bytes::Bytes;
use ledge_core::log::{RunEntry, StoreError};
use ledge_core::{Chain, Run};
use ledge_log::rules;
use ledge_schemas::{Seq, StreamId};

use crate::reader::Inner;
use crate::record::Stored;
use crate::{error, keys, options, record};

fn corrupt(stream: &StreamId, last: Seq, why: impl std::fmt::Display) -> StoreError {
    error::corrupt(format!("the run of {stream} that ends at {last}"), why)
}

/// A run from its key and value; its chain has still to be compared.
fn entry(stream: &StreamId, stored: &Stored, key: &[u8], value: &[u8]) -> Result<RunEntry, StoreError> {
    let last = keys::run_last(key).ok_or_else(|| corrupt(stream, Seq::ZERO, "its key has another length"))?;
    let (chain, run) = record::decode_run(key, value).map_err(|e| corrupt(stream, last, e))?;
    let run = Run::parse(Bytes::copy_from_slice(run)).map_err(|e| corrupt(stream, last, e))?;
    if run.last() != last || run.log_id() != stored.head.base.log_id {
        return Err(corrupt(
            stream,
            last,
            format!("it is the run {} to {} of {:?}", run.first(), run.last(), run.log_id()),
        ));
    }
    Ok(RunEntry { run, chain })
}

/// See `Reader::runs`.
pub(crate) fn runs(
    inner: &Inner,
    stream: &StreamId,
    stored: &Stored,
    after: Seq,
    max_bytes: usize,
) -> Result<Vec<RunEntry>, StoreError> {
    let head = &stored.head;
    rules::position(stream, head, after)?;
    let Some(mut chain) = chain_at(inner, stream, stored, after)? else {
        return Err(StoreError::NotABoundary { stream: stream.clone(), asked: after });
    };
    let (mut at, mut bytes, mut found) = (after, 0_usize, Vec::new());
    if at == head.tail {
        return Ok(found);
    }
    let read = options::range(
        &keys::run(stored.ordinal, after.next()),
        Some(&keys::run(stored.ordinal, head.tail.next())),
    );
    let mut iterator = inner.db.raw_iterator_cf_opt(inner.family(keys::RUNS)?, read);
    iterator.seek_to_first();
    while let Some((key, value)) = iterator.item() {
        bytes = bytes.saturating_add(value.len().saturating_sub(record::RUN_HEADER));
        if bytes > max_bytes && !found.is_empty() {
            return Ok(found);
        }
        let entry = entry(stream, stored, key, value)?;
        let last = entry.run.last();
        if entry.run.first() != at.next() {
            return Err(corrupt(
                stream,
                last,
                format!("it begins at {}, the one before ends at {at}", entry.run.first()),
            ));
        }
        chain = chain.then(entry.run.bytes());
        if chain != entry.chain {
            return Err(corrupt(stream, last, "its chain does not follow from the one before"));
        }
        at = last;
        found.push(entry);
        iterator.next();
    }
    iterator.status().map_err(|e| error::read(&e))?;
    if (at, chain) != (head.tail, head.chain) {
        return Err(corrupt(stream, at, format!("no run follows it, but the head is at {}", head.tail)));
    }
    Ok(found)
}

/// See `Reader::run_at`.
pub(crate) fn run_at(
    inner: &Inner,
    stream: &StreamId,
    stored: &Stored,
    seq: Seq,
) -> Result<Option<RunEntry>, StoreError> {
    if seq <= stored.head.base.seq || seq > stored.head.tail {
        return Ok(None);
    }
    let end = keys::run(stored.ordinal, stored.head.tail.next());
    let read = options::range(&keys::run(stored.ordinal, seq), Some(&end));
    let mut iterator = inner.db.raw_iterator_cf_opt(inner.family(keys::RUNS)?, read);
    iterator.seek_to_first();
    let found = iterator.item().map(|(key, value)| entry(stream, stored, key, value)).transpose()?;
    iterator.status().map_err(|e| error::read(&e))?;
    match found {
        Some(entry) if entry.run.first() <= seq => Ok(Some(entry)),
        _ => Err(error::corrupt(format!("{stream} at {seq}"), "no run holds it")),
    }
}

/// See `Reader::chain_at`.
pub(crate) fn chain_at(
    inner: &Inner,
    stream: &StreamId,
    stored: &Stored,
    seq: Seq,
) -> Result<Option<Chain>, StoreError> {
    let head = &stored.head;
    if seq == head.base.seq {
        return Ok(Some(head.base.chain));
    }
    if seq == head.tail {
        return Ok(Some(head.chain));
    }
    if seq < head.base.seq || seq > head.tail {
        return Ok(None);
    }
    let key = keys::run(stored.ordinal, seq);
    let value = inner.db.get_pinned_cf(inner.family(keys::RUNS)?, key).map_err(|e| error::read(&e))?;
    let Some(value) = value else { return Ok(None) };
    let (chain, _) = record::decode_run(&key, &value).map_err(|e| corrupt(stream, seq, e))?;
    Ok(Some(chain))
}
