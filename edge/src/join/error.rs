//! Why a node did not join.

use std::io;
use std::path::PathBuf;

use ledge_pki::{JoinError, JoinErrorCode, PkiError};
use ledge_process::{Exit, OpenError};
use ledge_schemas::NodeName;

use crate::address::AddressError;
use crate::http::HttpError;
use crate::layout::EdgeFileError;
use crate::store::StoreOpenError;

/// Each says what is wrong, where, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum JoinFailure {
    /// The data directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log in it.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    /// The directory is another node's.
    #[error("{} belongs to node {found}; pass another --data-dir", .dir.display())]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        found: NodeName,
    },
    /// `edge.json`.
    #[error(transparent)]
    Edge(#[from] EdgeFileError),
    /// A file in `pki/`.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A key or certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The cloud cannot be reached, or is another one than the token's.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The cloud named a hub that is none.
    #[error("the cloud named a hub that cannot be dialled: {0}. Check its --advertise")]
    Hub(#[from] AddressError),
    /// The cloud said no.
    #[error("the cloud refused to let {node} join: {error}{}", hint(*.code))]
    Refused {
        /// Who asked.
        node: NodeName,
        /// For programs.
        code: JoinErrorCode,
        /// Its words.
        error: JoinError,
    },
}

fn hint(code: JoinErrorCode) -> &'static str {
    match code {
        JoinErrorCode::RejoinRequired => {
            ". If this node replaces the one of that name, use a token of `ledge-cloud token create --rejoin --node NAME`"
        }
        JoinErrorCode::TokenExpired | JoinErrorCode::TokenUsedUp | JoinErrorCode::TokenUnknown => {
            ". Get a new token with `ledge-cloud token create`"
        }
        _ => "",
    }
}

impl JoinFailure {
    pub(super) fn refused(node: &NodeName, error: JoinError) -> Self {
        Self::Refused { node: node.clone(), code: error.code, error }
    }

    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Open(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::OtherNode { .. } => Exit::Config,
            Self::Edge(_) => Exit::DataErr,
            Self::File { .. } => Exit::IoErr,
            Self::Pki(_) | Self::Hub(_) => Exit::DataErr,
            Self::Http(HttpError::Tls { .. }) => Exit::NoPerm,
            Self::Http(_) => Exit::Unavailable,
            Self::Refused { error, .. } if error.retryable() => Exit::TempFail,
            Self::Refused { .. } => Exit::NoPerm,
        }
    }
}
