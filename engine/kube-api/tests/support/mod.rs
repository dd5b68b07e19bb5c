//! A server over TLS on a free port, with certificates made for the test, and `kubectl` and raw HTTP against it.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ledge_kube_api::{
    Api, Options, Registry, kubeconfig, router, run_controllers, serve, store::ObjectStore,
    testing::MemoryStore,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
        server::WebPkiClientVerifier,
    },
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const KUBECTL: &str = "/usr/bin/kubectl";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) home: tempfile::TempDir,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) admin: (String, String),
    pub(crate) stranger: (String, String),
    pub(crate) ca: CertificateDer<'static>,
    pub(crate) stop: CancellationToken,
    pub(crate) done: tokio::task::JoinHandle<()>,
    _guard: DropGuard,
}

/// A certificate and its key, PEM.
fn certificate(issuer: &Issuer<'_, KeyPair>, user: &str, group: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, user);
    params.distinguished_name.push(DnType::OrganizationName, group);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn der((cert, key): &(String, String)) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    let key = KeyPair::from_pem(key).unwrap();
    (
        CertificateDer::from_pem_slice(cert.as_bytes()).unwrap(),
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
    )
}

impl Server {
    pub(crate) async fn start(history: usize) -> Self {
        Self::start_with(history, |_| {}).await
    }

    /// A server whose store remembers `history` changes, with namespaces "default" and "kube-system".
    pub(crate) async fn start_with(history: usize, change: impl FnOnce(&mut Options)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test ca");
        let ca_key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let (ca_pem, ca_der) = (ca.pem(), ca.der().clone());
        let issuer = Issuer::new(params, ca_key);
        let server = certificate(&issuer, "server", "none");
        let admin = certificate(&issuer, "admin", "system:masters");
        let stranger = certificate(&issuer, "stranger", "nobody");
        let mut roots = RootCertStore::empty();
        roots.add(ca_der.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().unwrap();
        let (chain, key) = der(&server);
        let tls = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![chain], key)
            .unwrap();

        let counter = AtomicU64::new(1);
        let mut options = Options::new(jiff::Timestamp::now, move || {
            let n = counter.fetch_add(1, Ordering::Relaxed);
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{:08x}-0000-4000-8000-{:012x}", mixed >> 32, n)
        });
        change(&mut options);
        let stop = options.stop.clone();
        let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new(history));
        let api = Api::new(store, Arc::new(Registry::standard().unwrap()), options);
        tokio::spawn(run_controllers(api.clone(), stop.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let done = tokio::spawn(serve(listener, tls, router(api), stop.clone()));

        let home = tempfile::tempdir().unwrap();
        let kubeconfig = home.path().join("kubeconfig");
        let yaml = kubeconfig::render(&kubeconfig::Kubeconfig {
            server: &format!("https://{address}"),
            ca_pem: &ca_pem,
            client_cert_pem: &admin.0,
            client_key_pem: &admin.1,
            context: "test",
        });
        std::fs::write(&kubeconfig, yaml.unwrap()).unwrap();
        let guard = stop.clone().drop_guard();
        let server =
            Self { address, home, kubeconfig, admin, stranger, ca: ca_der, stop, done, _guard: guard };
        for name in ["default", "kube-system"] {
            server.post("/api/v1/namespaces", &json!({ "metadata": { "name": name } })).await.expect(201);
        }
        server
    }

    pub(crate) fn kubectl_command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(KUBECTL);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command.env("HOME", self.home.path()).env_remove("KUBECONFIG").current_dir(self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.kubectl_command(arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // kubectl may have ended without reading; its answer tells.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
        output.await.unwrap_or_else(|_| panic!("kubectl {arguments:?} did not end")).unwrap()
    }

    /// Runs kubectl, which must succeed; its output with that on stderr after it.
    #[track_caller]
    pub(crate) fn kubectl(&self, arguments: &str, input: &str) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let list = words(arguments);
            let output = self.run(&list.iter().map(String::as_str).collect::<Vec<_>>(), input).await;
            let text = both(&output);
            assert!(output.status.success(), "{caller}: kubectl {arguments}: {text}");
            text
        }
    }

    /// Runs kubectl, which must fail; what it says.
    #[track_caller]
    pub(crate) fn kubectl_fails(&self, arguments: &str, input: &str) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let list = words(arguments);
            let output = self.run(&list.iter().map(String::as_str).collect::<Vec<_>>(), input).await;
            let text = both(&output);
            assert!(!output.status.success(), "{caller}: kubectl {arguments} succeeded: {text}");
            text
        }
    }

    pub(crate) async fn connect(&self, identity: Option<&(String, String)>) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let config = match identity {
            Some(identity) => {
                let (chain, key) = der(identity);
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }

    /// One request over a connection of its own.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.request_as(Some(&self.admin), method, path, headers, body).await
    }

    pub(crate) async fn request_as(
        &self,
        identity: Option<&(String, String)>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut stream = self.connect(identity).await;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        // The server may have answered before it read all of a body that is too large.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Reply::parse(&answer)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.request("PUT", path, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, body: &Value) -> Reply {
        self.request("PATCH", path, &[("content-type", kind)], body.to_string().as_bytes()).await
    }

    pub(crate) async fn delete(&self, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.request("DELETE", path, &[("content-type", "application/json")], body.as_bytes()).await
    }

    /// Opens a watch.
    pub(crate) async fn watch(&self, path: &str) -> Watch {
        let mut stream = self.connect(Some(&self.admin)).await;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream);
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).await.unwrap();
            if line.trim().is_empty() {
                return Watch { lines };
            }
        }
    }

    /// Asks until the object is gone.
    pub(crate) async fn wait_gone(&self, path: &str) {
        for _ in 0..200 {
            if self.get(path).await.code == 404 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{path} is still there");
    }
}

pub(crate) struct Watch {
    lines: BufReader<TlsStream<TcpStream>>,
}

impl Watch {
    /// The next event; `None` when the watch ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_secs(20), self.lines.read_line(&mut line));
            if read.await.expect("an event in time").ok()? == 0 {
                return None;
            }
            match line.trim() {
                "0" => return None,
                text if text.starts_with('{') => return Some(serde_json::from_str(text).unwrap()),
                _ => {} // the length of a chunk
            }
        }
    }

    /// Type and name of the next event.
    pub(crate) async fn step(&mut self) -> (String, String) {
        let event = self.next().await.expect("an event");
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
        (event["type"].as_str().unwrap().to_owned(), name.to_owned())
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Reply {
    fn parse(answer: &[u8]) -> Self {
        let text = String::from_utf8_lossy(answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
            unchunk(body)
        } else {
            body.to_owned()
        };
        Self { code, head: head.to_lowercase(), text: body }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The message of an error with this code.
    #[track_caller]
    pub(crate) fn message(self, code: u16) -> String {
        self.expect(code)["message"].as_str().unwrap().to_owned()
    }
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap_or(0);
        if length == 0 || length > after.len() {
            break;
        }
        body.push_str(&after[..length]);
        rest = &after[(length + 2).min(after.len())..];
    }
    body
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Splits at spaces outside of single quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words
}

pub(crate) fn device(name: &str, node: &str) -> Value {
    json!({ "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "metadata": { "name": name },
        "spec": { "deviceModelRef": { "name": "thermometer" }, "nodeName": node,
            "properties": [{ "name": "temperature", "desired": { "value": "20" },
                "visitors": { "protocolName": "modbus", "configData": { "register": "CoilRegister", "offset": 2 } } }],
            "protocol": { "protocolName": "modbus", "configData": { "serial": { "port": "/dev/ttyS0", "baud": 9600 } } } } })
}
