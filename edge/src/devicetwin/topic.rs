//! Topics: which of them mean something to Ledge, and where its answers go.

use ledge_schemas::{DeviceName, NameError, NodeName, limits};

/// What every topic of a device begins with.
const DEVICE: &str = "$hw/events/device/";
/// What every topic of a node begins with.
const NODE: &str = "$hw/events/node/";
/// What devices send up without a twin; the topic itself and all below it.
const UPLOAD: &str = "$hw/events/upload";
/// The older name of the same.
const UPLOAD_RECORDS: &str = "SYS/dis/upload_records";
/// Last levels of the topics that only Ledge writes.
const OWN: [&str; 5] = ["result", "delta", "document", "updated", "cloud_updated"];

/// What becomes of a client's publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To DeviceTwin; see [`Ask::is_logged`].
    Device {
        /// Whose topic it is.
        device: DeviceName,
        /// What is asked.
        ask: Ask,
    },
    /// The list of this node's devices is asked for. Nothing is appended.
    Membership,
    /// Appended as a `Message`, then given to the subscribers.
    Upload,
    /// Plain broker traffic: neither logged nor sent up.
    Plain,
    /// No client may publish there, or no one could answer.
    Refused(Refusal),
}

/// What a device's topic asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `twin/update`
    TwinUpdate,
    /// `twin/get`
    TwinGet,
    /// `state/update`
    StateUpdate,
}

/// Why a topic is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Only Ledge writes there.
    #[error("topic {0:?} is written by Ledge alone; subscribe to it instead")]
    Own(String),
    /// Under `twin/`, but nothing that a twin does.
    #[error("topic {0:?}: a twin knows twin/update and twin/get")]
    UnknownAction(String),
    /// The names in it cannot be a device's.
    #[error("topic {topic:?}: {error}")]
    Name {
        /// As published.
        topic: String,
        /// What is wrong.
        error: NameError,
    },
    /// Longer than the key of an event, which holds it.
    #[error("topic of {0} bytes is over the limit of {limit}", limit = limits::EVENT_KEY)]
    TooLong(usize),
    /// Another node's membership.
    #[error("topic {topic:?}: this is node {here}; it knows its own devices only")]
    OtherNode {
        /// As published.
        topic: String,
        /// The node here.
        here: NodeName,
    },
}

impl Route {
    /// Whether an acknowledgement must wait until something is durable in the log.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        match self {
            Self::Device { ask, .. } => ask.is_logged(),
            Self::Upload => true,
            Self::Membership | Self::Plain | Self::Refused(_) => false,
        }
    }
}

impl Ask {
    /// Whether an accepted one is appended; the others are only answered.
    #[must_use]
    pub fn is_logged(self) -> bool {
        match self {
            Self::TwinUpdate | Self::StateUpdate => true,
            Self::TwinGet => false,
        }
    }

    /// The topic on which a device is answered.
    #[must_use]
    pub fn result_topic(self, device: &DeviceName) -> String {
        let action = match self {
            Self::TwinUpdate => "twin/update",
            Self::TwinGet => "twin/get",
            Self::StateUpdate => "state/update",
        };
        format!("{DEVICE}{device}/{action}/result")
    }
}

/// `D/twin/update/document`
#[must_use]
pub fn document(device: &DeviceName) -> String {
    format!("{DEVICE}{device}/twin/update/document")
}

/// `D/twin/update/delta`
#[must_use]
pub fn delta(device: &DeviceName) -> String {
    format!("{DEVICE}{device}/twin/update/delta")
}

/// `N/membership/get/result`
#[must_use]
pub fn membership_result(node: &NodeName) -> String {
    format!("{NODE}{node}/membership/get/result")
}

/// `N/membership/updated`
#[must_use]
pub fn membership_updated(node: &NodeName) -> String {
    format!("{NODE}{node}/membership/updated")
}

/// Decides by the topic alone. `rule` tells whether a rule takes what is published there.
#[must_use]
pub fn route(node: &NodeName, topic: &str, rule: impl Fn(&str) -> bool) -> Route {
    match meaning(node, topic, rule) {
        Route::Upload if topic.len() > limits::EVENT_KEY => Route::Refused(Refusal::TooLong(topic.len())),
        route => route,
    }
}

fn meaning(node: &NodeName, topic: &str, rule: impl Fn(&str) -> bool) -> Route {
    if let Some(rest) = topic.strip_prefix(DEVICE) {
        return of_device(topic, rest, rule);
    }
    if let Some(rest) = topic.strip_prefix(NODE) {
        return of_node(node, topic, rest, rule);
    }
    let upload = topic.strip_prefix(UPLOAD).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if upload || topic == UPLOAD_RECORDS || of_user(topic) || rule(topic) {
        Route::Upload
    } else {
        Route::Plain
    }
}

fn of_device(topic: &str, rest: &str, rule: impl Fn(&str) -> bool) -> Route {
    if writes_alone(rest) {
        return Route::Refused(Refusal::Own(topic.to_owned()));
    }
    let levels: Vec<&str> = rest.splitn(5, '/').collect();
    let (namespace, name, ask) = match levels[..] {
        [namespace, name, "twin", "update"] => (namespace, name, Ask::TwinUpdate),
        [namespace, name, "twin", "get"] => (namespace, name, Ask::TwinGet),
        [namespace, name, "state", "update"] => (namespace, name, Ask::StateUpdate),
        [_, _, "twin", _] => return Route::Refused(Refusal::UnknownAction(topic.to_owned())),
        _ => return of_rule(topic, rule),
    };
    match DeviceName::new(namespace, name) {
        Ok(device) => Route::Device { device, ask },
        Err(error) => Route::Refused(Refusal::Name { topic: topic.to_owned(), error }),
    }
}

fn of_node(here: &NodeName, topic: &str, rest: &str, rule: impl Fn(&str) -> bool) -> Route {
    if writes_alone(rest) {
        return Route::Refused(Refusal::Own(topic.to_owned()));
    }
    match rest.split_once('/') {
        Some((node, "membership/get")) if node == here.as_str() => Route::Membership,
        Some((_, "membership/get")) => {
            Route::Refused(Refusal::OtherNode { topic: topic.to_owned(), here: here.clone() })
        }
        _ => of_rule(topic, rule),
    }
}

fn of_rule(topic: &str, rule: impl Fn(&str) -> bool) -> Route {
    if rule(topic) { Route::Upload } else { Route::Plain }
}

/// Whether only Ledge writes to a topic of a device or node.
fn writes_alone(rest: &str) -> bool {
    rest.rsplit_once('/').is_some_and(|(_, last)| OWN.contains(&last))
}

/// `+/user/#`; a wildcard in front matches nothing that begins with `$`.
fn of_user(topic: &str) -> bool {
    let user = |rest: &str| rest == "user" || rest.starts_with("user/");
    !topic.starts_with('$') && topic.split_once('/').is_some_and(|(_, rest)| user(rest))
}
