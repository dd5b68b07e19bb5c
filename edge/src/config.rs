//! What `ledge-edge run` runs with. Every key can stand in the YAML file, in `LEDGE_…`, and most in a flag.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledge_process::config::{ConfigError, Effective, Loader};
use ledge_process::telemetry::{FORMAT_VARIABLE, LOG_VARIABLE, TelemetryConfig};
use ledge_process::{ByteSize, HumanDuration};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where everything is kept. No default: `--data-dir` or `LEDGE_DATA_DIR`.
    pub data_dir: PathBuf,
    /// Devices.
    pub mqtt: MqttConfig,
    /// The local API.
    pub api: ApiConfig,
    /// Metrics.
    pub metrics: MetricsConfig,
    /// The log.
    pub log: LogConfig,
    /// How long stopping may take per stage. Default 10 s.
    pub grace: HumanDuration,
    /// What is logged.
    pub telemetry: TelemetryConfig,
}

/// Devices: the embedded broker, or an external one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MqttConfig {
    /// Where the embedded broker listens. Without a password only loopback. Default 127.0.0.1:1883.
    pub listen: SocketAddr,
    /// An external broker, `mqtt://HOST:PORT`; then the embedded one does not run. Default none.
    pub broker: Option<String>,
    /// User that devices must name, or that is named to the external broker. Default none.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

/// The local API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiConfig {
    /// Where it listens. Default 127.0.0.1:10550.
    pub listen: SocketAddr,
}

/// Metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricsConfig {
    /// Where they are served. Default 127.0.0.1:9092.
    pub listen: SocketAddr,
}

/// The log: what it may take, and what of it stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// Bytes that the log may take on the disk; from 80 % on telemetry is refused, from 90 % on state.
    /// Default 1 GiB.
    pub budget: ByteSize,
    /// Proved events beyond these newest bytes are trimmed. Default 64 MiB; per stream.
    pub keep_bytes: ByteSize,
    /// Proved events older than this are trimmed. Default 7 days.
    pub keep_age: HumanDuration,
    /// Between two looks at what can be trimmed. Default 30 s.
    pub trim_interval: HumanDuration,
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::new(),
            mqtt: MqttConfig::default(),
            api: ApiConfig::default(),
            metrics: MetricsConfig::default(),
            log: LogConfig::default(),
            grace: HumanDuration(Duration::from_secs(10)),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self { listen: local(1883), broker: None, username: None, password: None }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { listen: local(10550) }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: local(9092) }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            budget: ByteSize(1 << 30),
            keep_bytes: ByteSize(64 << 20),
            keep_age: HumanDuration(7 * DAY),
            trim_interval: HumanDuration(Duration::from_secs(30)),
        }
    }
}

/// Settings that contradict each other or are missing.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// No place to keep anything.
    #[error("no data directory; pass --data-dir, for example --data-dir /var/lib/ledge-edge")]
    NoDataDir,
    /// One without the other.
    #[error("mqtt.username and mqtt.password go together; set both or none")]
    HalfCredentials,
    /// The file, the environment or the flags.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Config {
    /// Puts the layers together and checks them: file < environment < `flags`.
    ///
    /// # Errors
    /// [`InvalidConfig`].
    pub fn load(file: Option<&Path>, flags: &impl Serialize) -> Result<Effective<Self>, InvalidConfig> {
        let loader = Loader::new()
            .file(file)
            .alias(LOG_VARIABLE, "telemetry.filter")
            .alias(FORMAT_VARIABLE, "telemetry.format");
        let effective: Effective<Self> = loader.flags(flags)?.load()?;
        effective.config.check()?;
        Ok(effective)
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        if self.data_dir.as_os_str().is_empty() {
            return Err(InvalidConfig::NoDataDir);
        }
        if self.mqtt.username.is_some() != self.mqtt.password.is_some() {
            return Err(InvalidConfig::HalfCredentials);
        }
        Ok(())
    }
}
