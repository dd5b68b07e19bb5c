//! Values with a checksum of their own, bound to their keys: RocksDB's checksums do not notice a
//! value that stands in the wrong place.
//!
//! Run record: 44 bytes, little-endian, then the run.
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 1 | format version |
//! | 1 | 3 | zero |
//! | 4 | 4 | length of the run |
//! | 8 | 32 | chain behind the run |
//! | 40 | 4 | CRC32C of the key and of bytes 0 … 40 |
//!
//! The run has a checksum of its own. Head record: 192 bytes, little-endian.
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 1 | format version |
//! | 1 | 1 | reason of the base: 0 new, 1 trimmed, 2 tail lost, 3 reconciled |
//! | 2 | 2 | view version of the base |
//! | 4 | 4 | ordinal of the incarnation |
//! | 8 | 16 | log id |
//! | 24 | 4 | epoch |
//! | 28 | 2 | view version of the cursor |
//! | 30 | 2 | zero |
//! | 32 | 8 | seq of the base |
//! | 40 | 32 | chain of the base |
//! | 72 | 32 | digest of the base |
//! | 104 | 8 | tail |
//! | 112 | 32 | chain at the tail |
//! | 144 | 8 | cursor: applied |
//! | 152 | 32 | cursor: digest |
//! | 184 | 4 | zero |
//! | 188 | 4 | CRC32C of the key and of bytes 0 … 188 |

use ledge_core::log::{Cursor, StreamHead};
use ledge_core::{Base, BaseReason, Chain, Digest};
use ledge_schemas::{Epoch, LogId, Seq, format};

/// Length of what stands before the run.
pub(crate) const RUN_HEADER: usize = 44;
/// Length of a head record.
pub(crate) const HEAD: usize = 192;

/// Bytes that are not a record, or not the record of their key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("record of {len} bytes; {wanted} are needed")]
    Length { len: usize, wanted: usize },
    #[error("record has format {found}; this build reads {} to {}", format::FORMAT_OLDEST, format::FORMAT)]
    Format { found: u8 },
    #[error("record checksum is {found:08x}, {stated:08x} is stated")]
    Checksum { found: u32, stated: u32 },
    #[error("record states reason {0} of a base")]
    Reason(u8),
}

/// One incarnation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Number of the incarnation.
    pub(crate) ordinal: u32,
    /// Where it stands.
    pub(crate) head: StreamHead,
}

/// A field of a slice whose length was checked.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

fn checked(key: &[u8], bytes: &[u8], wanted: usize) -> Result<(), RecordError> {
    let stated = u32::from_le_bytes(field(bytes, wanted - 4));
    let found = crc32c::crc32c_append(crc32c::crc32c(key), &bytes[..wanted - 4]);
    if found != stated {
        return Err(RecordError::Checksum { found, stated });
    }
    if !(format::FORMAT_OLDEST..=format::FORMAT).contains(&bytes[0]) {
        return Err(RecordError::Format { found: bytes[0] });
    }
    Ok(())
}

/// Writes a run record into `out`, in place of what is there.
pub(crate) fn encode_run(key: &[u8], chain: Chain, run: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend([format::FORMAT, 0, 0, 0]);
    // A run is far shorter than 4 GiB; see `limits::RUN_BYTES_MAX`.
    out.extend(u32::try_from(run.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(chain.0);
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), out);
    out.extend(crc.to_le_bytes());
    out.extend(run);
}

/// The chain and the run's bytes, which have still to be checked as a run.
pub(crate) fn decode_run<'a>(key: &[u8], value: &'a [u8]) -> Result<(Chain, &'a [u8]), RecordError> {
    let Some((header, run)) = value.split_at_checked(RUN_HEADER) else {
        return Err(RecordError::Length { len: value.len(), wanted: RUN_HEADER });
    };
    checked(key, header, RUN_HEADER)?;
    let wanted = u32::from_le_bytes(field(header, 4)) as usize;
    if run.len() != wanted {
        return Err(RecordError::Length { len: value.len(), wanted: RUN_HEADER + wanted });
    }
    Ok((Chain(field(header, 8)), run))
}

