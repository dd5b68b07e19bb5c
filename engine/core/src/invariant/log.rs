//! Invariants of one store.

use std::collections::BTreeMap;

use ledge_schemas::{LogId, Seq, StreamId};

use super::{Invariant, Violation};
use crate::journal::{FoldError, fold};
use crate::log::{Reader, StoreError};

/// Rows read at once.
const PAGE: usize = 4096;

/// I3 and I8: the stream's chain recomputes, and its rows and cursor are the fold of its log.
pub fn stored<R: Reader>(reader: &R, stream: &StreamId) -> Result<(), Violation> {
    let folded = fold(reader, stream, None).map_err(|error| match error {
        FoldError::Broken { .. } => Violation::new(Invariant::Chain, stream, error),
        FoldError::Store(error) => Violation::new(Invariant::Chain, stream, error),
    })?;
    let read = |error: StoreError| Violation::new(Invariant::ViewIsFold, stream, error);
    let head = reader.head(stream).map_err(read)?;
    let head = head.ok_or_else(|| Violation::new(Invariant::ViewIsFold, stream, "it is gone"))?;
    if head.cursor != folded.cursor {
        let what = format!("cursor is {:?}, the fold gives {:?}", head.cursor, folded.cursor);
        return Err(Violation::new(Invariant::ViewIsFold, stream, what));
    }
    let mut wanted = folded.rows.iter();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = reader.rows(stream, b"", after.as_deref(), PAGE).map_err(read)?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        for row in page {
            if wanted.next() != Some((&row.key, &row.value)) {
                let key = String::from_utf8_lossy(&row.key).into_owned();
                return Err(Violation::new(Invariant::ViewIsFold, stream, format!("row {key} differs")));
            }
        }
    }
    match wanted.next() {
        None => Ok(()),
        Some((key, _)) => {
            let key = String::from_utf8_lossy(key).into_owned();
            Err(Violation::new(Invariant::ViewIsFold, stream, format!("row {key} is missing")))
        }
    }
}

/// I1 and I2: the log holds what its writer appended, in place, and at least through `confirmed`.
/// `appended` is the writer's history of this log id: seq → hash of the event.
pub fn history<R: Reader>(
    reader: &R,
    stream: &StreamId,
    log_id: LogId,
    appended: &BTreeMap<Seq, [u8; 32]>,
    confirmed: Seq,
) -> Result<(), Violation> {
    let read = |error: StoreError| Violation::new(Invariant::Prefix, stream, error);
    let Some(head) = reader.head(stream).map_err(read)?.filter(|head| head.base.log_id == log_id) else {
        return Ok(());
    };
    if head.tail < confirmed {
        let what = format!("ends at {}, {confirmed} was confirmed", head.tail);
        return Err(Violation::new(Invariant::Prefix, stream, what));
    }
    let mut at = head.base.seq;
    while at < head.tail {
        for entry in reader.runs(stream, at, PAGE * 256).map_err(read)? {
            for event in entry.run.events() {
                let (seq, event) = event.map_err(|e| Violation::new(Invariant::Prefix, stream, e))?;
                if seq != at.next() {
                    let what = format!("{seq} follows {at}");
                    return Err(Violation::new(Invariant::Monotone, stream, what));
                }
                at = seq;
                match appended.get(&seq) {
                    Some(hash) if *hash == hash_of(&event) => {}
                    Some(_) => {
                        let what = format!("event {seq} is not the one that was appended there");
                        return Err(Violation::new(Invariant::Monotone, stream, what));
                    }
                    None => {
                        let what = format!("event {seq} was never appended");
                        return Err(Violation::new(Invariant::Prefix, stream, what));
                    }
                }
            }
        }
    }
    Ok(())
}

/// What [`history`] compares: the hash of an event's parts.
#[must_use]
pub fn hash_of(event: &ledge_schemas::EventRef<'_>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&event.hlc.0.to_le_bytes()).update(&event.kind.0.to_le_bytes());
    hasher.update(event.key.as_bytes()).update(&[0]).update(event.body);
    *hasher.finalize().as_bytes()
}

/// I5: an edge's `up` log begins at or below what the cloud proved.
pub fn retention_gate(stream: &StreamId, base: Seq, proved: Seq) -> Result<(), Violation> {
    if base <= proved {
        return Ok(());
    }
    let what = format!("begins at {base}, the cloud has proved {proved}");
    Err(Violation::new(Invariant::RetentionGate, stream, what))
}
