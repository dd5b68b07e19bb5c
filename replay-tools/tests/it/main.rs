//! One binary for all tests of `ledge-replay`.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unreachable_pub, reason = "modules of one test binary")]

mod against;
mod cli;
mod device;
mod events;
mod fixture;
mod golden;
mod state;
mod tampered;
mod verify;