/// A head record.
pub(crate) fn encode_head(key: &[u8], stored: &Stored) -> [u8; HEAD] {
    let Stored { ordinal, head: StreamHead { base, tail, chain, cursor } } = stored;
    let mut bytes = [0; HEAD];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    let reason = match base.reason {
        BaseReason::New => 0,
        BaseReason::Trimmed => 1,
        BaseReason::TailLost => 2,
        BaseReason::Reconciled => 3,
    };
    put(0, &[format::FORMAT, reason]);
    put(2, &base.view_version.to_le_bytes());
    put(4, &ordinal.to_le_bytes());
    put(8, &base.log_id.0);
    put(24, &base.epoch.0.to_le_bytes());
    put(28, &cursor.view_version.to_le_bytes());
    put(32, &base.seq.0.to_le_bytes());
    put(40, &base.chain.0);
    put(72, &base.digest.0);
    put(104, &tail.0.to_le_bytes());
    put(112, &chain.0);
    put(144, &cursor.applied.0.to_le_bytes());
    put(152, &cursor.digest.0);
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &bytes[..HEAD - 4]);
    bytes[HEAD - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What a head record holds.
pub(crate) fn decode_head(key: &[u8], bytes: &[u8]) -> Result<Stored, RecordError> {
    if bytes.len() != HEAD {
        return Err(RecordError::Length { len: bytes.len(), wanted: HEAD });
    }
    checked(key, bytes, HEAD)?;
    let reason = match bytes[1] {
        0 => BaseReason::New,
        1 => BaseReason::Trimmed,
        2 => BaseReason::TailLost,
        3 => BaseReason::Reconciled,
        other => return Err(RecordError::Reason(other)),
    };
    let seq = |at| Seq(u64::from_le_bytes(field(bytes, at)));
    let base = Base {
        log_id: LogId(field(bytes, 8)),
        epoch: Epoch(u32::from_le_bytes(field(bytes, 24))),
        seq: seq(32),
        chain: Chain(field(bytes, 40)),
        view_version: u16::from_le_bytes(field(bytes, 2)),
        digest: Digest(field(bytes, 72)),
        reason,
    };
    let cursor = Cursor {
        applied: seq(144),
        view_version: u16::from_le_bytes(field(bytes, 28)),
        digest: Digest(field(bytes, 152)),
    };
    let head = StreamHead { base, tail: seq(104), chain: Chain(field(bytes, 112)), cursor };
    Ok(Stored { ordinal: u32::from_le_bytes(field(bytes, 4)), head })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn stored() -> Stored {
        let base = Base {
            log_id: LogId([1; 16]),
            epoch: Epoch(2),
            seq: Seq(3),
            chain: Chain([4; 32]),
            view_version: 5,
            digest: Digest([6; 32]),
            reason: BaseReason::Reconciled,
        };
        let cursor = Cursor { applied: Seq(7), view_version: 8, digest: Digest([9; 32]) };
        Stored { ordinal: 10, head: StreamHead { base, tail: Seq(11), chain: Chain([12; 32]), cursor } }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The bytes that released builds have written. They never change.
    #[test]
    fn the_layouts_are_the_released_ones() {
        let mut run = Vec::new();
        encode_run(b"key", Chain([7; 32]), b"run", &mut run);
        assert_eq!(hex(&run), include_str!("../golden/v1/run_record.hex").trim());
        let head = encode_head(b"key", &stored());
        assert_eq!(hex(&head), include_str!("../golden/v1/head_record.hex").trim());
    }

    #[test]
    fn records_read_back_as_written() {
        let mut run = Vec::new();
        encode_run(b"key", Chain([7; 32]), b"run", &mut run);
        assert_eq!(decode_run(b"key", &run), Ok((Chain([7; 32]), &b"run"[..])));
        assert_eq!(decode_head(b"key", &encode_head(b"key", &stored())), Ok(stored()));
    }

    #[test]
    fn a_record_of_another_key_is_refused() {
        let mut run = Vec::new();
        encode_run(b"key", Chain([7; 32]), b"run", &mut run);
        assert!(matches!(decode_run(b"kez", &run), Err(RecordError::Checksum { .. })));
        let head = encode_head(b"key", &stored());
        assert!(matches!(decode_head(b"kez", &head), Err(RecordError::Checksum { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused(bytes: Vec<u8>, long in proptest::collection::vec(any::<u8>(), HEAD)) {
            prop_assert!(decode_run(b"key", &bytes).is_err());
            prop_assert!(decode_head(b"key", &bytes).is_err());
            prop_assert!(decode_run(b"key", &long).is_err());
            prop_assert!(decode_head(b"key", &long).is_err());
        }

        #[test]
        fn every_flipped_bit_is_noticed(bit in 0..HEAD * 8, run_bit in 0..RUN_HEADER * 8) {
            let mut head = encode_head(b"key", &stored());
            head[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode_head(b"key", &head).is_err());
            let mut run = Vec::new();
            encode_run(b"key", Chain([7; 32]), b"run", &mut run);
            run[run_bit / 8] ^= 1 << (run_bit % 8);
            prop_assert!(decode_run(b"key", &run).is_err());
        }
    }
}
