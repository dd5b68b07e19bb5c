//! The broker and the bridge from outside: real sockets, real clients, a real mosquitto.

#![allow(clippy::unwrap_used, reason = "tests")]

mod acks;
mod bridge;
mod fixture;
mod handshake;
mod limits;
mod mosquitto;
mod raw;
mod real_clients;
mod routing;
mod sessions;
mod throughput;
