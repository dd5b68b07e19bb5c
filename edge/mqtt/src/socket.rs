//! A TCP connection with a read buffer that grows only as bytes arrive and a write buffer that is flushed
//! once per batch. Broker connections and the bridge share it.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::codec::frame::{self, Frame};
use crate::codec::{CodecError, Packet, Version, decode};

/// What an idle connection keeps for reading, bytes.
const IDLE_BUFFER: usize = 2 * 1024;
/// What one read of a busy connection may bring, bytes.
const BUSY_BUFFER: usize = 64 * 1024;
/// With this much unsent, bytes, nothing more is read from the peer or queued for it.
const MAX_UNSENT: usize = 64 * 1024;

pub(crate) struct Socket {
    stream: TcpStream,
    input: BytesMut,
    pub(crate) output: BytesMut,
    /// Largest packet accepted, bytes.
    max: usize,
    /// The last read filled what it was given.
    busy: bool,
}

/// What the start of the input is.
pub(crate) enum Next {
    /// A whole packet of this first byte.
    Whole(Frame),
    /// More must be read.
    Partial,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, max: usize) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            input: BytesMut::with_capacity(IDLE_BUFFER),
            output: BytesMut::new(),
            max,
            busy: false,
        })
    }

    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    pub(crate) fn peek(&self) -> Result<Next, CodecError> {
        Ok(match frame::peek(&self.input, self.max)? {
            Some(frame) if frame.len() <= self.input.len() => Next::Whole(frame),
            _ => Next::Partial,
        })
    }

    /// Takes a frame that [`Self::peek`] found whole.
    pub(crate) fn take(&mut self, frame: Frame, version: Version) -> Result<Packet, CodecError> {
        let packet = decode::packet(frame.first, &self.input[frame.header..frame.len()], version);
        self.input.advance(frame.len());
        packet
    }

    /// Too much waits for a peer that does not read.
    pub(crate) fn is_congested(&self) -> bool {
        self.output.len() >= MAX_UNSENT
    }

    /// Waits until a read (unless `reading` is false) or a write of what is unsent can go on. Dropping the
    /// future loses nothing.
    pub(crate) async fn ready(&self, reading: bool) -> io::Result<()> {
        let interest = match (reading, self.output.is_empty()) {
            (true, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
            (false, true) => return std::future::pending().await,
        };
        self.stream.ready(interest).await?;
        Ok(())
    }

    /// Reads once, if there is something. `Ok(None)`: the peer has closed. `Ok(Some(0))`: nothing yet.
    pub(crate) fn fill(&mut self) -> io::Result<Option<usize>> {
        let want = if self.busy { BUSY_BUFFER } else { IDLE_BUFFER };
        if self.input.capacity() - self.input.len() < want / 2 {
            // Only what has really arrived makes it grow: a header that announces a megabyte buys none.
            self.input.reserve(want);
        }
        let spare = self.input.capacity() - self.input.len();
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => Ok(None),
            Ok(read) => {
                self.busy = read == spare;
                Ok(Some(read))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    /// Writes as much as the peer takes now. Returns whether anything moved.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        let mut moved = false;
        while !self.output.is_empty() {
            match self.stream.try_write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.output.advance(written);
                    moved = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(moved),
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }

    /// Gives back what a burst made the buffers grow to. Called when the connection has been quiet.
    pub(crate) fn shrink(&mut self) {
        if self.input.is_empty() && self.input.capacity() > IDLE_BUFFER {
            self.input = BytesMut::with_capacity(IDLE_BUFFER);
        }
        if self.output.is_empty() && self.output.capacity() > 0 {
            self.output = BytesMut::new();
        }
    }

    /// Sends what is unsent and closes, within `limit`.
    pub(crate) async fn finish(&mut self, limit: std::time::Duration) {
        let rest = async {
            while !self.output.is_empty() {
                self.stream.writable().await?;
                self.flush()?;
            }
            tokio::io::AsyncWriteExt::shutdown(&mut self.stream).await
        };
        // The peer may be gone already, which is what closing wants.
        let _closed = tokio::time::timeout(limit, rest).await;
    }
}
