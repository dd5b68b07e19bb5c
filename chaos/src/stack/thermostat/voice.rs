//! What a thermostat says: one report after the other.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rumqttc::{AsyncClient, ClientError, QoS};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::record::Report;
use super::{Order, Shared, Topics};
use crate::stack::manifests::{TARGET, TEMPERATURE};

/// See the module.
pub(super) struct Voice {
    name: String,
    topics: Topics,
    client: AsyncClient,
    shared: Arc<Shared>,
    setting: watch::Receiver<Option<String>>,
    /// Thousandths of a degree: every measurement is above the last.
    temperature: u32,
    reports: usize,
}

impl Voice {
    pub(super) fn new(
        name: &str,
        topics: Topics,
        client: AsyncClient,
        shared: Arc<Shared>,
        setting: watch::Receiver<Option<String>>,
    ) -> Self {
        Self { name: name.to_owned(), topics, client, shared, setting, temperature: 18_000, reports: 0 }
    }

    /// Obeys until nobody orders any more, or until the client is gone.
    pub(super) async fn speak(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let said = tokio::select! {
                changed = self.setting.changed() => match changed {
                    Ok(()) => self.confirm().await,
                    Err(_) => return,
                },
                order = orders.recv() => match order {
                    Some(Order::Report(count)) => self.measure(count).await,
                    Some(Order::Get) => self.say(self.topics.get.clone(), &json!({"event_id": "twin"})).await,
                    None => return,
                },
            };
            if said.is_err() {
                return;
            }
        }
    }

    async fn measure(&mut self, count: usize) -> Result<(), ClientError> {
        for _ in 0..count {
            // What it is told comes first: whoever turns the knob wants to see it move.
            if self.setting.has_changed().unwrap_or(false) {
                self.confirm().await?;
            }
            self.temperature += 1;
            let value = format!("{}.{:03}", self.temperature / 1000, self.temperature % 1000);
            self.report(TEMPERATURE, value).await?;
        }
        Ok(())
    }

    /// Holds what it was told to hold, and says so.
    async fn confirm(&mut self) -> Result<(), ClientError> {
        let setting = self.setting.borrow_and_update().clone();
        match setting {
            Some(value) => self.report(TARGET, value).await,
            None => Ok(()),
        }
    }

    async fn report(&mut self, property: &str, value: String) -> Result<(), ClientError> {
        // Given back by the answer.
        if let Ok(permit) = self.shared.window.acquire().await {
            permit.forget();
        }
        self.reports += 1;
        let event_id = format!("{}-{}", self.name, self.reports);
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let payload = json!({
            "event_id": event_id,
            "timestamp": timestamp as u64,
            "twin": { property: { "actual": { "value": value } } },
        });
        let (property, sent) = (property.to_owned(), Instant::now());
        self.shared.record().sent(Report { event_id, property, value, sent, answered: None });
        self.say(self.topics.update.clone(), &payload).await
    }

    async fn say(&self, topic: String, payload: &Value) -> Result<(), ClientError> {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload.to_string()).await
    }
}
