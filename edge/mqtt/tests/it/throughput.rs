//! How fast an instant handler is fed: printed, and held to a floor far below what any machine should do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use ledge_mqtt::{BrokerConfig, Claim, Handler, Incoming, Origin, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::Running;
use crate::raw::Raw;

const MESSAGES: usize = 200_000;
const FLOOR: f64 = 10_000.0;

#[derive(Default)]
struct Instantly(AtomicUsize);

impl Handler for Instantly {
    fn classify(&self, _: &str) -> Claim {
        Claim::Logged
    }

    fn publish(&self, _: Origin, _: Incoming) -> BoxFuture<'static, Result<(), Refusal>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        future::ready(Ok(())).boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qos_1_with_sixty_four_in_flight() {
    let handler = Arc::new(Instantly::default());
    let running = Running::start(BrokerConfig::default(), handler.clone()).await;
    let (raw, _) = Raw::v4(running.addr, "d", true).await;
    let batch: Vec<u8> = (1..=64)
        .flat_map(|id| {
            raw.publish_bytes("$hw/events/device/default/pump1/twin/update", &[b'x'; 200], 1, id, false)
        })
        .collect();
    let mut stream = raw.stream;
    stream.set_nodelay(true).unwrap();
    let started = Instant::now();
    let mut acks = [0; 64 * 4];
    for _ in 0..MESSAGES / 64 {
        stream.write_all(&batch).await.unwrap();
        stream.read_exact(&mut acks).await.unwrap();
    }
    let rate = (MESSAGES / 64 * 64) as f64 / started.elapsed().as_secs_f64();
    println!("{rate:.0} messages a second, QoS 1, 200 bytes, 64 in flight, one connection");
    assert_eq!(handler.0.load(Ordering::Relaxed), MESSAGES / 64 * 64);
    assert!(rate > FLOOR, "{rate:.0} a second");
}
