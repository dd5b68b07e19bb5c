//! What a session is driven over: the store of this side, and whose two streams.

use ledge_core::log::{Reader, Store};
use ledge_core::sync::NodeLog;
use ledge_core::sync::commands::{Side, stream_of};
use ledge_core::sync::message::Direction;
use ledge_log::WriterHandle;
use ledge_schemas::{NodeName, StreamId};

/// The writer of a store, a reader of the same one, and the node whose streams are synced.
#[derive(Debug)]
pub struct SessionStore<S, R> {
    /// Runs the session's commands.
    pub writer: WriterHandle<S>,
    /// Reads what the writer made durable. Reads happen on the async thread: they are short and mostly
    /// from memory.
    pub reader: R,
    /// Whose session it is.
    pub node: NodeName,
    /// Which side this is.
    pub side: Side,
}

impl<S, R: Clone> Clone for SessionStore<S, R> {
    fn clone(&self) -> Self {
        let (writer, reader) = (self.writer.clone(), self.reader.clone());
        Self { writer, reader, node: self.node.clone(), side: self.side }
    }
}

impl<S: Store, R: Reader> SessionStore<S, R> {
    /// What the session reads; also for starting one.
    pub fn log(&self) -> NodeLog<'_, R> {
        NodeLog { reader: &self.reader, node: &self.node }
    }

    /// The stream that this side writes, whose growth is to be sent.
    pub(crate) fn own_stream(&self) -> StreamId {
        let direction = match self.side {
            Side::Edge => Direction::Up,
            Side::Cloud => Direction::Down,
        };
        stream_of(&self.node, direction)
    }
}
