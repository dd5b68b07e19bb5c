//! `GET` of a collection: selectors, pages, and which state a list shows.

use std::{sync::Arc, time::Duration};

use axum::{http::StatusCode, response::Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Value, json};

use super::Call;
use crate::{
    respond::{self, Form, Versioned},
    selector::{field::FieldSelector, label::LabelSelector},
    status::{ApiError, FieldError},
    store::{Listing, ObjectKey, Stored},
    table,
};

/// How long a read waits for a revision that is not there yet.
const FRESH_WAIT: Duration = Duration::from_secs(3);
const FRESH_POLL: Duration = Duration::from_millis(20);

const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new \
    list without the continue parameter.";

/// Label and field selectors of a request.
pub(super) struct Selectors {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selectors {
    pub(super) fn read(call: &Call) -> Result<Self, ApiError> {
        let bad = |error: crate::selector::SelectorError| ApiError::bad_request(error.to_string());
        let labels =
            LabelSelector::parse(call.query.get("labelSelector").unwrap_or_default()).map_err(bad)?;
        let fields = match call.path.name.as_deref() {
            Some(name) if call.path.watch => FieldSelector::name(name),
            _ => FieldSelector::parse(call.query.get("fieldSelector").unwrap_or_default(), &call.resource)
                .map_err(bad)?,
        };
        Ok(Self { labels, fields })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }

    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

#[derive(Serialize)]
struct ListBody<'a> {
    kind: &'a str,
    #[serde(rename = "apiVersion")]
    api_version: String,
    metadata: Value,
    items: Vec<Versioned<'a>>,
}

pub(super) async fn list(call: &Call) -> Result<Response, ApiError> {
    let selectors = Selectors::read(call)?;
    let limit = call.query.number("limit")?.unwrap_or(0);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (listing, start) = state(call).await?;
    let from = match &start {
        Some(start) => listing.items.partition_point(|(key, _)| position(key) < *start),
        None => 0,
    };
    let mut matching =
        listing.items[from..].iter().filter(|(_, stored)| selectors.matches(&stored.object)).peekable();
    let page: Vec<&(ObjectKey, Stored)> =
        if limit == 0 { matching.by_ref().collect() } else { matching.by_ref().take(limit).collect() };
    let mut metadata = json!({ "resourceVersion": listing.revision.to_string() });
    if let Some((next, _)) = matching.peek() {
        metadata["continue"] = json!(token(listing.revision, &position(next)));
        if selectors.is_empty() {
            metadata["remainingItemCount"] = json!(matching.count());
        }
        call.api.keep(&call.resource.id, call.namespace(), &listing);
    }
    Ok(body(call, metadata, &page))
}

fn body(call: &Call, metadata: Value, page: &[&(ObjectKey, Stored)]) -> Response {
    let resource = &call.resource;
    let shown = |stored: &Stored| respond::with_version(&stored.object, stored.revision);
    match call.output.form {
        Form::Whole => {
            let items = page.iter().map(|(_, stored)| Versioned(stored)).collect();
            let body =
                ListBody { kind: &resource.list_kind, api_version: resource.api_version(), metadata, items };
            respond::reply(StatusCode::OK, call.output, &body, &[])
        }
        Form::Partial => {
            let items: Vec<Value> = page.iter().map(|(_, stored)| table::partial(&shown(stored))).collect();
            let body = json!({ "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items });
            respond::reply(StatusCode::OK, call.output, &body, &[])
        }
        Form::Table => {
            let now = (call.api.options.clock)();
            let rows: Vec<Value> = page
                .iter()
                .map(|(_, stored)| table::row(&shown(stored), resource, call.output.include, now))
                .collect();
            let body = json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "columnDefinitions": table::columns(resource), "rows": rows });
            respond::reply(StatusCode::OK, call.output, &body, &[])
        }
    }
}

/// All objects that the request selects, as of now.
pub(super) async fn selected(call: &Call) -> Result<Listing, ApiError> {
    let selectors = Selectors::read(call)?;
    let mut listing = call.api.store.list(&call.resource.id, call.namespace()).await?;
    listing.items.retain(|(_, stored)| selectors.matches(&stored.object));
    Ok(listing)
}

/// A `resourceVersion` parameter; "" and "0" ask for no revision in particular.
pub(super) fn revision(text: Option<&str>) -> Result<Option<u64>, ApiError> {
    match text {
        None | Some("" | "0") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            let error = FieldError::invalid("resourceVersion", &json!(text), "must be a number");
            ApiError::invalid("meta.k8s.io", "ListOptions", "", &[error])
        }),
    }
}

