//! `down/<node>`: what the node must know. Key: the object's [`crate::projection::ObjectKey`] as text.

use bincode::{Decode, Encode};

/// The object is to be there, like this.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ObjectPut {
    /// The projection, as canonical JSON.
    pub object: Vec<u8>,
}

/// The object is to be gone. Written only for a recorded deletion, never for an absence.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ObjectRemoved {
    /// What recorded it.
    pub reason: RemovalReason,
}

/// Recorded reasons for which an object leaves a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RemovalReason {
    /// It was deleted in the API.
    Deleted,
    /// It is there, but no longer for this node.
    Moved,
    /// A complete list of the same authority does not hold it.
    Unlisted,
    /// An operator accepted the removal while the cloud was recovering.
    Accepted,
}

super::kinds! {
    100 "object-put" ObjectPut,
    101 "object-removed" ObjectRemoved,
}
