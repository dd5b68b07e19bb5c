//! Rows as bytes: the seq of the event that wrote the row (8 bytes, little-endian), then its body.

use bincode::{Decode, Encode};
use ledge_schemas::{CodecError, Seq, codec};

/// A row's bytes.
pub fn encode<T: Encode>(at: Seq, body: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = at.0.to_le_bytes().to_vec();
    codec::encode_into(body, &mut bytes)?;
    Ok(bytes)
}

/// Which event wrote a row, and its body.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<(Seq, T), CodecError> {
    let (at, body) = split(bytes)?;
    Ok((at, codec::decode(body)?))
}

/// Which event wrote a row, and its body's bytes.
pub fn split(bytes: &[u8]) -> Result<(Seq, &[u8]), CodecError> {
    let short = || CodecError::Decode { what: "row", len: bytes.len(), why: "shorter than its seq".into() };
    let (at, body) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    Ok((Seq(u64::from_le_bytes(*at)), body))
}
