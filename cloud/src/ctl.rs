//! The operations of `D/ctl.sock`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ledge_log::{Class, WriteError};
use ledge_pki::CertificateAuthority;
use ledge_process::{CtlHandler, CtlReply, CtlRequest};
use ledge_schemas::{LogId, NodeName};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::controllers::DeviceController;
use crate::hub::{NodeEvent, Sessions};
use crate::log::{LOG_DIR, Log};
use crate::operations::{self, OperationError, StatusView, TokenRequest};

/// Folder of the checkpoints that tools hold, in the data directory.
pub const CHECKPOINTS_DIR: &str = "checkpoints";

/// Answers tools.
#[derive(Debug)]
pub struct Ctl {
    /// The log.
    pub log: Log,
    /// Who is connected.
    pub sessions: Sessions,
    /// Issues tokens.
    pub authority: Arc<CertificateAuthority>,
    /// Decides what is removed.
    pub devices: DeviceController,
    /// The data directory.
    pub dir: PathBuf,
    /// Addresses by listener.
    pub listeners: BTreeMap<String, String>,
}

/// Arguments of `node-resolve`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResolveArgs {
    /// Which node.
    pub node: NodeName,
    /// The log that lives.
    pub keep: LogId,
}

/// Arguments of `recover`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RecoverArgs {
    /// Whether to do it.
    #[serde(default)]
    pub accept: bool,
}

/// Removes a checkpoint when the tool that asked for it goes.
struct Lease(PathBuf);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(dir = %self.0.display(), %error, "a checkpoint was left behind");
        }
    }
}

fn failed(error: &OperationError) -> CtlReply {
    CtlReply::error(error.code(), error.to_string())
}

fn written<T: Serialize>(result: Result<T, WriteError<OperationError>>) -> CtlReply {
    match result {
        Ok(value) => CtlReply::ok(value),
        Err(WriteError::Refused(error)) => failed(&error),
        Err(error) => CtlReply::error("store", error.to_string()),
    }
}

impl CtlHandler for Ctl {
    async fn handle(&self, request: CtlRequest) -> CtlReply {
        let answer = match request.op.as_str() {
            "status" => self.status(),
            "token-create" => match request.parse() {
                Ok(args) => self.token(args).await,
                Err(reply) => reply,
            },
            "node-list" => match operations::nodes(&self.log.reader, Some(&self.sessions)) {
                Ok(nodes) => CtlReply::ok(nodes),
                Err(error) => failed(&error.into()),
            },
            "node-resolve" => match request.parse() {
                Ok(args) => self.resolve(args).await,
                Err(reply) => reply,
            },
            "recover" => match request.parse::<RecoverArgs>() {
                Ok(args) => match self.devices.recover(args.accept).await {
                    Ok(preview) => CtlReply::ok(preview),
                    Err(error) => CtlReply::error("recover", error.to_string()),
                },
                Err(reply) => reply,
            },
            "checkpoint" => self.checkpoint().await,
            _ => CtlReply::unknown_op(&request),
        };
        tracing::debug!(op = %request.op, "control request");
        answer
    }
}

impl Ctl {
    fn status(&self) -> CtlReply {
        match operations::status(&self.log.reader) {
            Ok(status) => CtlReply::ok(StatusView {
                running: true,
                listeners: self.listeners.clone(),
                live: self.sessions.len(),
                ..status
            }),
            Err(error) => failed(&error.into()),
        }
    }

    async fn token(&self, request: TokenRequest) -> CtlReply {
        let (token, record) = match operations::new_token(&self.authority, request) {
            Ok(made) => made,
            Err(error) => return failed(&error),
        };
        let recorded =
            self.log.writer.write(Class::Configuration, move |txn| operations::record_token(txn, &record));
        written(recorded.await.map(|()| json!({ "token": token.to_string() })))
    }

    async fn resolve(&self, ResolveArgs { node, keep }: ResolveArgs) -> CtlReply {
        let of = node.clone();
        let resolved =
            self.log.writer.write(Class::Configuration, move |txn| operations::resolve(txn, &of, keep));
        let resolved = resolved.await;
        self.sessions.tell(NodeEvent::Decided(node));
        written(resolved)
    }

    async fn checkpoint(&self) -> CtlReply {
        let dir = self.dir.join(CHECKPOINTS_DIR).join(hex::encode(rand::random::<[u8; 8]>()));
        let reader = self.log.reader.clone();
        let at = dir.clone();
        let made = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&at).map_err(|error| error.to_string())?;
            let lease = Lease(at.clone());
            let streams = reader.checkpoint(&at.join(LOG_DIR)).map_err(|error| error.to_string())?;
            Ok::<_, String>((lease, streams))
        });
        match made.await {
            Ok(Ok((lease, streams))) => {
                let streams: BTreeMap<String, u64> =
                    streams.into_iter().map(|(stream, seq)| (stream.to_string(), seq.0)).collect();
                CtlReply::ok(json!({ "dir": dir, "streams": streams })).with_guard(lease)
            }
            Ok(Err(why)) => CtlReply::error("checkpoint", why),
            Err(error) => CtlReply::error("checkpoint", error.to_string()),
        }
    }
}
