//! `cluster`: objects of the built-in API. Key: the object's key as text. `resourceVersion` is the
//! event's own position, so it is not in the body.

use bincode::{Decode, Encode};

use crate::Seq;

/// An object was created or changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ObjectWritten {
    /// The whole object as JSON, without `metadata.resourceVersion`.
    pub object: Vec<u8>,
    /// Seq of the event that this replaces, if the object was there.
    pub previous: Option<Seq>,
}

/// An object was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ObjectDeleted {
    /// The object as it last was.
    pub object: Vec<u8>,
    /// Seq of the event that wrote it last.
    pub previous: Option<Seq>,
}

super::kinds! {
    300 "object-written" ObjectWritten,
    301 "object-deleted" ObjectDeleted,
}
