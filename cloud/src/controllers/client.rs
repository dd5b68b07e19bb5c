//! How controllers reach the API: kinds, requests, and how their failures are counted.

use std::net::SocketAddr;

use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use ledge_kube_api::kubeconfig;
use ledge_pki::{ADMIN_GROUP, CertificateAuthority};
use ledge_schemas::projection::{DEVICES_GROUP, ObjectKey};
use serde_json::Value;

use crate::clock;
use crate::metric_definitions as names;

/// Name in the certificate that controllers show.
const USER: &str = "ledge-controllers";

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No certificate.
    #[error(transparent)]
    Pki(#[from] ledge_pki::PkiError),
    /// The configuration made for it is not one.
    #[error("cannot configure the API client: {0}")]
    Config(String),
}

/// A client of one API, with its own identity.
#[derive(Clone)]
pub struct ApiClient {
    client: Client,
}

impl std::fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiClient").finish_non_exhaustive()
    }
}

/// What the objects that controllers handle are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Device,
    DeviceModel,
    DeviceStatus,
    Node,
    Namespace,
}

impl Kind {
    fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Device => (DEVICES_GROUP, "v1beta1", "Device", "devices"),
            Self::DeviceModel => (DEVICES_GROUP, "v1beta1", "DeviceModel", "devicemodels"),
            Self::DeviceStatus => (DEVICES_GROUP, "v1beta1", "DeviceStatus", "devicestatuses"),
            Self::Node => ("", "v1", "Node", "nodes"),
            Self::Namespace => ("", "v1", "Namespace", "namespaces"),
        }
    }

    pub(super) fn resource(self) -> ApiResource {
        let (group, version, kind, plural) = self.names();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }

    /// The kind that goes down under this key; `None` for kinds that do not go down.
    pub(super) fn of(key: &ObjectKey) -> Option<Self> {
        let found = [Self::Device, Self::DeviceModel].into_iter();
        found.into_iter().find(|kind| {
            let (group, _, _, plural) = kind.names();
            key.group == group && key.plural == plural
        })
    }

    pub(super) fn key(self, namespace: &str, name: &str) -> ObjectKey {
        let (group, _, _, plural) = self.names();
        ObjectKey::new(group, plural, namespace, name)
    }

    pub(super) fn api_version(self) -> String {
        self.resource().api_version
    }

    pub(super) fn kind(self) -> &'static str {
        self.names().2
    }
}

impl ApiClient {
    /// A client of the API on a local address, with a certificate of its own.
    pub async fn local(authority: &CertificateAuthority, address: SocketAddr) -> Result<Self, ClientError> {
        let admin = authority.issue_admin(USER, &[ADMIN_GROUP.to_owned()], clock::unix_seconds())?;
        let yaml = kubeconfig::render(&kubeconfig::Kubeconfig {
            server: &format!("https://{address}"),
            ca_pem: authority.certificate_pem(),
            client_cert_pem: &admin.certificate_pem(),
            client_key_pem: &admin.key_pem(),
            context: USER,
        });
        let failed = |error: &dyn std::fmt::Display| ClientError::Config(error.to_string());
        let config = Kubeconfig::from_yaml(&yaml.map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
        let mut config = config.map_err(|e| failed(&e))?;
        config.proxy_url = None;
        Ok(Self { client: Client::try_from(config).map_err(|e| failed(&e))? })
    }

    /// Objects of a kind in every namespace, or of the cluster.
    pub(super) fn all(&self, kind: Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &kind.resource())
    }

    /// Objects of a kind in one namespace.
    pub(super) fn namespaced(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
    }

    /// UID of a namespace.
    pub(super) async fn namespace_uid(&self, name: &str) -> Result<Option<String>, kube::Error> {
        Ok(self.all(Kind::Namespace).get_opt(name).await?.and_then(|namespace| namespace.metadata.uid))
    }

    /// Every object of a kind, page by page.
    pub(super) async fn list(&self, kind: Kind) -> Result<Vec<DynamicObject>, kube::Error> {
        let (api, mut params, mut all) = (self.all(kind), ListParams::default().limit(500), Vec::new());
        loop {
            let page = api.list(&params).await?;
            all.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(all),
            }
        }
    }
}

/// What a merge patch met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patched {
    Done,
    NotThere,
}

/// Merges `patch` into an object, or into its status.
pub(super) async fn merge(
    api: &Api<DynamicObject>,
    controller: &'static str,
    name: &str,
    status: bool,
    patch: &Value,
) -> Result<Patched, kube::Error> {
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    let answer = match status {
        false => api.patch(name, &params, &patch).await,
        true => api.patch_status(name, &params, &patch).await,
    };
    match answer {
        Ok(_) => Ok(Patched::Done),
        Err(error) if status_code(&error) == Some(404) => Ok(Patched::NotThere),
        Err(error) => Err(error),
    }
    .inspect(|_| count(controller, true))
    .inspect_err(|_| count(controller, false))
}

/// Creates an object.
pub(super) async fn create(
    api: &Api<DynamicObject>,
    controller: &'static str,
    object: Value,
) -> Result<(), kube::Error> {
    let object: DynamicObject = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
    let answer = api.create(&PostParams::default(), &object).await;
    count(controller, answer.is_ok());
    answer.map(drop)
}

fn count(controller: &'static str, ok: bool) {
    let outcome = if ok { "ok" } else { "failed" };
    metrics::counter!(names::API_WRITES, "controller" => controller, "outcome" => outcome).increment(1);
}

/// The HTTP status of an answer that is no success.
pub(super) fn status_code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
