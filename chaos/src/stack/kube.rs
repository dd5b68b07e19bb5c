//! The cloud's Kubernetes-style API as its users reach it: stock `kubectl`, or, on a machine without it, the `kube`
//! crate doing the same.

use std::path::{Path, PathBuf};

use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::Value;

use super::StackError;
use super::tool::{Done, command, run};

/// Where objects are.
const NAMESPACE: &str = "default";

/// See the module.
pub struct Kube {
    client: Client,
    kubectl: Option<Kubectl>,
}

#[derive(Debug)]
struct Kubectl {
    path: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl std::fmt::Debug for Kube {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kube").field("kubectl", &self.kubectl).finish_non_exhaustive()
    }
}

impl Kube {
    /// A client by a kubeconfig. `home` is where `kubectl` keeps its cache.
    pub(super) async fn connect(kubeconfig: &Path, home: &Path) -> Result<Self, StackError> {
        let config = Kubeconfig::read_from(kubeconfig).map_err(failed)?;
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(failed)?;
        config.proxy_url = None;
        let client = Client::try_from(config).map_err(failed)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|dir| dir.join("kubectl")).find(|path| path.is_file());
        let (kubeconfig, home) = (kubeconfig.to_owned(), home.to_owned());
        Ok(Self { client, kubectl: found.map(|path| Kubectl { path, kubeconfig, home }) })
    }

    /// Whether there is a `kubectl` on this machine.
    #[must_use]
    pub fn has_kubectl(&self) -> bool {
        self.kubectl.is_some()
    }

    /// Who does it, for people.
    #[must_use]
    pub fn who(&self) -> &'static str {
        if self.has_kubectl() { "kubectl" } else { "kube crate (there is no kubectl on this machine)" }
    }

    /// Creates objects, or makes them what they should be.
    ///
    /// # Errors
    /// [`StackError`] with what was said.
    pub async fn apply(&self, objects: &[Value]) -> Result<String, StackError> {
        if let Some(kubectl) = &self.kubectl {
            let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
            let done = kubectl.run(&["apply", "-f", "-"], Some(&documents.join("\n"))).await?.good()?;
            return Ok(done.stdout);
        }
        let mut said = String::new();
        for object in objects {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (kind, name) = (text("/kind"), text("/metadata/name"));
            let api = self.api(kind);
            let done = match api.get_opt(name).await.map_err(failed)? {
                Some(_) => {
                    let patch = Patch::Merge(object);
                    api.patch(name, &PatchParams::default(), &patch).await.map_err(failed)?;
                    "configured"
                }
                None => {
                    let new = serde_json::from_value(object.clone()).map_err(failed)?;
                    api.create(&PostParams::default(), &new).await.map_err(failed)?;
                    "created"
                }
            };
            said.push_str(&format!("{}/{name} {done}\n", plural(kind)));
        }
        Ok(said)
    }

    /// All objects of a kind.
    ///
    /// # Errors
    /// [`StackError`].
    pub async fn list(&self, kind: &str) -> Result<Vec<Value>, StackError> {
        if let Some(kubectl) = &self.kubectl {
            let done = kubectl.run(&["get", &plural(kind), "-o", "json"], None).await?.good()?;
            let items = done.json()?["items"].as_array().cloned();
            return items
                .ok_or_else(|| StackError::answer(format!("the output of `{}`", done.command), "no items"));
        }
        let list = self.api(kind).list(&ListParams::default()).await.map_err(failed)?;
        list.items.into_iter().map(|object| serde_json::to_value(object).map_err(failed)).collect()
    }

    /// One object, as `kubectl get -o json` prints it.
    ///
    /// # Errors
    /// [`StackError`].
    pub async fn get(&self, kind: &str, name: &str) -> Result<Value, StackError> {
        match &self.kubectl {
            Some(kubectl) => {
                kubectl.run(&["get", &plural(kind), name, "-o", "json"], None).await?.good()?.json()
            }
            None => self.peek(kind, name).await?.ok_or_else(|| failed(format!("there is no {kind} {name}"))),
        }
    }

    /// What `kubectl get` prints for people; nothing without `kubectl`.
    ///
    /// # Errors
    /// [`StackError`].
    pub async fn show(&self, args: &[&str]) -> Result<Vec<String>, StackError> {
        let Some(kubectl) = &self.kubectl else { return Ok(Vec::new()) };
        let done = kubectl.run(&[&["get"], args].concat(), None).await?.good()?;
        Ok(done.stdout.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    /// One object straight from the API, without the start of a process: for measuring.
    ///
    /// # Errors
    /// [`StackError`].
    pub async fn peek(&self, kind: &str, name: &str) -> Result<Option<Value>, StackError> {
        let object = self.api(kind).get_opt(name).await.map_err(failed)?;
        object.map(|object| serde_json::to_value(object).map_err(failed)).transpose()
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let resource = |group: &str, version: &str| {
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural(kind))
        };
        match kind {
            "Node" => Api::all_with(self.client.clone(), &resource("", "v1")),
            _ => Api::namespaced_with(
                self.client.clone(),
                NAMESPACE,
                &resource("devices.kubeedge.io", "v1beta1"),
            ),
        }
    }
}

impl Kubectl {
    async fn run(&self, args: &[&str], input: Option<&str>) -> Result<Done, StackError> {
        let mut command = command(&self.path);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        command.env("HOME", &self.home);
        run(command, input).await
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "DeviceStatus" => "devicestatuses".to_owned(),
        _ => format!("{}s", kind.to_lowercase()),
    }
}

fn failed(error: impl ToString) -> StackError {
    StackError::Api(error.to_string())
}
