//! The run: the events of one stream in one commit. Encoded once by the writer, stored as one
//! value, forwarded verbatim, never split or merged.
//!
//! Header, 40 bytes, little-endian:
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 1 | format version |
//! | 1 | 1 | codec |
//! | 2 | 2 | zero |
//! | 4 | 4 | number of events, 1 … 256 |
//! | 8 | 8 | seq of the first event |
//! | 16 | 16 | log id |
//! | 32 | 4 | length of the body |
//! | 36 | 4 | CRC32C of bytes 0 … 36 and the body |
//!
//! The body is the events one after another. The epoch is not part of it.

use bytes::Bytes;
use ledge_schemas::{CodecError, Event, EventRef, LogId, Seq, codec, format, limits};

/// Length of the header.
pub const HEADER: usize = 40;

/// Bytes that are not a run, or events that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Shorter than it says, or than a header.
    #[error("run of {len} bytes is cut short: {wanted} are needed")]
    Short {
        /// Bytes there are.
        len: usize,
        /// Bytes it takes.
        wanted: usize,
    },
    /// Longer than any run, or than it says.
    #[error("run of {len} bytes is too long: {limit} at most")]
    Long {
        /// Bytes there are.
        len: usize,
        /// Bytes there may be.
        limit: usize,
    },
    /// Another format or codec.
    #[error(
        "run has format {format} codec {codec}; this build reads format {} to {} codec {}",
        format::FORMAT_OLDEST,
        format::FORMAT,
        format::CODEC_BINCODE2
    )]
    Format {
        /// Format byte found.
        format: u8,
        /// Codec byte found.
        codec: u8,
    },
    /// The checksum does not fit.
    #[error("run that begins at seq {first}: CRC32C is {found:08x}, its header says {stated:08x}")]
    Checksum {
        /// First seq as the header states it.
        first: Seq,
        /// Computed over what is there.
        found: u32,
        /// As stated.
        stated: u32,
    },
    /// The number of events, or a seq, is impossible.
    #[error("run states {count} events from seq {first}")]
    Count {
        /// Number stated.
        count: u32,
        /// First seq stated.
        first: Seq,
    },
    /// One event does not decode or is over a limit.
    #[error("event {seq}: {why}")]
    Event {
        /// Its seq.
        seq: Seq,
        /// What is wrong.
        why: String,
    },
    /// The body holds more than its events.
    #[error("run has {bytes} bytes after its last event")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// An event could not be encoded.
    #[error(transparent)]
    Encode(#[from] CodecError),
}

/// One checked run: its bytes and what its header says. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Run {
    bytes: Bytes,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({}..={} of {}, {} bytes)", self.first(), self.last(), self.log_id(), self.bytes.len())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

impl Run {
    /// Encodes events into one run. The caller keeps to the limits of a run; see [`crate::journal`].
    pub fn encode(log_id: LogId, first: Seq, events: &[Event]) -> Result<Self, RunError> {
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        if events.is_empty() || events.len() > limits::RUN_EVENTS || first == Seq::ZERO {
            return Err(RunError::Count { count, first });
        }
        let mut bytes = Vec::with_capacity(HEADER + events.iter().map(size_hint).sum::<usize>());
        bytes.extend([format::FORMAT, format::CODEC_BINCODE2, 0, 0]);
        bytes.extend(count.to_le_bytes());
        bytes.extend(first.0.to_le_bytes());
        bytes.extend(log_id.0);
        bytes.extend([0; 8]);
        for (event, seq) in events.iter().zip(first.0..) {
            check_event(Seq(seq), event.key.len(), event.body.len())?;
            codec::encode_into(event, &mut bytes)?;
        }
        if bytes.len() > limits::RUN_BYTES_MAX {
            return Err(RunError::Long { len: bytes.len(), limit: limits::RUN_BYTES_MAX });
        }
        let body_len = u32::try_from(bytes.len() - HEADER).unwrap_or(u32::MAX);
        bytes[32..36].copy_from_slice(&body_len.to_le_bytes());
        let crc = checksum(&bytes);
        bytes[36..HEADER].copy_from_slice(&crc.to_le_bytes());
        Ok(Self { bytes: bytes.into() })
    }

    /// Checks header, lengths and checksum. Events are checked when they are read.
    pub fn parse(bytes: Bytes) -> Result<Self, RunError> {
        if bytes.len() < HEADER {
            return Err(RunError::Short { len: bytes.len(), wanted: HEADER });
        }
        let (format, codec) = (bytes[0], bytes[1]);
        if !(format::FORMAT_OLDEST..=format::FORMAT).contains(&format) || codec != format::CODEC_BINCODE2 {
            return Err(RunError::Format { format, codec });
        }
        let limit = limits::RUN_BYTES_MAX.min(HEADER.saturating_add(u32_at(&bytes, 32) as usize));
        if bytes.len() > limit {
            return Err(RunError::Long { len: bytes.len(), limit });
        }
        let wanted = HEADER + u32_at(&bytes, 32) as usize;
        if bytes.len() < wanted {
            return Err(RunError::Short { len: bytes.len(), wanted });
        }
        let run = Self { bytes };
        let (found, stated) = (checksum(&run.bytes), u32_at(&run.bytes, 36));
        if found != stated {
            return Err(RunError::Checksum { first: run.first(), found, stated });
        }
        let (count, first) = (run.count(), run.first());
        let possible = count >= 1 && count as usize <= limits::RUN_EVENTS && first != Seq::ZERO;
        if !possible || first.0.checked_add(u64::from(count)).is_none() {
            return Err(RunError::Count { count, first });
        }
        Ok(run)
    }

