//! Versions of everything that outlives a process. A released number never changes its meaning.

/// Layout of run, base and store record headers, and of the bodies inside them.
///
/// - 1: the first. `golden/v1/` holds one file of each.
pub const FORMAT: u8 = 1;
/// Oldest layout that this build still reads.
pub const FORMAT_OLDEST: u8 = 1;

/// Codec byte: bincode 2, standard configuration.
pub const CODEC_BINCODE2: u8 = 1;

/// Sync protocol spoken over a connection. Hello states the range; the highest common one is used.
pub const PROTOCOL: u16 = 1;
/// Oldest protocol that this build still speaks.
pub const PROTOCOL_OLDEST: u16 = 1;

/// Version of the rows that the views write. A store whose rows carry another one rebuilds them
/// from base and log before use; digests are compared only between equal versions.
pub const VIEW: u16 = 1;
