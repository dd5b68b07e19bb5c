//! File < environment < flags, and errors that name the place to change.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ledge_process::config::Origin;
use ledge_process::{ByteSize, ConfigError, Effective, HumanDuration, Loader};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Config {
    hub: Hub,
    advertise: Vec<String>,
    node: Option<String>,
    labels: BTreeMap<String, String>,
    quiet: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Hub {
    listen: String,
    keepalive: HumanDuration,
    buffer: ByteSize,
    sessions: u16,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:10000".into(),
            keepalive: "15s".parse().unwrap(),
            buffer: ByteSize(64 << 20),
            sessions: 1000,
        }
    }
}

#[derive(Default, Serialize)]
struct Flags {
    #[serde(rename = "hub.listen")]
    hub_listen: Option<String>,
    quiet: Option<bool>,
}

struct Case {
    _temp: tempfile::TempDir,
    path: PathBuf,
    env: Vec<(&'static str, &'static str)>,
    flags: Flags,
}

fn with(file: &str) -> Case {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("ledge.yaml");
    std::fs::write(&path, file).unwrap();
    Case { _temp: temp, path, env: vec![], flags: Flags::default() }
}

impl Case {
    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }
    fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }
    fn try_load(&self) -> Result<Effective<Config>, ConfigError> {
        let env = self.env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Loader::with_env(env).file(Some(&self.path)).alias("LEDGE_LOG", "node").flags(&self.flags)?.load()
    }
    fn load(&self) -> Effective<Config> {
        self.try_load().unwrap()
    }
    #[track_caller]
    fn fails(&self, expected: &str) {
        let error = self.try_load().unwrap_err().to_string();
        let error = error.replace(&self.path.display().to_string(), "FILE");
        assert_eq!(error, expected);
    }
}

#[test]
fn nothing_given_is_the_default() {
    let effective = with("").load();
    assert_eq!(effective.config, Config::default());
    assert_eq!(effective.origin("hub.listen"), &Origin::Default);
}

#[test]
fn each_layer_overrides_the_one_below_and_is_named() {
    let file = "hub:\n  listen: f:1\n  keepalive: 60s\n  sessions: 5\n";
    let case = with(file)
        .env("LEDGE_HUB_LISTEN", "e:2")
        .env("LEDGE_HUB_KEEPALIVE", "90s")
        .flags(Flags { hub_listen: Some("flag:3".into()), quiet: Some(true) });
    let effective = case.load();
    assert_eq!(effective.config.hub.listen, "flag:3");
    assert_eq!(effective.config.hub.keepalive.to_string(), "1m30s");
    assert_eq!(effective.config.hub.sessions, 5);
    assert!(effective.config.quiet);
    assert_eq!(effective.origin("hub.listen"), &Origin::Flag);
    assert_eq!(effective.origin("hub.keepalive"), &Origin::Env("LEDGE_HUB_KEEPALIVE".into()));
    assert_eq!(effective.origin("hub.sessions"), &Origin::File { path: case.path.clone(), line: Some(4) });
    assert_eq!(effective.origin("hub.buffer"), &Origin::Default);
}

#[test]
fn variables_fit_the_type_of_their_key() {
    let effective = with("")
        .env("LEDGE_ADVERTISE", "a.example, b.example:1")
        .env("LEDGE_NODE", "42")
        .env("LEDGE_HUB_BUFFER", "1GiB")
        .env("LEDGE_HUB_SESSIONS", "7")
        .env("LEDGE_QUIET", "true")
        .env("LEDGE_LABELS", "{zone: oslo}")
        .load();
    let config = effective.config;
    assert_eq!(config.advertise, ["a.example", "b.example:1"]);
    assert_eq!(config.node.as_deref(), Some("42"));
    assert_eq!((config.hub.buffer, config.hub.sessions, config.quiet), (ByteSize(1 << 30), 7, true));
    assert_eq!(config.labels["zone"], "oslo");
}

