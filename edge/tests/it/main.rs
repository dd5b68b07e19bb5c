//! The edge as its users meet it: real sockets, a real store, real processes, and a hub where one is needed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod fixture;
mod hub;
mod join;
mod kill;
mod mosquitto;
mod mqtt;
mod offline;
mod process;
mod start;
mod sync;
