//! Where one packet ends: the fixed header, checked against the limit before the rest is waited for.

use super::CodecError;

/// Position of one whole packet at the start of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Packet type and flags.
    pub(crate) first: u8,
    /// Bytes of fixed header, 2..=5.
    pub(crate) header: usize,
    /// Bytes after it.
    pub(crate) body: usize,
}

impl Frame {
    pub(crate) fn len(self) -> usize {
        self.header + self.body
    }

    pub(crate) fn is_publish(self) -> bool {
        self.first >> 4 == 3
    }
}

/// The next frame's header as soon as it is whole, whether or not its body is here yet. `max` counts the
/// whole packet, bytes.
pub(crate) fn peek(input: &[u8], max: usize) -> Result<Option<Frame>, CodecError> {
    let Some((&first, rest)) = input.split_first() else {
        return Ok(None);
    };
    let mut body = 0usize;
    for (at, byte) in rest.iter().take(4).enumerate() {
        body |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let frame = Frame { first, header: at + 2, body };
            if frame.len() > max {
                return Err(CodecError::TooLarge { size: frame.len(), max });
            }
            return Ok(Some(frame));
        }
    }
    if rest.len() >= 4 {
        return Err(CodecError::Malformed("remaining length of more than four bytes"));
    }
    Ok(None)
}