#[test]
fn an_alias_sets_its_key_unless_the_plain_variable_does() {
    assert_eq!(with("").env("LEDGE_LOG", "a").load().config.node.as_deref(), Some("a"));
    for order in [["LEDGE_LOG", "LEDGE_NODE"], ["LEDGE_NODE", "LEDGE_LOG"]] {
        let case = order.into_iter().fold(with(""), |case, name| case.env(name, name));
        assert_eq!(case.load().config.node.as_deref(), Some("LEDGE_NODE"));
    }
}

#[test]
fn variables_that_match_no_key_are_listed_and_not_fatal() {
    let effective = with("").env("LEDGE_CLOUD_SERVICE_HOST", "10.0.0.1").env("PATH", "/bin").load();
    assert_eq!(effective.ignored(), ["LEDGE_CLOUD_SERVICE_HOST"]);
    assert!(effective.to_string().starts_with("# ignored: LEDGE_CLOUD_SERVICE_HOST (no such key)\n"));
}

#[test]
fn an_unknown_key_names_file_line_and_the_key_that_was_meant() {
    with("quiet: true\nhub:\n  lisen: x\n")
        .fails(r#"FILE:3: unknown key "hub.lisen"; did you mean "hub.listen"?"#);
    with("\nzzzzzzzz: 1\n").fails(r#"FILE:2: unknown key "zzzzzzzz""#);
}

#[test]
fn a_wrong_value_names_file_and_line() {
    with("hub:\n  keepalive: soon\n").fails(
        r#"FILE:2: hub.keepalive: "soon" is not a duration; write it as 500ms, 15s, 10m, 24h, 7d or 1h30m"#,
    );
    with("hub: x\n").fails("FILE:1: hub: is a section with the keys listen, keepalive, buffer, sessions");
    let error = with("hub:\n  sessions: 70000\n").try_load().unwrap_err();
    assert!(matches!(&error, ConfigError::Value { key, .. } if key == "hub.sessions"), "{error}");
}

#[test]
fn a_wrong_value_in_the_environment_names_the_variable() {
    let error = with("").env("LEDGE_HUB_SESSIONS", "many").try_load().unwrap_err().to_string();
    assert!(error.starts_with("LEDGE_HUB_SESSIONS: hub.sessions: invalid type: string \"many\""), "{error}");
}

#[test]
fn a_file_that_is_no_settings_is_refused() {
    let missing = Loader::with_env([("A", "b")]).file(Some(Path::new("/no/such.yaml"))).load::<Config>();
    assert!(matches!(missing, Err(ConfigError::Read { .. })));
    with("- a\n").fails("FILE is not a YAML map of settings: the document is not a map");
    assert!(matches!(with("hub: [\n").try_load(), Err(ConfigError::Syntax { .. })));
    assert!(matches!(with(&"#".repeat((1 << 20) + 1)).try_load(), Err(ConfigError::TooLong { .. })));
}

#[test]
fn a_section_with_everything_commented_out_changes_nothing() {
    assert_eq!(with("hub:\n  # listen: x\n").load().config, Config::default());
}

#[test]
fn what_is_printed_says_where_from_and_reads_back_as_the_same_settings() {
    let case = with("hub:\n  keepalive: 60s\nlabels: {zone: \"a b\"}\n")
        .env("LEDGE_ADVERTISE", "a,b")
        .flags(Flags { hub_listen: None, quiet: Some(true) });
    let effective = case.load();
    let printed = effective.to_string();
    let shown = printed.replace(&case.path.display().to_string(), "FILE");
    let expected = "\
hub:
  listen: 127.0.0.1:10000                # from default
  keepalive: 1m                          # from FILE:2
  buffer: 64MiB                          # from default
  sessions: 1000                         # from default
advertise: [\"a\",\"b\"]                     # from LEDGE_ADVERTISE
node: null                               # from default
labels: {\"zone\":\"a b\"}                   # from FILE:3
quiet: true                              # from flag
";
    assert_eq!(shown, expected);
    assert_eq!(with(&printed).load().config, effective.config);
}
