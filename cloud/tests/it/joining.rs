//! Tokens, and the listener that takes them.

use ledge_pki::{
    JoinErrorCode, NodeKey, RenewRequest, RenewResponse, Token, join_client_config, node_client_config,
};

use crate::cloud::Cloud;
use crate::edge::{Edge, post};

async fn refused(cloud: &Cloud, node: &str, token: &str) -> JoinErrorCode {
    Edge::new(node).join(cloud, token).await.unwrap_err().code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_admits_whom_it_names_so_often_and_so_long() {
    let cloud = Cloud::start();
    let once = cloud.token(&[]);
    Edge::new("oslo").join(&cloud, &once).await.unwrap();
    assert_eq!(refused(&cloud, "bergen", &once).await, JoinErrorCode::TokenUsedUp);
    assert_eq!(refused(&cloud, "oslo", &cloud.token(&[])).await, JoinErrorCode::RejoinRequired);
    let named = cloud.token(&["--node", "bergen"]);
    assert_eq!(refused(&cloud, "tromso", &named).await, JoinErrorCode::TokenNotForNode);
    let shops = cloud.token(&["--match", "shop-*", "--uses", "2"]);
    assert_eq!(refused(&cloud, "bergen", &shops).await, JoinErrorCode::TokenNotForNode);
    Edge::new("shop-1").join(&cloud, &shops).await.unwrap();
    Edge::new("shop-2").join(&cloud, &shops).await.unwrap();
    assert_eq!(refused(&cloud, "shop-3", &shops).await, JoinErrorCode::TokenUsedUp);
    let brief = cloud.token(&["--ttl", "1s"]);
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    assert_eq!(refused(&cloud, "bergen", &brief).await, JoinErrorCode::TokenExpired);
    let mut forged: Token = named.parse().unwrap();
    forged.secret = "0".repeat(32);
    assert_eq!(refused(&cloud, "bergen", &forged.to_string()).await, JoinErrorCode::TokenUnknown);
    Edge::new("bergen").join(&cloud, &named).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_spent_once_however_many_come_at_the_same_time() {
    let cloud = Cloud::start();
    let token = cloud.token(&["--uses", "3"]);
    let names: Vec<String> = (0..12).map(|n| format!("shop-{n}")).collect();
    let joins = names.iter().map(|name| async { Edge::new(name).join(&cloud, &token).await.is_ok() });
    let joined = futures::future::join_all(joins).await;
    assert_eq!(joined.into_iter().filter(|ok| *ok).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused() {
    let cloud = Cloud::start();
    let token: Token = cloud.token(&[]).parse().unwrap();
    let tls = join_client_config(&token).unwrap();
    let send = async |path: &str, body: Vec<u8>| post(&cloud, tls.clone(), path, body).await.0;
    assert_eq!(send("/v1/join", b"{".to_vec()).await, 400);
    assert_eq!(send("/v1/join", vec![b' '; 100 * 1024]).await, 413);
    assert_eq!(send("/v1/else", Vec::new()).await, 404);
    assert_eq!(send("/v1/renew", b"{\"csr_pem\":\"\"}".to_vec()).await, 403);
    Edge::new("oslo").join(&cloud, &token.to_string()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_by_the_one_before() {
    let cloud = Cloud::start();
    let mut oslo = Edge::joined(&cloud, "oslo").await;
    let old = oslo.credentials.take().unwrap();
    let renew = async |with: &ledge_pki::NodeCredentials| {
        let key = NodeKey::generate().unwrap();
        let body =
            serde_json::to_vec(&RenewRequest { csr_pem: key.signing_request("oslo").unwrap() }).unwrap();
        let (status, body) = post(&cloud, node_client_config(with).unwrap(), "/v1/renew", body).await;
        (status, key, body)
    };
    let (status, key, body) = renew(&old).await;
    assert_eq!(status, 200);
    let now = ledge_cloud::clock::unix_seconds();
    let renewed = RenewResponse::parse(&body).unwrap().accept(&old, key, now).unwrap();
    oslo.credentials = Some(std::sync::Arc::new(renewed));
    let _online = oslo.online(&cloud).await;
    assert_eq!(renew(&old).await.0, 403, "it was replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_of_a_stopped_cloud_too() {
    let mut cloud = Cloud::start();
    cloud.kill();
    let token = cloud.token(&["--node", "oslo"]);
    cloud.restart();
    Edge::new("oslo").join(&cloud, &token).await.unwrap();
}
