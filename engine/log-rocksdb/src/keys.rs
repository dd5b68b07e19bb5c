//! Keys. Big-endian numbers, so that byte order is number order.
//!
//! Every incarnation of every stream has an ordinal of 32 bits, never used again, so that the
//! keys of two incarnations can never mix and one range holds everything of one.
//!
//! | column family | key | value |
//! |---|---|---|
//! | default | `f` | format byte |
//! | default | `n` | next ordinal, 4 bytes LE |
//! | default | `h` stream | head record of the current incarnation |
//! | default | `a` stream 0x00 ordinal | head record of an archived incarnation |
//! | default | `l` key | local value |
//! | runs | ordinal, last seq (8) | run record |
//! | rows | ordinal, 0, row key | row of the view |
//! | rows | ordinal, 1, row key | row of the base |

use ledge_schemas::{Seq, StreamId};

/// Column family of runs.
pub(crate) const RUNS: &str = "runs";
/// Column family of rows.
pub(crate) const ROWS: &str = "rows";
/// Column family of everything small.
pub(crate) const META: &str = "default";

pub(crate) const FORMAT: &[u8] = b"f";
pub(crate) const NEXT_ORDINAL: &[u8] = b"n";
pub(crate) const HEAD: u8 = b'h';
pub(crate) const ARCHIVED: u8 = b'a';
pub(crate) const LOCAL: u8 = b'l';

/// Whose rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// The view's.
    View,
    /// The base's.
    Base,
}

/// Key of the run of an incarnation that ends at `last`.
pub(crate) fn run(ordinal: u32, last: Seq) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&ordinal.to_be_bytes());
    key[4..].copy_from_slice(&last.0.to_be_bytes());
    key
}

/// Last seq of a run's key; `None` if it is not one.
pub(crate) fn run_last(key: &[u8]) -> Option<Seq> {
    let seq: [u8; 8] = key.get(4..)?.try_into().ok()?;
    Some(Seq(u64::from_be_bytes(seq)))
}

/// First key behind everything of an incarnation, in `runs` and in `rows`.
pub(crate) fn end(ordinal: u32) -> [u8; 4] {
    ordinal.saturating_add(1).to_be_bytes()
}

/// Length of what stands before a row's own key.
pub(crate) const ROW_PREFIX: usize = 5;

/// Key of a row.
pub(crate) fn row(ordinal: u32, kind: RowKind, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROW_PREFIX + key.len());
    bytes.extend(ordinal.to_be_bytes());
    bytes.push(match kind {
        RowKind::View => 0,
        RowKind::Base => 1,
    });
    bytes.extend(key);
    bytes
}

/// Key of the head of a stream.
pub(crate) fn head(stream: &StreamId) -> Vec<u8> {
    tagged(HEAD, stream.to_string().as_bytes())
}

/// Key of the head of an archived incarnation.
pub(crate) fn archived(stream: &StreamId, ordinal: u32) -> Vec<u8> {
    let mut key = tagged(ARCHIVED, stream.to_string().as_bytes());
    key.push(0);
    key.extend(ordinal.to_be_bytes());
    key
}

/// Stream of the key of a head, archived or not; `None` if it is not one.
pub(crate) fn head_stream(key: &[u8]) -> Option<StreamId> {
    let name = match key.split_first()? {
        (&HEAD, name) => name,
        (&ARCHIVED, rest) => rest.split_at_checked(rest.len().checked_sub(5)?)?.0,
        _ => return None,
    };
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// Key of a local value.
pub(crate) fn local(key: &str) -> Vec<u8> {
    tagged(LOCAL, key.as_bytes())
}

fn tagged(tag: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(tag);
    key.extend(rest);
    key
}

/// First key behind all that begin with `prefix`; `None` if there is none such.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut key = prefix[..=last].to_vec();
    key[last] += 1;
    Some(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn keys_keep_the_order_of_numbers_and_tell_what_they_are_of() {
        assert!(run(1, Seq(255)) < run(1, Seq(256)) && run(1, Seq(u64::MAX))[..] < end(1)[..]);
        assert!(end(1)[..] <= run(2, Seq(0))[..]);
        assert_eq!(run_last(&run(7, Seq(9))), Some(Seq(9)));
        assert_eq!(run_last(b"short"), None);
        let stream: StreamId = "up/oslo".parse().unwrap();
        assert_eq!(head_stream(&head(&stream)), Some(stream.clone()));
        assert_eq!(head_stream(&archived(&stream, 300)), Some(stream));
        assert_eq!(head_stream(b"a"), None);
        assert_eq!(head_stream(b"lup/oslo"), None);
    }

    #[test]
    fn the_end_of_a_prefix_is_behind_all_of_it() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff"), None);
    }
}
