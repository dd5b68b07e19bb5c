//! What is applied: a model, and a device per edge.

use serde_json::{Value, json};

/// Group and version of devices.
pub const API_VERSION: &str = "devices.kubeedge.io/v1beta1";
/// What a thermostat is to hold; the cloud wishes it.
pub const TARGET: &str = "target";
/// What a thermostat measures.
pub const TEMPERATURE: &str = "temperature";

/// A thermostat that measures one property and is told another.
#[must_use]
pub fn model() -> Value {
    let property = |name: &str, access: &str| json!({ "name": name, "type": "STRING", "accessMode": access, "unit": "degrees Celsius" });
    json!({
        "apiVersion": API_VERSION,
        "kind": "DeviceModel",
        "metadata": { "name": "thermostat", "namespace": "default" },
        "spec": { "protocol": "mqtt", "properties": [property(TARGET, "ReadWrite"), property(TEMPERATURE, "ReadOnly")] },
    })
}

/// A thermostat on a node, and what it is to hold.
#[must_use]
pub fn device(name: &str, node: &str, target: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "Device",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "deviceModelRef": { "name": "thermostat" },
            "nodeName": node,
            "protocol": { "protocolName": "mqtt" },
            "properties": [
                { "name": TARGET, "desired": { "value": target } },
                { "name": TEMPERATURE, "reportToCloud": true },
            ],
        },
    })
}
