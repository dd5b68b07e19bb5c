//! A device that measures its edge: it speaks MQTT, and knows when it was answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::rig::PATIENCE;
use super::scratch::now_ms;

/// Unacknowledged messages of one client.
const INFLIGHT: u16 = 100;
/// What may wait to be looked at; then the connection is not read.
const INBOX: usize = 1024;

/// What comes in.
enum Came {
    /// The broker took the connection, or a subscription.
    Granted,
    /// A result.
    Result(Value, Instant),
    /// The broker has our message: it is durable.
    Acknowledged,
}

/// See the module. It ends when it is dropped.
pub(super) struct Probe {
    client: AsyncClient,
    came: mpsc::Receiver<Came>,
    task: JoinHandle<ConnectionError>,
    id: String,
    topic: String,
    property: String,
    next: u64,
}

impl Probe {
    /// Connects.
    pub(super) async fn connect(
        broker: SocketAddr,
        id: &str,
        device: &str,
        property: &str,
    ) -> anyhow::Result<Self> {
        let mut options = MqttOptions::new(id, broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(60)).set_inflight(INFLIGHT);
        let (client, mut connection) = AsyncClient::new(options, INFLIGHT.into());
        connection.network_options.set_tcp_nodelay(true);
        let (sender, came) = mpsc::channel(INBOX);
        let task = tokio::spawn(listen(connection, sender));
        let topic = format!("$hw/events/device/default/{device}/twin/update");
        let (id, property) = (id.to_owned(), property.to_owned());
        let mut probe = Self { client, came, task, id, topic, property, next: 0 };
        probe.granted().await?;
        Ok(probe)
    }

    /// Hears the results of the device's updates, as [`Probe::update`] needs.
    pub(super) async fn listen(&mut self) -> anyhow::Result<()> {
        self.client.subscribe(format!("{}/result", self.topic), QoS::AtLeastOnce).await?;
        self.granted().await
    }

    async fn granted(&mut self) -> anyhow::Result<()> {
        while !matches!(self.come().await?, Came::Granted) {}
        Ok(())
    }

    async fn come(&mut self) -> anyhow::Result<Came> {
        match timeout(PATIENCE, self.came.recv()).await.context("waiting for the broker")? {
            Some(came) => Ok(came),
            None => Err(anyhow!((&mut self.task).await?).context("the connection to the broker")),
        }
    }

    /// Publishes another value; gives it with the id of its message.
    async fn publish(&mut self) -> anyhow::Result<(String, String)> {
        self.next += 1;
        let (id, value) = (format!("{}-{}", self.id, self.next), format!("{}.{}", self.next, self.id));
        let now = now_ms();
        let actual = json!({ "value": value, "metadata": { "timestamp": now } });
        let twin = json!({ &self.property: { "actual": actual, "metadata": { "type": "string" } } });
        let update = json!({ "event_id": id, "timestamp": now, "twin": twin }).to_string();
        self.client.publish(&self.topic, QoS::AtLeastOnce, false, update).await?;
        Ok((id, value))
    }

    /// Updates the twin; gives the value, when that began, and how long the result took.
    pub(super) async fn update(&mut self) -> anyhow::Result<(String, Instant, Duration)> {
        let began = Instant::now();
        let (id, value) = self.publish().await?;
        loop {
            if let Came::Result(result, at) = self.come().await?
                && result["event_id"] == id.as_str()
            {
                if let Some(code) = result.get("code") {
                    bail!("the edge rejects an update with {code}: {}", result["reason"]);
                }
                return Ok((value, began, at.duration_since(began)));
            }
        }
    }

    /// Updates the twin so often, many at once, until the last one is acknowledged.
    pub(super) async fn flood(&mut self, count: u64) -> anyhow::Result<()> {
        let (mut sent, mut acknowledged) = (0, 0);
        while acknowledged < count {
            if sent < count && sent - acknowledged < u64::from(INFLIGHT) {
                self.publish().await?;
                sent += 1;
            } else if matches!(self.come().await?, Came::Acknowledged) {
                acknowledged += 1;
            }
        }
        Ok(())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until the connection breaks, which nothing here survives.
async fn listen(mut connection: EventLoop, sender: mpsc::Sender<Came>) -> ConnectionError {
    loop {
        let came = match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_) | Packet::SubAck(_))) => Came::Granted,
            Ok(Event::Incoming(Packet::PubAck(_))) => Came::Acknowledged,
            Ok(Event::Incoming(Packet::Publish(message))) => {
                let at = Instant::now();
                Came::Result(serde_json::from_slice(&message.payload).unwrap_or_default(), at)
            }
            Ok(_) => continue,
            Err(error) => return error,
        };
        // Nobody listens any more: the probe is about to end this task.
        let _ = sender.send(came).await;
    }
}