/// Waits until the store has reached `asked`, for a moment.
pub(super) async fn wait_for(call: &Call, asked: u64) -> Result<(), ApiError> {
    let store = &call.api.store;
    let reached = async {
        while store.current_revision() < asked {
            tokio::time::sleep(FRESH_POLL).await;
        }
    };
    let waited = tokio::time::timeout(FRESH_WAIT, reached).await;
    waited.map_err(|_| ApiError::version_too_large(asked, store.current_revision()))
}

/// The state to list, and where to start in it.
async fn state(call: &Call) -> Result<(Arc<Listing>, Option<Position>), ApiError> {
    let (query, id, namespace) = (&call.query, &call.resource.id, call.namespace());
    let asked = revision(query.get("resourceVersion"))?;
    let rule = query.get("resourceVersionMatch");
    check_match(query.get("resourceVersion"), rule, query.get("continue").is_some())?;
    let newest = async || Ok::<_, ApiError>(Arc::new(call.api.store.list(id, namespace).await?));
    if let Some(text) = query.get("continue") {
        if asked.is_some() {
            return Err(ApiError::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let (revision, start) =
            read_token(text).ok_or_else(|| ApiError::bad_request("continue key is not valid"))?;
        let listing = match call.api.kept(id, namespace, revision) {
            Some(listing) => listing,
            None => newest().await?,
        };
        if listing.revision != revision {
            return Err(ApiError::expired(TOO_OLD));
        }
        return Ok((listing, Some(start)));
    }
    match (asked, rule) {
        (Some(asked), Some("Exact")) => {
            wait_for(call, asked).await?;
            let listing = match call.api.kept(id, namespace, asked) {
                Some(listing) => listing,
                None => newest().await?,
            };
            if listing.revision != asked {
                let message = format!("The resourceVersion for the provided list is too old: {asked}");
                return Err(ApiError::expired(message));
            }
            Ok((listing, None))
        }
        (Some(asked), _) => {
            wait_for(call, asked).await?;
            Ok((newest().await?, None))
        }
        (None, _) => Ok((newest().await?, None)),
    }
}

fn check_match(version: Option<&str>, rule: Option<&str>, continues: bool) -> Result<(), ApiError> {
    let Some(rule) = rule else { return Ok(()) };
    let refused = |why: &str| {
        let error = FieldError::forbidden("resourceVersionMatch", why);
        Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[error]))
    };
    match (version, rule) {
        _ if continues => refused("resourceVersionMatch is forbidden when continue is provided"),
        (None, _) => refused("resourceVersionMatch is forbidden unless resourceVersion is provided"),
        (Some("0"), "Exact") => {
            refused(r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#)
        }
        (_, "Exact" | "NotOlderThan") => Ok(()),
        (_, other) => {
            let supported = [json!("Exact"), json!("NotOlderThan"), json!("")];
            let error = FieldError::not_supported("resourceVersionMatch", &json!(other), &supported);
            Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[error]))
        }
    }
}

/// Where in a list an object stands: its namespace and name.
type Position = (String, String);

fn position(key: &ObjectKey) -> Position {
    (key.namespace.clone().unwrap_or_default(), key.name.clone())
}

fn token(revision: u64, next: &Position) -> String {
    let (namespace, name) = next;
    URL_SAFE_NO_PAD
        .encode(json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": [namespace, name] }).to_string())
}

fn read_token(text: &str) -> Option<(u64, Position)> {
    let token: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let part = |n: usize| token["start"][n].as_str().map(str::to_owned);
    (token["v"] == "meta.k8s.io/v1").then_some(())?;
    Some((token["rv"].as_u64()?, (part(0)?, part(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        let start = ("ns".to_owned(), "name".to_owned());
        assert_eq!(read_token(&token(7, &start)), Some((7, start)));
        assert_eq!(read_token("bogus"), None);
        assert_eq!(read_token(""), None);
    }
}
