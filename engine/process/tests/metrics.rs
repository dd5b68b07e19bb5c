//! What a scraper sees.
#![allow(clippy::unwrap_used, reason = "tests")]

use ledge_process::Stage;
use ledge_process::metrics::{Health, MetricsError, MetricsServer, install};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn started(health: Health) -> (SocketAddr, Stage) {
    let server =
        MetricsServer::bind("127.0.0.1:0".parse().unwrap(), install().unwrap(), health).await.unwrap();
    let (address, stage) = (server.address(), Stage::new("metrics"));
    stage.spawn("metrics", |stop| server.run(stop));
    (address, stage)
}

async fn request(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn value(scrape: &str, name: &str) -> f64 {
    let line =
        scrape.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {scrape}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_scrape_holds_what_was_recorded_and_the_process_itself() {
    let (address, stage) = started(Health::default()).await;
    metrics::counter!("test.events.total").increment(3);
    metrics::histogram!("test.append.duration.seconds").record(0.003);
    let scrape = request(address, "GET /metrics HTTP/1.1").await;
    assert!(scrape.starts_with("HTTP/1.1 200"), "{scrape}");
    assert_eq!(value(&scrape, "test_events_total "), 3.0);
    assert_eq!(value(&scrape, "test_append_duration_seconds_bucket{le=\"0.005\"}"), 1.0);
    assert!(value(&scrape, "process_resident_memory_bytes ") > 1e6);
    assert!(value(&scrape, "process_open_fds ") >= 3.0);
    assert!(value(&scrape, "process_start_time_seconds ") > 1.7e9);
    let _ = stage.drain(Duration::from_secs(5)).await;
    assert!(TcpStream::connect(address).await.is_err(), "a stopped server does not listen");
}

#[tokio::test]
async fn health_is_ok_until_a_part_reports_a_problem() {
    let health = Health::default();
    let (address, _stage) = started(health.clone()).await;
    assert!(request(address, "GET /healthz HTTP/1.1").await.starts_with("HTTP/1.1 200"));
    health.problem("log", "poisoned by a failed sync");
    let answer = request(address, "GET /healthz HTTP/1.1").await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.ends_with("log: poisoned by a failed sync\n"),
        "{answer}"
    );
    health.resolved("log");
    assert!(request(address, "GET /healthz HTTP/1.1").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn other_requests_are_refused_and_the_next_one_is_served() {
    let (address, _stage) = started(Health::default()).await;
    assert!(request(address, "GET / HTTP/1.1").await.starts_with("HTTP/1.1 404"));
    assert!(request(address, "DELETE /metrics HTTP/1.1").await.starts_with("HTTP/1.1 405"));
    assert!(
        request(address, &format!("GET /{} HTTP/1.1", "x".repeat(20_000))).await.starts_with("HTTP/1.1 4")
    );
    assert!(request(address, "GET /healthz HTTP/1.1").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let (address, _stage) = started(Health::default()).await;
    let error = MetricsServer::bind(address, install().unwrap(), Health::default()).await.unwrap_err();
    assert!(matches!(error, MetricsError::Bind { address: named, .. } if named == address));
}
