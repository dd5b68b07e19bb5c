//! Where messages come from: the embedded broker, or a bridge to one that is there already.

use std::net::SocketAddr;
use std::sync::Arc;

use ledge_mqtt::{
    BindError, Bridge, BridgeConfig, BridgeError, Broker, BrokerConfig, Credentials, Handler, Publisher,
};
use ledge_schemas::NodeName;
use tokio_util::sync::CancellationToken;

use crate::config::MqttConfig;

/// What devices publish to and Ledge takes: contracts §4.1, and what they ask for.
const SUBSCRIPTIONS: [&str; 7] = [
    "$hw/events/upload/#",
    "SYS/dis/upload_records",
    "$hw/events/device/+/+/twin/update",
    "$hw/events/device/+/+/twin/get",
    "$hw/events/device/+/+/state/update",
    "$hw/events/node/+/membership/get",
    "+/user/#",
];

/// Why there is no MQTT.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// The embedded broker cannot listen.
    #[error("{0}; pass another --mqtt-listen (port 0 picks a free one), or stop the other broker")]
    Broker(#[from] BindError),
    /// The external broker's settings.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
}

/// Bound, and not serving yet.
pub enum Listening {
    /// The embedded broker.
    Broker(Box<Broker>),
    /// A client of an external one.
    Bridge(Box<Bridge>, String),
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address())
    }
}

/// Binds the broker, or prepares the bridge.
///
/// # Errors
/// [`MqttError`].
pub async fn listen(
    node: &NodeName,
    config: &MqttConfig,
    handler: Arc<dyn Handler>,
) -> Result<(Listening, Publisher), MqttError> {
    let credentials = match (&config.username, &config.password) {
        (Some(username), Some(password)) => {
            Some(Credentials { username: username.clone(), password: password.clone() })
        }
        _ => None,
    };
    let Some(url) = &config.broker else {
        let broker =
            BrokerConfig { credentials: credentials.into_iter().collect(), ..BrokerConfig::default() };
        let (broker, publisher) = Broker::bind(config.listen, broker, handler).await?;
        return Ok((Listening::Broker(Box::new(broker)), publisher));
    };
    let mut bridge = BridgeConfig::new(format!("ledge-edge-{node}"), SUBSCRIPTIONS);
    bridge.credentials = credentials;
    let (bridge, publisher) = Bridge::new(url, bridge, handler)?;
    Ok((Listening::Bridge(Box::new(bridge), url.clone()), publisher))
}

impl Listening {
    /// For the ready line: the address listened on, or the external broker's URL.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Broker(broker) => broker.local_addr().to_string(),
            Self::Bridge(_, url) => url.clone(),
        }
    }

    /// The embedded broker's address.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Broker(broker) => Some(broker.local_addr()),
            Self::Bridge(..) => None,
        }
    }

    /// Serves until told to stop; what the handler has is seen through.
    pub async fn run(self, stop: CancellationToken) {
        match self {
            Self::Broker(broker) => broker.run(stop).await,
            Self::Bridge(bridge, _) => bridge.run(stop).await,
        }
    }
}
