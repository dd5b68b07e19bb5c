//! The floors: what the disk gives to a program that does nothing but `write` and `fdatasync`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

/// A growing file.
#[derive(Debug)]
pub(super) struct RawFile {
    path: PathBuf,
    file: File,
}

impl RawFile {
    pub(super) fn create(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        file.sync_all()?;
        Ok(Self { path, file })
    }

    /// Microseconds until these bytes are durable.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<f64> {
        let began = Instant::now();
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        Ok(began.elapsed().as_secs_f64() * 1e6)
    }
}

impl Drop for RawFile {
    fn drop(&mut self) {
        // Only room on the disk is lost if it stays; it is in a temporary directory.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Waits for its bytes to be durable.
type Waiter = (Vec<u8>, oneshot::Sender<()>);

/// The greedy writer of `ledge_log::writer`, without a log: drains its queue into one `write` and one `fdatasync`.
#[derive(Clone, Debug)]
pub(super) struct RawWriter {
    queue: mpsc::Sender<Waiter>,
}

/// As `WriterConfig::queue` and `max_batch_bytes`.
const QUEUE: usize = 4096;
const BATCH: usize = 1024 * 1024;

impl RawWriter {
    /// Its thread ends when the last clone is dropped, or when the disk fails: then whoever waits gets an error.
    pub(super) fn start(mut file: RawFile) -> io::Result<Self> {
        let (queue, mut jobs) = mpsc::channel::<Waiter>(QUEUE);
        std::thread::Builder::new().name("raw-writer".to_owned()).spawn(move || {
            let (mut bytes, mut waiters) = (Vec::new(), Vec::new());
            while let Some((first, waiter)) = jobs.blocking_recv() {
                bytes.extend(first);
                waiters.push(waiter);
                while bytes.len() < BATCH
                    && let Ok((next, waiter)) = jobs.try_recv()
                {
                    bytes.extend(next);
                    waiters.push(waiter);
                }
                if file.append(&bytes).is_err() {
                    return;
                }
                bytes.clear();
                for waiter in waiters.drain(..) {
                    // A producer that stopped at the end of its time.
                    let _ = waiter.send(());
                }
            }
        })?;
        Ok(Self { queue })
    }

    pub(super) async fn append(&self, bytes: Vec<u8>) -> anyhow::Result<()> {
        let (waiter, done) = oneshot::channel();
        let sent = self.queue.send((bytes, waiter)).await;
        sent.map_err(|_| anyhow::anyhow!("the raw writer has ended"))?;
        Ok(done.await?)
    }
}

/// What a raw writer is asked to write, `count` times over.
pub(super) fn batch(bodies: &Arc<[Vec<u8>]>, bytes: usize) -> Vec<u8> {
    bodies.iter().cycle().flatten().copied().take(bytes).collect()
}
