//! What a thermostat hears, and how it keeps its connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::{Event, EventLoop, Packet, Publish, QoS, Request, Subscribe, SubscribeFilter};
use serde_json::Value;

use super::{Shared, Topics};
use crate::stack::manifests::TARGET;

/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(50);

/// Listens until it is stopped.
pub(super) async fn listen(mut connection: EventLoop, topics: Topics, shared: Arc<Shared>) {
    let mut unacknowledged = VecDeque::new();
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                shared.record().connections += 1;
                // The client forgets what is unacknowledged when the broker has forgotten the session, as one does
                // that was killed. What the broker's log has it recognises, so all of it is sent again.
                connection.pending = std::mem::take(&mut unacknowledged);
                let filters =
                    topics.heard().map(|topic| SubscribeFilter::new(topic.to_owned(), QoS::AtLeastOnce));
                connection.pending.push_front(Request::Subscribe(Subscribe::new_many(filters)));
            }
            Ok(Event::Incoming(Packet::Publish(message))) => hear(&message, &topics, &shared),
            Ok(_) => {}
            Err(_) => {
                connection.pending.iter_mut().for_each(mark);
                unacknowledged.clone_from(&connection.pending);
                unacknowledged.retain(|request| matches!(request, Request::Publish(_)));
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// What was given a packet id may have been sent before, and then has to say so.
fn mark(request: &mut Request) {
    if let Request::Publish(publish) = request {
        publish.dup = publish.pkid != 0;
    }
}

fn hear(message: &Publish, topics: &Topics, shared: &Shared) {
    // Ledge speaks JSON; what is none is none of its answers, and will be missed.
    let Ok(body) = serde_json::from_slice::<Value>(&message.payload) else { return };
    if message.topic == topics.result {
        let mut record = shared.record();
        if body.get("code").is_some() {
            record.rejection.get_or_insert(body.to_string());
        }
        let first = body["event_id"].as_str().is_some_and(|id| record.answer(id));
        drop(record);
        if first {
            shared.window.add_permits(1);
        }
        shared.answered.notify_waiters();
    } else if message.topic == topics.delta {
        let Some(told) = body["delta"][TARGET].as_str() else { return };
        if shared.setting.borrow().as_deref() != Some(told) {
            shared.record().told.push((told.to_owned(), Instant::now()));
            shared.setting.send_replace(Some(told.to_owned()));
        }
    } else if message.topic == topics.twin {
        shared.twin.send_modify(|(count, twin)| (*count, *twin) = (*count + 1, body["twin"].clone()));
    }
}
