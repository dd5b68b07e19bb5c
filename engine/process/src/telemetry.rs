//! Logs: to stderr, because stdout is for results.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Sets [`TelemetryConfig::filter`]: use it as an alias in `config::Loader`.
pub const LOG_VARIABLE: &str = "LEDGE_LOG";
/// Sets [`TelemetryConfig::format`].
pub const FORMAT_VARIABLE: &str = "LEDGE_LOG_FORMAT";

/// The telemetry section of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TelemetryConfig {
    /// Which events are logged, as `level` or `crate=level,…`; default `info`.
    pub filter: String,
    /// How they are written; default `text`.
    pub format: LogFormat,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

/// One event a line, either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; coloured on a terminal unless `NO_COLOR` is set.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(TelemetryError::Format { text: other.to_owned() }),
        }
    }
}

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("{text:?} is not a log filter ({source}); write it as info, debug or ledge_edge=debug,info")]
    Filter {
        /// What was read.
        text: String,
        /// The parser's words.
        source: ParseError,
    },
    /// Neither `text` nor `json`.
    #[error("{text:?} is not a log format; use text or json")]
    Format {
        /// What was read.
        text: String,
    },
    /// There is a subscriber already: a bug, or a second call in one process.
    #[error("logging is already set up: {0}")]
    Twice(#[source] TryInitError),
}

impl TelemetryConfig {
    /// For commands without a configuration: the defaults, then `LEDGE_LOG` and `LEDGE_LOG_FORMAT`.
    pub fn from_env() -> Result<Self, TelemetryError> {
        let mut config = Self::default();
        if let Ok(filter) = std::env::var(LOG_VARIABLE) {
            config.filter = filter;
        }
        if let Ok(format) = std::env::var(FORMAT_VARIABLE) {
            config.format = format.parse()?;
        }
        Ok(config)
    }
}

/// Sends every `tracing` event of the process to stderr from now on. Once per process.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|source| TelemetryError::Filter { text: config.filter.clone(), source })?;
    let colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match config.format {
        LogFormat::Text => lines.with_ansi(colour).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    }
    .map_err(TelemetryError::Twice)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_wrong_filter_and_a_wrong_format_say_what_would_do() {
        let wrong = TelemetryConfig { filter: "ledge=loud".to_owned(), ..TelemetryConfig::default() };
        let error = init(&wrong).unwrap_err().to_string();
        assert!(error.starts_with("\"ledge=loud\" is not a log filter"), "{error}");
        assert_eq!(
            "xml".parse::<LogFormat>().unwrap_err().to_string(),
            "\"xml\" is not a log format; use text or json"
        );
    }
}
