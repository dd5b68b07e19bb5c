//! Every length that anything from outside may have. Bytes unless said otherwise.

/// Body of one event. A larger one is refused before the append.
pub const EVENT_BODY: usize = 512 * 1024;
/// Key of one event, and of one row.
pub const EVENT_KEY: usize = 1024;
/// Events in one run.
pub const RUN_EVENTS: usize = 256;
/// Run bytes at which the writer begins the next run. A run may be larger by its last event.
pub const RUN_BYTES: usize = 64 * 1024;
/// Largest run that a reader accepts: one full run and one largest event.
pub const RUN_BYTES_MAX: usize = RUN_BYTES + EVENT_BODY + EVENT_KEY + 4096;
/// Uncompressed payload of one frame: just under 1 MiB.
pub const FRAME_BYTES: usize = 1024 * 1024 - 4096;
/// One message on the wire, envelope included.
pub const MESSAGE_BYTES: usize = 1024 * 1024;
/// One Kubernetes object as JSON. Smaller than an event body, which carries it.
pub const OBJECT_BYTES: usize = EVENT_BODY - 16 * 1024;
/// Rows of one base, uncompressed; bounds what a receiver keeps in memory while a base arrives.
pub const BASE_BYTES: usize = 256 * 1024 * 1024;
/// Rows bytes carried by one base message.
pub const BASE_CHUNK_BYTES: usize = 256 * 1024;
/// Rows bytes of one overlay message.
pub const OVERLAY_BYTES: usize = 256 * 1024;
/// Length of a node name: an RFC 1123 subdomain.
pub const NODE_NAME: usize = 253;
/// Frames that a sender may have unacknowledged.
pub const CREDIT_FRAMES: u32 = 32;
/// Bytes that a sender may have unacknowledged.
pub const CREDIT_BYTES: u32 = 4 * 1024 * 1024;
