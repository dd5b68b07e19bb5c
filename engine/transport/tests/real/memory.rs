//! What an idle connection costs. Resident memory is that of the process: nextest gives each test its own.

use crate::common::{Cloud, dial, filled, soon};
use ledge_transport::{Lane, Link, ListenerConfig};

const LINKS: usize = 300;

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Both ends live here, so that half of the growth is one end: sockets, TLS, WebSocket, lanes, tasks.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_idle_connection_is_small_also_after_a_burst() {
    let cloud = Cloud::new();
    let mut hub = cloud.hub(ListenerConfig::default()).await;
    let node = cloud.node("oslo");
    let mut kept: Vec<(Link, Link)> = Vec::new();
    let mut open = async |count: usize| {
        let mut opened = Vec::new();
        for _ in 0..count {
            let link = soon(dial(&hub, node.clone())).await.unwrap();
            opened.push((link, soon(hub.accept()).await.unwrap().link));
        }
        opened
    };
    // What is allocated once, and what the allocator keeps.
    kept.extend(open(20).await);
    let before = resident();
    kept.extend(open(LINKS).await);
    let idle = (resident() - before) / (2 * LINKS);
    println!("idle mutual TLS connection: {idle} bytes of user space per end");
    assert!(idle < 64 * 1024, "{idle} bytes per end; the goal is 40 KiB");

    // A megabyte each way through every link, one after the other: nobody keeps a megabyte.
    let mut idle_again = Vec::new();
    for (node, hub) in kept {
        let ((up, mut down), (back, mut at_hub)) = (node.split(), hub.split());
        up.send(Lane::History, filled(1024 * 1024, 1)).await.unwrap();
        back.send(Lane::History, filled(1024 * 1024, 2)).await.unwrap();
        assert!(soon(at_hub.recv()).await.unwrap().is_some());
        assert!(soon(down.recv()).await.unwrap().is_some());
        idle_again.push((up, down, back, at_hub));
    }
    let after = (resident() - before) / (2 * LINKS);
    println!("the same after a megabyte each way: {after} bytes per end");
    assert!(after < 128 * 1024, "{after} bytes per end stay after a burst");
}
