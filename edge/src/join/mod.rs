//! `ledge-edge join`: from a token to a certificate, and to a data directory that `run` can start from.
//!
//! ```text
//! DataDir ─► log with a log id ─► node.key ─► POST /v1/join ─► joined.json ─► node.pem ─► edge.json
//!            (durable, named in the request)   TLS verified    what the       (replaces   "joined"
//!                                              by the CA hash  cloud said      node.key)
//! ```
//! Each step is durable before the next and finds what an interrupted one left: the key and the log id stay,
//! and once the cloud has answered, no second answer is needed. The key never leaves the directory.

mod error;

pub use error::JoinFailure;

use std::fs;

use ledge_pki::{
    JoinError, JoinRequest, JoinResponse, MAX_JOIN_BODY, NodeCredentials, NodeKey, Token, UnixSeconds,
    join_client_config,
};
use ledge_process::data_dir::OpenMode;
use ledge_process::{DataDir, Role, atomic_write};
use ledge_schemas::{LogId, NodeName};

use crate::address::HostPort;
use crate::http::post;
use crate::layout::{Edge, EdgeFileError, Layout};
use crate::store;

/// What is asked for.
#[derive(Debug)]
pub struct Join {
    /// Where the cloud's join listener is.
    pub cloud: HostPort,
    /// What proves the right to join, and by which the cloud is known.
    pub token: Token,
    /// The name to join under.
    pub node: NodeName,
    /// Where everything is kept.
    pub layout: Layout,
}

impl Join {
    /// Joins, or finishes a join that was interrupted.
    ///
    /// # Errors
    /// [`JoinFailure`].
    pub async fn run(self) -> Result<Edge, JoinFailure> {
        let _dir = DataDir::open(self.layout.dir(), Role::Edge, OpenMode::Create)?;
        self.check_name()?;
        let log_id = store::prepare(&self.layout, &self.node)?;
        let pki = self.layout.pki();
        fs::create_dir_all(&pki).map_err(|source| JoinFailure::File { path: pki.clone(), source })?;
        let interrupted =
            self.interrupted()?.and_then(|response| Some((self.credentials(&response).ok()?, response)));
        let (credentials, response) = match interrupted {
            Some(found) => found,
            None => {
                let response = self.ask(log_id).await?;
                (self.credentials(&response)?, response)
            }
        };
        credentials.store(&pki)?;
        let hub = response.hub.iter().map(|hub| hub.parse()).collect::<Result<_, _>>()?;
        let edge = Edge { node: self.node.clone(), hub, cloud: self.cloud.clone() };
        edge.store(&self.layout)?;
        let joined = self.layout.joined();
        fs::remove_file(&joined).map_err(|source| JoinFailure::File { path: joined, source })?;
        Ok(edge)
    }

    /// One directory is one node's, for good: its log bears the name.
    fn check_name(&self) -> Result<(), JoinFailure> {
        match Edge::load(&self.layout) {
            Ok(edge) if edge.node != self.node => {
                Err(JoinFailure::OtherNode { dir: self.layout.dir().to_owned(), found: edge.node })
            }
            Ok(_) | Err(EdgeFileError::NotJoined { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the cloud's answer makes of this node, by the key that waits or, if that was replaced already, by
    /// the credentials that replaced it.
    fn credentials(&self, response: &JoinResponse) -> Result<NodeCredentials, JoinFailure> {
        let pki = self.layout.pki();
        let held = NodeCredentials::load(&pki).ok();
        match held.filter(|held| held.certificate_pem().trim() == response.certificate_pem.trim()) {
            Some(held) => Ok(held),
            None => {
                let key = NodeKey::load_or_generate(&pki)?;
                Ok(response.accept(&self.token, key, self.node.as_str(), now())?)
            }
        }
    }

    /// The cloud's answer, if a former attempt got one and did not come to its end.
    fn interrupted(&self) -> Result<Option<JoinResponse>, JoinFailure> {
        let path = self.layout.joined();
        let bytes = match crate::layout::read_bounded(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(JoinFailure::File { path, source }),
        };
        Ok(JoinResponse::parse(&bytes).ok())
    }

    async fn ask(&self, log_id: LogId) -> Result<JoinResponse, JoinFailure> {
        let key = NodeKey::load_or_generate(&self.layout.pki())?;
        let request = JoinRequest {
            token: self.token.to_string(),
            node: self.node.to_string(),
            csr_pem: key.signing_request(self.node.as_str())?,
            store_id: Some(log_id.to_string()),
        };
        let (status, body) =
            post(&self.cloud, join_client_config(&self.token)?, "/v1/join", &request).await?;
        if status != 200 {
            return Err(JoinFailure::refused(&self.node, JoinError::parse(status, &body)));
        }
        let response = JoinResponse::parse(&body)?;
        let path = self.layout.joined();
        debug_assert!(body.len() <= MAX_JOIN_BODY, "post bounds what it reads");
        atomic_write(&path, &body, 0o600).map_err(|source| JoinFailure::File { path, source })?;
        Ok(response)
    }
}

fn now() -> UnixSeconds {
    i64::try_from(crate::eventbus::now().ms / 1000).unwrap_or(i64::MAX)
}
