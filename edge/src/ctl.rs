//! `D/ctl.sock`: what tools ask of the running edge.
//!
//! | operation | answer |
//! |---|---|
//! | `status` | [`Status`] |
//! | `checkpoint` | `{"dir": "…/checkpoints/…", "streams": {"up/NODE": 17, …}}`; removed when the connection ends |

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ledge_core::log::StoreError;
use ledge_log::{Class, WriterHandle};
use ledge_pki::NodeCredentials;
use ledge_process::{CtlHandler, CtlReply, CtlRequest};
use ledge_schemas::NodeName;
use serde_json::json;
use tokio::sync::watch;

use crate::edgehub::HubState;
use crate::layout::Layout;
use crate::status::{Status, StoreStatus};
use crate::store::{Log, LogReader};

/// See the module.
#[derive(Debug)]
pub struct Control {
    /// The node.
    pub node: NodeName,
    /// Its directory.
    pub layout: Layout,
    /// Its store.
    pub reader: LogReader,
    /// The store's writer.
    pub writer: WriterHandle<Log>,
    /// Its connection.
    pub hub: Arc<watch::Sender<HubState>>,
    /// Why the writer has stopped, if it has.
    pub failure: Arc<watch::Sender<Option<String>>>,
}

impl CtlHandler for Control {
    async fn handle(&self, request: CtlRequest) -> CtlReply {
        match request.op.as_str() {
            "status" => match self.status() {
                Ok(status) => CtlReply::ok(status),
                Err(error) => CtlReply::error("store", error.to_string()),
            },
            "checkpoint" => self.checkpoint().await,
            _ => CtlReply::unknown_op(&request),
        }
    }
}

impl Control {
    fn status(&self) -> Result<Status, StoreError> {
        let refused = |class: &Class| self.writer.admits(*class).is_err();
        let refused = [Class::Telemetry, Class::State].into_iter().filter(refused);
        let failure = self.failure.borrow().clone();
        Ok(Status {
            node: self.node.clone(),
            running: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cloud: self.hub.borrow().clone(),
            streams: Status::streams(&self.reader, &self.node)?,
            devices: Status::devices(&self.reader, &self.node)?,
            store: store_status(
                &self.layout,
                failure.unwrap_or_else(|| "ok".to_owned()),
                refused.map(|class| class.name().to_owned()).collect(),
            ),
            certificate_ends: certificate_ends(&self.layout),
        })
    }

    async fn checkpoint(&self) -> CtlReply {
        let parent = self.layout.checkpoints();
        let lease = Lease(parent.join(format!("{:032x}", rand::random::<u128>())));
        let (reader, path) = (self.reader.clone(), lease.0.clone());
        let made = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&parent).map_err(|error| error.to_string())?;
            reader.checkpoint(&path).map_err(|error| error.to_string())
        });
        match made.await.map_err(|error| error.to_string()).flatten() {
            Ok(streams) => {
                let streams: BTreeMap<_, _> =
                    streams.into_iter().map(|(stream, seq)| (stream.to_string(), seq.0)).collect();
                CtlReply::ok(json!({"dir": lease.0, "streams": streams})).with_guard(lease)
            }
            Err(why) => CtlReply::error("checkpoint", why),
        }
    }
}

/// A checkpoint that is removed when its reader is gone.
struct Lease(PathBuf);

impl Drop for Lease {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.0.display(), %error, "a checkpoint could not be removed");
            }
            _ => {}
        }
    }
}

/// Removes checkpoints that a killed process left.
pub fn remove_checkpoints(layout: &Layout) {
    if let Err(error) = std::fs::remove_dir_all(layout.checkpoints())
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %layout.checkpoints().display(), %error, "old checkpoints could not be removed");
    }
}

/// Sizes of the store in a directory; what cannot be read is 0.
pub(crate) fn store_status(layout: &Layout, health: String, refused: Vec<String>) -> StoreStatus {
    let files = std::fs::read_dir(layout.log().join("db")).into_iter().flatten().filter_map(Result::ok);
    let used_bytes = files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
    let free_bytes = ledge_process::free_space(layout.dir()).map_or(0, |space| space.free);
    StoreStatus { health, used_bytes, free_bytes, refused }
}

/// Unix seconds; `None` if there is no certificate that can be read.
pub(crate) fn certificate_ends(layout: &Layout) -> Option<i64> {
    NodeCredentials::load(&layout.pki()).ok().map(|held| held.info().not_after)
}
