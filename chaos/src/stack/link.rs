//! The way from one edge to the cloud: a TCP relay that can be cut.
//!
//! Cut as a network breaks: open connections end at once, new ones are taken and get no answer. When it is healed,
//! those that still wait go through.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::StackError;

/// See the module. It ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Link {
    /// A whole link on a free port.
    pub(super) async fn to(target: SocketAddr) -> Result<Self, StackError> {
        let failed = |source: io::Error| StackError::Spawn { name: format!("the link to {target}"), source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (cut, state) = watch::channel(false);
        let task = tokio::spawn(serve(listener, target, state));
        Ok(Self { address, cut, task })
    }

    /// Where the edge connects.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks it.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Mends it.
    pub fn heal(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, state: watch::Receiver<bool>) {
    let mut relays = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((edge, _)) = accepted {
                    relays.spawn(relay(edge, target, state.clone()));
                }
            }
            Some(_) = relays.join_next() => {}
        }
    }
}

/// One connection. However it ends, both of its sides see it end.
async fn relay(mut edge: TcpStream, target: SocketAddr, mut state: watch::Receiver<bool>) {
    if state.wait_for(|cut| !cut).await.is_err() {
        return;
    }
    let Ok(mut hub) = TcpStream::connect(target).await else { return };
    // What is late anyway is not to wait for more.
    let _ = (edge.set_nodelay(true), hub.set_nodelay(true));
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut edge, &mut hub) => {}
        _ = state.wait_for(|cut| *cut) => {}
    }
}
