//! The one place that knows how bodies become bytes: bincode 2, standard configuration.
//!
//! bincode's maintainers have stopped (RUSTSEC-2025-0141); its layout is frozen by our golden
//! files, and nothing else in Ledge names the crate's functions.

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Decode, Encode};

use crate::limits;

/// Bytes that do not read, or a value too large to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Cannot be written.
    #[error("{what} cannot be encoded: {why}")]
    Encode {
        /// What was being written.
        what: &'static str,
        /// The codec's own words.
        why: String,
    },
    /// Cannot be read.
    #[error("{what} of {len} bytes does not decode: {why}")]
    Decode {
        /// What was being read.
        what: &'static str,
        /// How many bytes there were.
        len: usize,
        /// The codec's own words.
        why: String,
    },
    /// Bytes are left over, so the sender meant something else.
    #[error("{what} decodes from {used} of {len} bytes; the rest is not its own")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// Bytes that the value took.
        used: usize,
        /// Bytes there were.
        len: usize,
    },
}

/// Claimed lengths beyond this are refused before anything is allocated for them.
const LIMIT: usize = limits::RUN_BYTES_MAX * 2;

fn config() -> Configuration<LittleEndian, Varint, Limit<LIMIT>> {
    config::standard().with_limit::<LIMIT>()
}

/// Encodes a value.
pub fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    encode_into(value, &mut out)?;
    Ok(out)
}

/// Encodes a value onto the end of `out`; on error `out` is as it was.
pub fn encode_into<T: Encode>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let before = out.len();
    bincode::encode_into_std_write(value, out, config::standard())
        .map_err(|e| CodecError::Encode { what: std::any::type_name::<T>(), why: e.to_string() })?;
    debug_assert!(out.len() >= before);
    Ok(())
}

/// Decodes a value that must take all of `bytes`.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::decode_from_slice(bytes, config()).map_err(|e| refused::<T>(bytes, &e))?;
    whole::<T>(used, bytes)?;
    Ok(value)
}

/// Decodes a value that borrows from `bytes` and must take all of them.
pub fn decode_ref<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    let (value, used) = take_ref(bytes)?;
    whole::<T>(used, bytes)?;
    Ok(value)
}

/// Decodes a value that borrows from the front of `bytes`; returns how many bytes it took.
pub fn take_ref<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<(T, usize), CodecError> {
    bincode::borrow_decode_from_slice(bytes, config()).map_err(|e| refused::<T>(bytes, &e))
}

fn refused<T>(bytes: &[u8], error: &bincode::error::DecodeError) -> CodecError {
    CodecError::Decode { what: std::any::type_name::<T>(), len: bytes.len(), why: error.to_string() }
}

fn whole<T>(used: usize, bytes: &[u8]) -> Result<(), CodecError> {
    if used == bytes.len() {
        Ok(())
    } else {
        Err(CodecError::Trailing { what: std::any::type_name::<T>(), used, len: bytes.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_length_is_refused_before_it_is_allocated() {
        let mut bytes = encode(&vec![7_u8; 3]).unwrap_or_default();
        bytes.splice(0..1, [253, 255, 255, 255, 255, 255, 255, 255, 127]);
        assert!(matches!(decode::<Vec<u8>>(&bytes), Err(CodecError::Decode { .. })));
    }

    #[test]
    fn left_over_bytes_are_an_error() {
        let mut bytes = encode(&5_u32).unwrap_or_default();
        bytes.push(0);
        assert!(matches!(decode::<u32>(&bytes), Err(CodecError::Trailing { used: 1, len: 2, .. })));
    }
}
