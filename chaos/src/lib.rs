//! The chaos suite and the demo stack: what users run before they believe us.
//!
//! ```text
//!   sim/   whole systems in one thread on virtual time, from a seed
//! ```
//! Depends on: everything.  Used by: nobody.

pub mod cli;
pub mod sim;
