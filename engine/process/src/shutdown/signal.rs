//! SIGTERM and SIGINT.

use std::future::Future;
use std::io;
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Takes over SIGTERM and SIGINT now, and returns a future that ends with the name of the first one. From then on a
/// second one ends the process at once, with 128 + its number as shells report it. Needs a tokio runtime.
pub fn stop_signal() -> io::Result<impl Future<Output = &'static str> + Send> {
    let mut signals =
        Signals { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
    Ok(async move {
        let (name, _) = signals.next().await;
        tokio::spawn(async move {
            let (name, number) = signals.next().await;
            tracing::warn!(signal = name, "second signal, stopping at once");
            process::exit(128 + number);
        });
        name
    })
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            biased;
            _ = self.term.recv() => ("SIGTERM", SignalKind::terminate().as_raw_value()),
            _ = self.int.recv() => ("SIGINT", SignalKind::interrupt().as_raw_value()),
        }
    }
}
