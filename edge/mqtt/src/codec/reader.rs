//! A cursor over one frame: every read is checked against what is left of it.

use super::CodecError;

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(CodecError::Malformed("a length reaches past the end of the packet"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, CodecError> {
        let (&byte, rest) = self.rest.split_first().ok_or(CodecError::Malformed("packet ends too early"))?;
        self.rest = rest;
        Ok(byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, CodecError> {
        Ok(u16::from(self.u8()?) << 8 | u16::from(self.u8()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A variable byte integer, at most 268,435,455.
    pub(super) fn varint(&mut self) -> Result<u32, CodecError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Malformed("variable byte integer of more than four bytes"))
    }

    /// Bytes with a two-byte length before them.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// UTF-8 with a two-byte length before it; no U+0000 (1.5.3 and 1.5.4 of the specifications).
    pub(super) fn str(&mut self) -> Result<&'a str, CodecError> {
        let text =
            std::str::from_utf8(self.bytes()?).map_err(|_| CodecError::Malformed("string is not UTF-8"))?;
        if text.contains('\0') {
            return Err(CodecError::Malformed("string holds U+0000"));
        }
        Ok(text)
    }

    /// A packet identifier, never 0.
    pub(super) fn id(&mut self) -> Result<u16, CodecError> {
        match self.u16()? {
            0 => Err(CodecError::Malformed("packet identifier 0")),
            id => Ok(id),
        }
    }

    /// A block of v5 properties: a reader of exactly that block.
    pub(super) fn block(&mut self) -> Result<Reader<'a>, CodecError> {
        let len = self.varint()?;
        Ok(Reader::new(self.take(len as usize)?))
    }
}
