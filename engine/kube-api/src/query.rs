//! Query parameters.

use axum::{extract::Query as AxumQuery, http::Uri};

use crate::status::{ApiError, FieldError};

/// The parameters of one request; of those given twice, the first counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a URL.
    pub(crate) fn read(uri: &Uri) -> Result<Self, ApiError> {
        let AxumQuery(pairs) = AxumQuery::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| ApiError::bad_request(format!("the query cannot be read: {error}")))?;
        Ok(Self(pairs))
    }

    /// A parameter; empty counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A switch: on when given, unless as `false`, `f` or `0`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_lowercase());
        value.is_some_and(|value| !matches!(value.as_str(), "false" | "f" | "0"))
    }

    /// A switch that may be left out.
    pub(crate) fn optional_flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|_| self.flag(name))
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| ApiError::bad_request(format!("{name}: {text:?} is not a number")))
    }

    /// Whether nothing is to be written: `dryRun=All`.
    pub(crate) fn dry_run(&self, options_kind: &str) -> Result<bool, ApiError> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(unsupported(options_kind, "dryRun", other, &["All"])),
        }
    }

    /// What happens to unknown and duplicate fields.
    pub(crate) fn field_validation(&self, options_kind: &str) -> Result<FieldValidation, ApiError> {
        match self.get("fieldValidation") {
            None | Some("Warn") => Ok(FieldValidation::Warn),
            Some("Ignore") => Ok(FieldValidation::Ignore),
            Some("Strict") => Ok(FieldValidation::Strict),
            Some(other) => {
                Err(unsupported(options_kind, "fieldValidation", other, &["Ignore", "Strict", "Warn"]))
            }
        }
    }
}

/// What happens to unknown and duplicate fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Dropped.
    Ignore,
    /// Dropped, with a `Warning` header each.
    Warn,
    /// The request is refused.
    Strict,
}

/// 422 about an option with a value that there is not.
pub(crate) fn unsupported(options_kind: &str, field: &str, value: &str, supported: &[&str]) -> ApiError {
    let supported: Vec<serde_json::Value> = supported.iter().map(|one| serde_json::json!(one)).collect();
    let error = FieldError::not_supported(field, &serde_json::json!(value), &supported);
    ApiError::invalid("meta.k8s.io", options_kind, "", &[error])
}
