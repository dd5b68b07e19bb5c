//! Chunks: how messages of several lanes share one WebSocket.
//!
//! ```text
//! byte 0      bits 0–1 lane, bit 2 first chunk of a message, bit 3 last chunk, bits 4–7 zero
//! bytes 1–4   only if first and not last: length of the whole message, u32 little-endian
//! rest        payload
//! ```
//! One chunk is one binary WebSocket frame of at most 8 KiB.

use bytes::{BufMut, Bytes, BytesMut};

use crate::lane::Lane;

/// Longest chunk, header included; also the longest WebSocket frame that is accepted.
pub(crate) const MAX_CHUNK: usize = 8 * 1024;
const LONG_HEADER: usize = 5;
const FIRST: u8 = 0b0100;
const LAST: u8 = 0b1000;
/// Smaller messages are copied out of the read buffer, so that keeping one does not keep the buffer.
const COPY_BELOW: usize = 2 * 1024;

/// The chunk of `message` that begins at `offset`, and the offset after it (`message.len()` at the end).
pub(crate) fn cut(lane: Lane, message: &Bytes, offset: usize) -> (Bytes, usize) {
    let rest = message.len() - offset;
    let first = offset == 0;
    let whole = first && rest < MAX_CHUNK;
    let header = if first && !whole { LONG_HEADER } else { 1 };
    let taken = rest.min(MAX_CHUNK - header);
    let last = taken == rest;
    let mut chunk = BytesMut::with_capacity(header + taken);
    chunk.put_u8(lane as u8 | if first { FIRST } else { 0 } | if last { LAST } else { 0 });
    if header == LONG_HEADER {
        // `LinkSender` refuses messages beyond the limit, which is far below 4 GiB.
        chunk.put_u32_le(u32::try_from(message.len()).unwrap_or(u32::MAX));
    }
    chunk.put_slice(&message[offset..offset + taken]);
    (chunk.freeze(), offset + taken)
}

/// What is wrong with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkError {
    #[error("message of {length} bytes")]
    TooLong { length: usize },
    #[error("{0}")]
    Malformed(&'static str),
}

/// Puts the chunks of all lanes together again. Memory grows with what has arrived, never with what a
/// header announces.
#[derive(Debug)]
pub(crate) struct Reassembly {
    limit: usize,
    lanes: [Option<Partial>; Lane::ALL.len()],
}

#[derive(Debug)]
struct Partial {
    total: usize,
    bytes: Vec<u8>,
}

impl Reassembly {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, lanes: [const { None }; Lane::ALL.len()] }
    }

    /// Takes one chunk; gives a message when it is complete.
    pub(crate) fn push(&mut self, mut chunk: Bytes) -> Result<Option<(Lane, Bytes)>, ChunkError> {
        let Some(&header) = chunk.first() else {
            return Err(ChunkError::Malformed("empty chunk"));
        };
        if header & 0xf0 != 0 {
            return Err(ChunkError::Malformed("unknown bits in a chunk header"));
        }
        let lane = Lane::ALL[usize::from(header & 0b11)];
        let (first, last) = (header & FIRST != 0, header & LAST != 0);
        let partial = &mut self.lanes[lane.index()];
        match (first, last, partial.is_some()) {
            (true, _, true) => Err(ChunkError::Malformed("a message begins inside another of its lane")),
            (false, _, false) => Err(ChunkError::Malformed("a message goes on that did not begin")),
            (true, true, false) => {
                let message = chunk.split_off(1);
                if message.len() > self.limit {
                    return Err(ChunkError::TooLong { length: message.len() });
                }
                let small = message.len() < COPY_BELOW;
                Ok(Some((lane, if small { Bytes::copy_from_slice(&message) } else { message })))
            }
            (true, false, false) => {
                let Some(length) = chunk.get(1..LONG_HEADER) else {
                    return Err(ChunkError::Malformed("a chunk header is cut off"));
                };
                let total = length.iter().rev().fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte));
                if total > self.limit {
                    return Err(ChunkError::TooLong { length: total });
                }
                let bytes = Vec::new();
                *partial = extended(Partial { total, bytes }, &chunk[LONG_HEADER..], false)?;
                Ok(None)
            }
            (false, _, true) => {
                let Some(begun) = partial.take() else {
                    return Ok(None);
                };
                match extended(begun, &chunk[1..], last)? {
                    Some(complete) if last => Ok(Some((lane, complete.bytes.into()))),
                    incomplete => {
                        *partial = incomplete;
                        Ok(None)
                    }
                }
            }
        }
    }
}