    /// The bytes: what is stored, chained and sent.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Number of events.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32_at(&self.bytes, 4)
    }

    /// Seq of the first event.
    #[must_use]
    pub fn first(&self) -> Seq {
        Seq(u64_at(&self.bytes, 8))
    }

    /// Seq of the last event.
    #[must_use]
    pub fn last(&self) -> Seq {
        Seq(u64_at(&self.bytes, 8) + u64::from(self.count()) - 1)
    }

    /// Incarnation of the stream.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        LogId(self.bytes.get(16..32).and_then(|b| b.try_into().ok()).unwrap_or_default())
    }

    /// The events with their seqs, in order. Ends after the first error.
    pub fn events(&self) -> Events<'_> {
        Events { rest: &self.bytes[HEADER..], next: self.first(), left: self.count() }
    }

    /// Decodes every event once, so that later reads cannot fail.
    pub fn check_events(&self) -> Result<(), RunError> {
        self.events().try_for_each(|event| event.map(drop))
    }
}

fn size_hint(event: &Event) -> usize {
    event.key.len() + event.body.len() + 48
}

fn check_event(seq: Seq, key: usize, body: usize) -> Result<(), RunError> {
    if key > limits::EVENT_KEY {
        let why = format!("its key has {key} bytes; {} at most", limits::EVENT_KEY);
        return Err(RunError::Event { seq, why });
    }
    if body > limits::EVENT_BODY {
        let why = format!("its body has {body} bytes; {} at most", limits::EVENT_BODY);
        return Err(RunError::Event { seq, why });
    }
    Ok(())
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..36]), &bytes[HEADER..])
}

/// Iterator over a run's events. See [`Run::events`].
#[derive(Clone, Debug)]
pub struct Events<'a> {
    rest: &'a [u8],
    next: Seq,
    left: u32,
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<(Seq, EventRef<'a>), RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let bytes = std::mem::take(&mut self.rest).len();
            return (bytes > 0).then_some(Err(RunError::Trailing { bytes }));
        }
        let seq = self.next;
        match codec::take_ref::<EventRef<'a>>(self.rest) {
            Ok((event, used)) => {
                self.rest = &self.rest[used..];
                self.left -= 1;
                self.next = seq.next();
                Some(check_event(seq, event.key.len(), event.body.len()).map(|()| (seq, event)))
            }
            Err(error) => {
                (self.left, self.rest) = (0, &[]);
                Some(Err(RunError::Event { seq, why: error.to_string() }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use ledge_schemas::{Hlc, Kind};

    use super::*;

    fn event(n: u64) -> Event {
        let body = vec![u8::try_from(n % 256).unwrap(); 10];
        Event { hlc: Hlc(n), kind: Kind(204), key: format!("k{n}"), cause: None, seen: None, body }
    }

    fn run() -> Run {
        Run::encode(LogId([7; 16]), Seq(5), &[event(5), event(6), event(7)]).unwrap()
    }

    #[test]
    fn a_run_reads_back_as_written() {
        let run = Run::parse(run().bytes().clone()).unwrap();
        assert_eq!((run.first(), run.last(), run.count(), run.log_id()), (Seq(5), Seq(7), 3, LogId([7; 16])));
        let events: Vec<_> = run.events().map(|e| e.map(|(seq, e)| (seq.0, e.to_owned())).unwrap()).collect();
        assert_eq!(events, [(5, event(5)), (6, event(6)), (7, event(7))]);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = run();
        for bit in 0..good.bytes().len() * 8 {
            let mut bytes = good.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Run::parse(bytes.into()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_noticed() {
        let good = run();
        for len in 0..good.bytes().len() {
            let error = Run::parse(good.bytes().slice(..len)).unwrap_err();
            assert!(matches!(error, RunError::Short { .. }), "{len}: {error}");
        }
    }

    #[test]
    fn limits_are_kept() {
        let mut large = event(1);
        large.body = vec![0; limits::EVENT_BODY + 1];
        assert!(matches!(Run::encode(LogId([1; 16]), Seq(1), &[large]), Err(RunError::Event { .. })));
        let many: Vec<_> = (1..=257).map(event).collect();
        assert!(matches!(Run::encode(LogId([1; 16]), Seq(1), &many), Err(RunError::Count { .. })));
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        bolero::check!().for_each(|bytes: &[u8]| {
            if let Ok(run) = Run::parse(Bytes::copy_from_slice(bytes)) {
                let _ = run.check_events();
            }
        });
    }

    #[test]
    fn arbitrary_bodies_never_panic() {
        bolero::check!().for_each(|body: &[u8]| {
            let mut bytes = run().bytes()[..HEADER].to_vec();
            bytes.extend(body);
            bytes[32..36].copy_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
            let crc = checksum(&bytes);
            bytes[36..HEADER].copy_from_slice(&crc.to_le_bytes());
            if let Ok(run) = Run::parse(bytes.into()) {
                let _ = run.check_events();
            }
        });
    }
}
