//! The cloud as its users meet it: the real binary, a node that speaks the real protocol over a real store,
//! and clients of the Kubernetes API.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cloud;
mod devices;
mod edge;
mod joining;
mod process;
mod recovering;
mod sessions;

/// Longest wait for anything; only a failure waits so long.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Waits until `probe` gives something.
#[track_caller]
fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let at = std::panic::Location::caller();
    async move {
        let began = std::time::Instant::now();
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{at}: not in time: {what}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}
