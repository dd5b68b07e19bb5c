//! The frame: consecutive whole runs of one stream on their way. No identity of its own; it may be
//! cut differently after a reconnect.
//!
//! Header, 24 bytes, little-endian: format u8, compression u8 (0 none, 1 zstd), runs u16, seq of
//! the first event u64, uncompressed length u32, payload length u32, CRC32C of the payload as sent
//! u32. The payload is, for each run, its length as u32 and its bytes.

use bytes::{Buf, Bytes};
use ledge_schemas::{Seq, format, limits};

use crate::run::{Run, RunError};

/// Length of the header.
pub const HEADER: usize = 24;
/// Payloads shorter than this are not worth compressing.
const COMPRESS_FROM: usize = 512;
const ZSTD_LEVEL: i32 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Bytes that are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter or longer than it says.
    #[error("frame of {len} bytes should have {wanted}")]
    Length {
        /// Bytes there are.
        len: usize,
        /// Bytes it should have.
        wanted: usize,
    },
    /// Another format or compression.
    #[error(
        "frame has format {format} compression {compression}; this build reads format {} and compression 0 or 1",
        format::FORMAT
    )]
    Format {
        /// Format byte.
        format: u8,
        /// Compression byte.
        compression: u8,
    },
    /// More than a frame may hold.
    #[error("frame states {stated} uncompressed bytes; {limit} at most", limit = FRAME_MAX)]
    TooLarge {
        /// Bytes stated.
        stated: usize,
    },
    /// The checksum does not fit.
    #[error("frame at seq {first}: CRC32C is {found:08x}, its header says {stated:08x}")]
    Checksum {
        /// First seq stated.
        first: Seq,
        /// Computed.
        found: u32,
        /// As stated.
        stated: u32,
    },
    /// The payload does not decompress to what the header says.
    #[error("frame at seq {0} does not decompress to its stated length")]
    Compression(Seq),
    /// The runs inside do not follow one another, or are not as many as stated.
    #[error("frame at seq {0}: its runs do not follow one another")]
    Runs(Seq),
    /// A run inside is bad.
    #[error("frame at seq {first}: {error}")]
    Run {
        /// First seq stated.
        first: Seq,
        /// What is wrong with the run.
        error: RunError,
    },
}

/// Uncompressed payload at most: a full frame, or one largest run.
const FRAME_MAX: usize = limits::FRAME_BYTES;

