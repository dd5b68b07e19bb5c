//! Links over real sockets with real mutual TLS, everything on loopback and free ports.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod handshakes;
mod links;
mod memory;
mod strangers;
