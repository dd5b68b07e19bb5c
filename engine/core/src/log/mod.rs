//! The log contract: what stores streams, and what is promised of it.
//!
//! Reading order: `contract` (the promises) → `batch` (what one commit holds) → `error`.

mod batch;
mod contract;
mod error;

pub use batch::{Batch, Op};
pub use contract::{Cursor, Reader, RunEntry, Store, StreamHead};
pub use error::{AppendMismatch, StoreError};