fn extended(mut partial: Partial, payload: &[u8], last: bool) -> Result<Option<Partial>, ChunkError> {
    let length = partial.bytes.len() + payload.len();
    if payload.is_empty() || length > partial.total || last != (length == partial.total) {
        return Err(ChunkError::Malformed("the chunks of a message do not add up to its length"));
    }
    if length > partial.bytes.capacity() {
        // Doubling, but never beyond the announced (and limited) length.
        let capacity = (2 * length).min(partial.total);
        partial.bytes.reserve_exact(capacity - partial.bytes.len());
    }
    partial.bytes.extend_from_slice(payload);
    Ok(Some(partial))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 100_000;

    fn chunks(lane: Lane, message: &Bytes) -> Vec<Bytes> {
        let mut chunks = Vec::new();
        let mut offset = 0;
        loop {
            let (chunk, next) = cut(lane, message, offset);
            chunks.push(chunk);
            offset = next;
            if offset == message.len() {
                return chunks;
            }
        }
    }

    #[test]
    fn any_length_comes_out_as_it_went_in() {
        for length in [0, 1, 8190, 8191, 8192, 8193, 16_377, 16_378, 16_379, 50_000, LIMIT] {
            let message: Bytes = (0..length).map(|at| at as u8).collect();
            let mut reassembly = Reassembly::new(LIMIT);
            let mut chunks = chunks(Lane::History, &message);
            let last = chunks.pop().unwrap();
            for chunk in chunks {
                assert!(chunk.len() <= MAX_CHUNK);
                assert_eq!(reassembly.push(chunk).unwrap(), None, "{length}");
            }
            assert_eq!(reassembly.push(last).unwrap(), Some((Lane::History, message)), "{length}");
        }
    }

    #[test]
    fn lanes_interleave() {
        let (history, live) = (Bytes::from(vec![1; 20_000]), Bytes::from(vec![2; 9000]));
        let (h, l) = (chunks(Lane::History, &history), chunks(Lane::Live, &live));
        let mut reassembly = Reassembly::new(LIMIT);
        let mut out = Vec::new();
        for chunk in [&h[0], &l[0], &h[1], &l[1], &h[2]] {
            out.extend(reassembly.push(chunk.clone()).unwrap());
        }
        assert_eq!(out, [(Lane::Live, live), (Lane::History, history)]);
    }

    #[test]
    fn a_long_message_is_refused_at_its_first_chunk() {
        let message = Bytes::from(vec![0; LIMIT + 1]);
        let refused = Reassembly::new(LIMIT).push(chunks(Lane::Live, &message).swap_remove(0));
        assert_eq!(refused, Err(ChunkError::TooLong { length: LIMIT + 1 }));
        let short = chunks(Lane::Live, &Bytes::from_static(b"12345")).swap_remove(0);
        assert_eq!(Reassembly::new(4).push(short), Err(ChunkError::TooLong { length: 5 }));
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let mut reassembly = Reassembly::new(usize::MAX);
        reassembly.push(Bytes::from_static(&[FIRST, 0, 0, 0, 0x40, 7])).unwrap();
        let partial = reassembly.lanes[0].as_ref().unwrap();
        assert_eq!(partial.total, 1 << 30);
        assert!(partial.bytes.capacity() < 64);
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for (before, chunk) in [
            (None, vec![]),
            (None, vec![0x10 | FIRST | LAST]),
            (None, vec![LAST, 1]),
            (None, vec![FIRST, 9, 0, 0]),
            (None, vec![FIRST, 2, 0, 0, 0, 1, 1, 1]),
            (None, vec![FIRST, 2, 0, 0, 0]),
            (Some(vec![FIRST, 3, 0, 0, 0, 1]), vec![FIRST | LAST, 1]),
            (Some(vec![FIRST, 3, 0, 0, 0, 1]), vec![LAST, 1]),
            (Some(vec![FIRST, 3, 0, 0, 0, 1]), vec![0, 1, 1]),
            (Some(vec![FIRST, 3, 0, 0, 0, 1]), vec![LAST, 1, 1, 1]),
            (Some(vec![FIRST, 3, 0, 0, 0, 1]), vec![0]),
        ] {
            let mut reassembly = Reassembly::new(LIMIT);
            if let Some(before) = before {
                assert_eq!(reassembly.push(before.into()), Ok(None));
            }
            let refused = reassembly.push(chunk.clone().into());
            assert!(matches!(refused, Err(ChunkError::Malformed(_))), "{chunk:?}: {refused:?}");
        }
    }

    proptest! {
        #[test]
        fn any_chunks_are_taken_or_refused(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..20)
        ) {
            let mut reassembly = Reassembly::new(64);
            for chunk in chunks {
                match reassembly.push(chunk.into()) {
                    Ok(message) => prop_assert!(message.is_none_or(|(_, message)| message.len() <= 64)),
                    Err(_) => break,
                }
            }
        }
    }
}
