//! A kubeconfig file for `kubectl` and client libraries.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

/// What a kubeconfig names.
#[derive(Clone, Copy, Debug)]
pub struct Kubeconfig<'a> {
    /// URL of the server, such as `https://127.0.0.1:6443`.
    pub server: &'a str,
    /// Certificate of the CA that signed the server's certificate, PEM.
    pub ca_pem: &'a str,
    /// Certificate of the client, PEM.
    pub client_cert_pem: &'a str,
    /// Private key of the client, PEM.
    pub client_key_pem: &'a str,
    /// Name of the context, the cluster and the user.
    pub context: &'a str,
}

/// The file, as YAML. It holds a private key: write it with mode 0600.
pub fn render(config: &Kubeconfig<'_>) -> Result<String, serde_yaml_ng::Error> {
    let name = config.context;
    serde_yaml_ng::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [{ "name": name, "cluster": {
            "server": config.server,
            "certificate-authority-data": STANDARD.encode(config.ca_pem) } }],
        "users": [{ "name": name, "user": {
            "client-certificate-data": STANDARD.encode(config.client_cert_pem),
            "client-key-data": STANDARD.encode(config.client_key_pem) } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name, "namespace": "default" } }],
        "current-context": name,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_kubeconfig_names_server_ca_and_client() {
        let yaml = render(&Kubeconfig {
            server: "https://127.0.0.1:6443",
            ca_pem: "CA",
            client_cert_pem: "CERT",
            client_key_pem: "KEY",
            context: "ledge",
        })
        .unwrap();
        let read: serde_json::Value = serde_yaml_ng::from_str(&yaml).unwrap();
        assert_eq!(read["current-context"], "ledge");
        assert_eq!(read["clusters"][0]["cluster"]["server"], "https://127.0.0.1:6443");
        assert_eq!(read["clusters"][0]["cluster"]["certificate-authority-data"], STANDARD.encode("CA"));
        assert_eq!(read["users"][0]["user"]["client-certificate-data"], STANDARD.encode("CERT"));
        assert_eq!(read["users"][0]["user"]["client-key-data"], STANDARD.encode("KEY"));
        assert_eq!(read["contexts"][0]["context"]["user"], "ledge");
    }
}