/// Packs runs from the front of `runs` until the frame is full; returns how many it took.
/// At least one, as every run fits a frame.
#[must_use]
pub fn pack(runs: &[Run], max_bytes: usize) -> (Vec<u8>, usize) {
    let mut raw = Vec::new();
    let mut taken = 0_usize;
    for run in runs.iter().take(usize::from(u16::MAX)) {
        let bytes = run.bytes();
        if taken > 0 && raw.len() + 4 + bytes.len() > max_bytes.min(FRAME_MAX) {
            break;
        }
        raw.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        raw.extend_from_slice(bytes);
        taken += 1;
    }
    let first = runs.first().map_or(Seq::ZERO, Run::first);
    let packed = (raw.len() >= COMPRESS_FROM).then(|| zstd::bulk::compress(&raw, ZSTD_LEVEL).ok()).flatten();
    let (compression, payload) = match packed {
        Some(packed) if packed.len() < raw.len() => (ZSTD, packed),
        _ => (PLAIN, raw.clone()),
    };
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend([format::FORMAT, compression]);
    frame.extend(u16::try_from(taken).unwrap_or(u16::MAX).to_le_bytes());
    frame.extend(first.0.to_le_bytes());
    frame.extend(u32::try_from(raw.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend(crc32c::crc32c(&payload).to_le_bytes());
    frame.extend(payload);
    (frame, taken)
}

/// The runs of a frame, each checked, following one another.
pub fn unpack(frame: &Bytes) -> Result<Vec<Run>, FrameError> {
    if frame.len() < HEADER {
        return Err(FrameError::Length { len: frame.len(), wanted: HEADER });
    }
    let mut header = &frame[..HEADER];
    let (format, compression) = (header.get_u8(), header.get_u8());
    if format != format::FORMAT || compression > ZSTD {
        return Err(FrameError::Format { format, compression });
    }
    let count = usize::from(header.get_u16_le());
    let first = Seq(header.get_u64_le());
    let raw_len = header.get_u32_le() as usize;
    let payload_len = header.get_u32_le() as usize;
    let stated = header.get_u32_le();
    if raw_len > FRAME_MAX {
        return Err(FrameError::TooLarge { stated: raw_len });
    }
    if frame.len() != HEADER.saturating_add(payload_len) {
        return Err(FrameError::Length { len: frame.len(), wanted: HEADER.saturating_add(payload_len) });
    }
    let payload = frame.slice(HEADER..);
    let found = crc32c::crc32c(&payload);
    if found != stated {
        return Err(FrameError::Checksum { first, found, stated });
    }
    let raw = if compression == ZSTD {
        Bytes::from(zstd::bulk::decompress(&payload, raw_len).map_err(|_| FrameError::Compression(first))?)
    } else {
        payload
    };
    if raw.len() != raw_len {
        return Err(FrameError::Compression(first));
    }
    split(raw, count, first)
}

fn split(mut raw: Bytes, count: usize, first: Seq) -> Result<Vec<Run>, FrameError> {
    let mut runs: Vec<Run> = Vec::new();
    let mut next = first;
    while raw.remaining() >= 4 {
        let len = raw.get_u32_le() as usize;
        if len > raw.remaining() {
            return Err(FrameError::Runs(first));
        }
        let run = Run::parse(raw.split_to(len)).map_err(|error| FrameError::Run { first, error })?;
        run.check_events().map_err(|error| FrameError::Run { first, error })?;
        let same_log = runs.first().is_none_or(|other| other.log_id() == run.log_id());
        if run.first() != next || !same_log {
            return Err(FrameError::Runs(first));
        }
        next = run.last().next();
        runs.push(run);
    }
    if runs.len() != count || count == 0 || raw.has_remaining() {
        return Err(FrameError::Runs(first));
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use ledge_schemas::{Event, Hlc, Kind, LogId};

    use super::*;

    fn runs(n: u64, body: usize) -> Vec<Run> {
        let event = |i| Event {
            hlc: Hlc(i),
            kind: Kind(1),
            key: "k".into(),
            cause: None,
            seen: None,
            body: vec![b'x'; body],
        };
        (0..n).map(|i| Run::encode(LogId([1; 16]), Seq(i * 2 + 1), &[event(i), event(i)]).unwrap()).collect()
    }

    #[test]
    fn frames_carry_runs_verbatim_and_are_cut_at_the_limit() {
        for body in [3, 3_000] {
            let all = runs(40, body);
            let (mut rest, mut back, mut frames) = (&all[..], Vec::new(), 0);
            while !rest.is_empty() {
                let (frame, taken) = pack(rest, 64 * 1024);
                back.extend(unpack(&frame.into()).unwrap());
                rest = &rest[taken..];
                frames += 1;
            }
            assert_eq!(back, all);
            assert_eq!(frames, if body == 3 { 1 } else { 4 });
        }
    }

    #[test]
    fn the_largest_run_fits_a_frame_and_a_message() {
        const { assert!(limits::RUN_BYTES_MAX + 4 <= FRAME_MAX) };
        const { assert!(FRAME_MAX + HEADER + 64 <= limits::MESSAGE_BYTES) };
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (frame, _) = pack(&runs(2, 4), FRAME_MAX);
        for bit in 0..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unpack(&bad.into()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_gap_or_a_foreign_run_inside_a_frame_is_refused() {
        let all = runs(3, 4);
        let (gap, _) = pack(&[all[0].clone(), all[2].clone()], FRAME_MAX);
        assert_eq!(unpack(&gap.into()), Err(FrameError::Runs(Seq(1))));
    }

    #[test]
    fn a_decompression_bomb_is_refused_by_its_stated_length() {
        let (mut frame, _) = pack(&runs(40, 100), FRAME_MAX);
        frame[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(unpack(&frame.into()), Err(FrameError::TooLarge { .. })));
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let _ = unpack(&Bytes::copy_from_slice(bytes));
        });
    }
}
