//! What a process runs with: defaults < YAML file < environment (`LEDGE_…`) < flags; and for every value, who said so.
//!
//! A configuration is one struct that is `Serialize + DeserializeOwned + Default` with `#[serde(default)]`; every
//! key is known from its default, so a default must write every key (an `Option` that is `None` writes null; no
//! `skip_serializing_if`). A *leaf* is a value that is no struct: number, text, bool, list, null, or a map that is empty
//! by default (free-form). `hub.listen` in the file is `LEDGE_HUB_LISTEN` in the environment.
//!
//! Reading order: `leaf` (paths and trees) → `layers` (file, environment, flags) → `locate` (line numbers) →
//! `render` (`--print-config`).

mod error;
mod layers;
mod leaf;
mod locate;
mod render;

pub use error::ConfigError;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use layers::Given;

/// Variables that are not configuration keys: see `telemetry`, and the simulator's broken variants.
const RESERVED: [&str; 3] = ["LEDGE_LOG", "LEDGE_LOG_FORMAT", "LEDGE_BROKEN"];

/// The flags of every process that has a configuration; flatten it into the command's own.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// YAML file with settings; the environment (LEDGE_…) and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the settings that would be used, and where each comes from, then stop
    #[arg(long)]
    pub print_config: bool,
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: the built-in default.
    Default,
    /// The configuration file, with the line where the key was found.
    File {
        /// The file.
        path: PathBuf,
        /// From 1; `None` for YAML written in a way that hides it (flow style).
        line: Option<usize>,
    },
    /// An environment variable.
    Env(String),
    /// A flag on the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => path.display().fmt(f),
            Self::Env(name) => f.write_str(name),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Collects the layers. It opens nothing but the file, and changes nothing.
#[derive(Debug)]
pub struct Loader {
    file: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
    flags: Value,
    aliases: Vec<(&'static str, &'static str)>,
}

impl Loader {
    /// The process's own environment, and no file or flags yet.
    pub fn new() -> Self {
        Self::with_env(std::env::vars_os())
    }

    /// As [`Loader::new`], with an environment that the caller makes up.
    pub fn with_env<N: Into<OsString>, V: Into<OsString>>(env: impl IntoIterator<Item = (N, V)>) -> Self {
        let env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { file: None, env, flags: Value::Null, aliases: Vec::new() }
    }

    /// Reads this file, which must exist: at most 1 MiB of YAML.
    #[must_use]
    pub fn file(mut self, path: Option<&Path>) -> Self {
        self.file = path.map(Path::to_owned);
        self
    }

    /// Another variable for one key, where the rule would give an unhandy name: `("LEDGE_LOG", "telemetry.filter")`.
    /// The rule's own variable wins over it.
    #[must_use]
    pub fn alias(mut self, variable: &'static str, key: &'static str) -> Self {
        self.aliases.push((variable, key));
        self
    }

    /// What the command line said: a struct of `Option`s whose keys are those of the configuration; `None` says nothing.
    /// A dotted key (`#[serde(rename = "hub.listen")]`) reaches into a section, so that the struct can be flat.
    pub fn flags(mut self, flags: &impl Serialize) -> Result<Self, ConfigError> {
        self.flags = serde_yaml_ng::to_value(flags).map_err(ConfigError::Shape)?;
        Ok(self)
    }

    /// Puts the layers together.
    pub fn load<C: Serialize + DeserializeOwned + Default>(self) -> Result<Effective<C>, ConfigError> {
        let defaults = serde_yaml_ng::to_value(C::default()).map_err(ConfigError::Shape)?;
        let known = leaf::leaves(&defaults);
        let mut given = Vec::new();
        if let Some(path) = &self.file {
            given.extend(layers::file(path, &defaults)?);
        }
        let (from_env, ignored) = layers::env(&self.env, &known, &self.aliases)?;
        given.extend(from_env);
        given.extend(layers::flags(&self.flags, &defaults)?);
        let mut tree = defaults.clone();
        let mut origins: BTreeMap<String, Origin> = BTreeMap::new();
        for Given { key, candidates, origin } in given {
            let value = layers::choose::<C>(&defaults, &key, candidates, &origin)?;
            leaf::set(&mut tree, &key, value);
            origins.insert(key, origin);
        }
        let config: C = serde_yaml_ng::from_value(tree).map_err(ConfigError::Conflict)?;
        // Written again from the typed value, so that what is shown is what runs: "60s" is shown as "1m".
        let tree = serde_yaml_ng::to_value(&config).map_err(ConfigError::Shape)?;
        Ok(Effective { config, tree, origins, ignored })
    }
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

/// The settings in force. Displays as YAML with `# from …` after each value: the output of `--print-config`, which is
/// itself a valid configuration file.
#[derive(Clone, Debug)]
pub struct Effective<C> {
    /// The settings.
    pub config: C,
    tree: Value,
    origins: BTreeMap<String, Origin>,
    ignored: Vec<String>,
}

impl<C> Effective<C> {
    /// Who set the leaf at this dotted path.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// Variables that begin with `LEDGE_` and match no key. Not an error, because Kubernetes sets such variables for
    /// services of that name; worth a warning, because it may be a misspelt key.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

impl<C> fmt::Display for Effective<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.ignored {
            writeln!(f, "# ignored: {name} (no such key)")?;
        }
        render::render(f, &self.tree, &|key| self.origin(key).to_string())
    }
}
