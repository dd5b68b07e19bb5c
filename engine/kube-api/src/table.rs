//! Objects as `kubectl get` prints them: `Table`.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::registry::{Column, Resource, Source};

/// Which part of the objects the rows carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    /// No object.
    None,
    /// `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// The `columnDefinitions` of a resource.
pub(crate) fn columns(resource: &Resource) -> Value {
    let name = json!({ "name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": "Name must be unique within a namespace." });
    let further = resource.columns.iter().map(|column| {
        let kind = if column.kind == "date" && resource.is_builtin() { "string" } else { &column.kind };
        json!({ "name": column.name, "type": kind, "format": "", "priority": column.priority, "description": column.description })
    });
    std::iter::once(name).chain(further).collect()
}

/// The row of one object, `object` being complete with its `resourceVersion`.
pub(crate) fn row(object: &Value, resource: &Resource, include: IncludeObject, now: Timestamp) -> Value {
    let mut cells = vec![object["metadata"]["name"].clone()];
    cells.extend(resource.columns.iter().map(|column| cell(column, object, now, resource.is_builtin())));
    let mut row = json!({ "cells": cells });
    match include {
        IncludeObject::None => row["object"] = Value::Null,
        IncludeObject::Metadata => row["object"] = partial(object),
        IncludeObject::Object => row["object"] = object.clone(),
    }
    row
}

/// `PartialObjectMetadata` of an object.
pub(crate) fn partial(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
}

fn cell(column: &Column, object: &Value, now: Timestamp, builtin: bool) -> Value {
    let value = match &column.source {
        Source::Path(path) => path.first(object).cloned().unwrap_or(Value::Null),
        Source::Computed(compute) => compute(object),
    };
    match (column.kind.as_str(), value) {
        ("date", Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(then) => json!(human_duration(now.as_second() - then.as_second())),
            Err(_) => json!("<invalid>"),
        },
        ("date", _) => json!("<unknown>"),
        ("string", Value::Null) if builtin => json!(""),
        ("string", value @ (Value::Null | Value::String(_))) => value,
        ("string", other) => json!(other.to_string()),
        (_, value) => value,
    }
}

/// A number of seconds as ages are shown: `5s`, `3m20s`, `2h5m`, `3d4h`, `200d`, `3y20d`.
pub(crate) fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let pair = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
    };
    let (minutes, hours, days) = (seconds / MINUTE, seconds / HOUR, seconds / DAY);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % MINUTE, "s"),
        _ if minutes < 3 * 60 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 8 * 24 => pair(days, "d", hours % 24, "h"),
        _ if days < 2 * 365 => format!("{days}d"),
        _ if days < 8 * 365 => pair(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_kubectl_users_know_them() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (190_800, "2d5h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }
}
