//! Why an edge does not start.

use std::io;

use ledge_process::control::CtlBindError;
use ledge_process::metrics::MetricsError;
use ledge_process::{Exit, OpenError};

use crate::api::ApiError;
use crate::eventbus::MqttError;
use crate::layout::EdgeFileError;
use crate::store::StoreOpenError;

/// Each says what is wrong, where, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// `edge.json`.
    #[error(transparent)]
    Edge(#[from] EdgeFileError),
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    /// MQTT.
    #[error(transparent)]
    Mqtt(#[from] MqttError),
    /// The local API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] CtlBindError),
    /// No thread for the writer, or one that died.
    #[error("the system gives no thread: {0}")]
    Thread(io::Error),
}

impl StartError {
    pub(crate) fn task(error: tokio::task::JoinError) -> Self {
        Self::Thread(io::Error::other(error))
    }

    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Open(error) => error.exit(),
            Self::Edge(EdgeFileError::NotJoined { .. }) => Exit::Config,
            Self::Edge(_) => Exit::DataErr,
            Self::Store(error) => error.exit(),
            Self::Mqtt(MqttError::Bridge(_)) => Exit::Config,
            Self::Mqtt(MqttError::Broker(
                ledge_mqtt::BindError::OpenToNetwork { .. } | ledge_mqtt::BindError::Setting { .. },
            )) => Exit::Config,
            Self::Mqtt(_) | Self::Api(_) | Self::Metrics(_) | Self::Control(_) => Exit::Unavailable,
            Self::Thread(_) => Exit::OsErr,
        }
    }
}
