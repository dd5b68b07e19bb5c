//! What `ledge-cloud serve` runs with. Every key can stand in the YAML file, in `LEDGE_…`, and most in a flag.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledge_process::HumanDuration;
use ledge_process::config::{ConfigError, Effective, Loader};
use ledge_process::telemetry::{FORMAT_VARIABLE, LOG_VARIABLE, TelemetryConfig};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where everything is kept. No default: `--data-dir` or `LEDGE_DATA_DIR`.
    pub data_dir: PathBuf,
    /// Where the log lives: rocksdb, and later raft or nats://HOST:PORT. Default rocksdb.
    pub log: String,
    /// A Kubernetes API server to use instead of the built-in one, later. Default none.
    pub kubeconfig: Option<PathBuf>,
    /// Names under which nodes and users reach this cloud, `HOST[:PORT]`, comma-separated; the port is the
    /// hub's. Default none: loopback only.
    pub advertise: String,
    /// Sessions of nodes. Default 127.0.0.1:10000.
    pub hub: ListenConfig,
    /// Joining. Default 127.0.0.1:10002.
    pub join: ListenConfig,
    /// The Kubernetes-style API. Default 127.0.0.1:6443.
    pub api: ListenConfig,
    /// Metrics. Default 127.0.0.1:9091.
    pub metrics: ListenConfig,
    /// Writes of device status to the API.
    pub status: StatusConfig,
    /// How long stopping may take per stage. Default 10 s.
    pub grace: HumanDuration,
    /// What is logged.
    pub telemetry: TelemetryConfig,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenConfig {
    /// Where it listens; port 0 picks a free one.
    pub listen: SocketAddr,
}

impl ListenConfig {
    fn local(port: u16) -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }
}

/// The rate budget of device status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusConfig {
    /// Writes a second, for all devices together. Default 500.
    pub writes_per_second: u32,
    /// Writes at once after a rest. Default 1000.
    pub burst: u32,
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self { writes_per_second: 500, burst: 1000 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::new(),
            log: "rocksdb".to_owned(),
            kubeconfig: None,
            advertise: String::new(),
            hub: ListenConfig::local(10000),
            join: ListenConfig::local(10002),
            api: ListenConfig::local(6443),
            metrics: ListenConfig::local(9091),
            status: StatusConfig::default(),
            grace: HumanDuration(Duration::from_secs(10)),
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// Settings that are missing, wrong, or not there yet.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// No place to keep anything.
    #[error("no data directory; pass --data-dir, for example --data-dir /var/lib/ledge-cloud")]
    NoDataDir,
    /// Another place for the log.
    #[error("--log {log}: only rocksdb is there yet; leave --log out. raft and nats://HOST:PORT come later")]
    Log {
        /// What was asked for.
        log: String,
    },
    /// Another API server.
    #[error("--kubeconfig {}: a real API server cannot be used yet; leave it out to use the built-in one", .path.display())]
    Kubeconfig {
        /// What was asked for.
        path: PathBuf,
    },
    /// Not a name to be reached under.
    #[error(
        "--advertise {text:?} is not HOST or HOST:PORT, for example cloud.example.com or 192.0.2.7:10000"
    )]
    Advertise {
        /// What was found.
        text: String,
    },
    /// The file, the environment or the flags.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A name under which the cloud is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Host name or address.
    pub host: String,
    /// Port of the hub, if another than the one listened on.
    pub port: Option<u16>,
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
        if self.log != "rocksdb" {
            return Err(InvalidConfig::Log { log: self.log.clone() });
        }
        if let Some(path) = &self.kubeconfig {
            return Err(InvalidConfig::Kubeconfig { path: path.clone() });
        }
        if self.data_dir.as_os_str().is_empty() {
            return Err(InvalidConfig::NoDataDir);
        }
        self.advertised().map(drop)
    }

    /// The parts of `advertise`.
    ///
    /// # Errors
    /// [`InvalidConfig::Advertise`].
    pub fn advertised(&self) -> Result<Vec<Advertised>, InvalidConfig> {
        let parts = self.advertise.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| advertised(part).ok_or_else(|| InvalidConfig::Advertise { text: part.to_owned() }))
            .collect()
    }

    /// Names and addresses that the server certificate is for.
    ///
    /// # Errors
    /// [`InvalidConfig::Advertise`].
    pub fn server_names(&self) -> Result<Vec<String>, InvalidConfig> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(self.advertised()?.into_iter().map(|name| name.host));
        for listen in [self.hub.listen, self.join.listen, self.api.listen] {
            if !listen.ip().is_unspecified() {
                names.push(listen.ip().to_string());
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(names)
    }
}

fn advertised(text: &str) -> Option<Advertised> {
    let of = |host: &str, port| {
        let fits = !host.is_empty() && host.len() <= 253 && !host.contains(['/', '@', '[', ']', ' ']);
        fits.then(|| Advertised { host: host.to_owned(), port })
    };
    if let Ok(address) = text.parse::<IpAddr>() {
        return of(&address.to_string(), None);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return of(&address.ip().to_string(), Some(address.port()));
    }
    match text.rsplit_once(':') {
        None => of(text, None),
        Some((host, port)) => {
            of(host, Some(port.parse().ok().filter(|port| *port != 0)?)).filter(|_| !host.contains(':'))
        }
    }
}

/// Where something on this machine reaches a listener.
#[must_use]
pub fn local_address(listening: SocketAddr) -> SocketAddr {
    match listening.ip().is_unspecified() {
        true => SocketAddr::from((Ipv4Addr::LOCALHOST, listening.port())),
        false => listening,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn advertised_names() {
        let config =
            |text: &str| Config { advertise: text.to_owned(), data_dir: "d".into(), ..Config::default() };
        let parts =
            config("cloud.example.com, 192.0.2.7:1000,2001:db8::1,[2001:db8::1]:7").advertised().unwrap();
        let shown: Vec<_> = parts.iter().map(|p| (p.host.as_str(), p.port)).collect();
        let expected = [
            ("cloud.example.com", None),
            ("192.0.2.7", Some(1000)),
            ("2001:db8::1", None),
            ("2001:db8::1", Some(7)),
        ];
        assert_eq!(shown, expected);
        for wrong in ["a:b", "a:0", "a/b", "x:1:2"] {
            assert!(config(wrong).advertised().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_there_yet_says_so() {
        let at = || Config { data_dir: "d".into(), ..Config::default() };
        assert!(at().check().is_ok());
        for log in ["raft", "nats://127.0.0.1:4222"] {
            let text = Config { log: log.into(), ..at() }.check().unwrap_err().to_string();
            assert!(text.contains("only rocksdb is there yet"), "{text}");
        }
        let text = Config { kubeconfig: Some("k".into()), ..at() }.check().unwrap_err().to_string();
        assert!(text.contains("cannot be used yet"), "{text}");
    }
}
