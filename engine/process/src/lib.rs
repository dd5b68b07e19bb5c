//! process — what `ledge-cloud`, `ledge-edge`, `ledge-replay` and `ledge-chaos` share around their own work.
//!
//! ```text
//!  defaults < YAML file < LEDGE_… < flags ──► config ──► telemetry (stderr) ──► DataDir (lock, FORMAT)
//!                                                                                   │
//!  stdout ◄── ready_line ◄── your listeners, control::CtlServer (D/ctl.sock), metrics::MetricsServer
//!                                                                                   │ run in Stages
//!  Exit ◄── shutdown::exit ◄── Stage::drain, upstream first ◄── first_of(signal, a failed task)
//! ```
//!
//! Reading order: [`exit`] → [`config`] → [`telemetry`] → [`data_dir`] → [`shutdown`] → [`control`] → [`metrics`]
//! → [`ready`] → [`output`] → [`units`].
//!
//! Depends on: nothing of Ledge. Used by: cloud, edge, replay-tools, chaos.
//!
//! Absent on purpose: logs, events and sessions (engine/core and the stores own them), TLS, and every
//! decision about *what* a process serves. Nothing here downloads, daemonises or forks.

pub mod config;
pub mod control;
pub mod data_dir;
pub mod exit;
pub mod metrics;
pub mod output;
pub mod ready;
pub mod shutdown;
pub mod telemetry;
pub mod units;

pub use config::{ConfigArgs, ConfigError, Effective, Loader};
pub use control::{CtlClient, CtlError, CtlHandler, CtlReply, CtlRequest, CtlServer};
pub use data_dir::{DataDir, OpenError, OpenMode, Role, atomic_write, free_space};
pub use exit::{Exit, fail, fail_with_hint};
pub use output::{Output, Table};
pub use ready::{Ready, ready_line};
pub use shutdown::{Drained, Stage, first_of, stop_signal};
pub use units::{ByteSize, HumanDuration};
