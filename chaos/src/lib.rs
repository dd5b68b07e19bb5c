//! The chaos suite and the demo stack: what users run before they believe us.
//!
//! ```text
//!   sim/     whole systems in one thread on virtual time, from a seed
//!   stack/   a cloud, edges and thermostats as real processes, with links that can be cut
//!   demo/    the main story on that stack, each step with its evidence
//!   bench/   our figures beside the machine's own
//!   cli/     the command line
//! ```
//! Depends on: schemas, engine, replay-tools; and the binaries of cloud and edge, as black boxes.
//! Used by:    nobody.

pub mod bench;
pub mod cli;
pub mod demo;
pub mod sim;
pub mod stack;
