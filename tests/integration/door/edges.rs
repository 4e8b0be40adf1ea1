//! What comes as far as no handler.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{answer, get, request, with};
use crate::support::{Mode, Server, TestDir, in_both_modes, key};

in_both_modes!(what_no_route_answers_is_a_problem_too_and_is_counted, who_takes_too_long_is_told_to_come_back,);

async fn what_no_route_answers_is_a_problem_too_and_is_counted(mode: Mode) {
    let dir = TestDir::new();
    let origin = "https://book.example.ch";
    let server = mode.start_with(dir.path(), &[("CORS_ALLOWED_ORIGINS", origin)]);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    get(&server, &salon, "/v1/nothing").await.problem(404, "not-found", "an unknown route");
    get(&server, &salon, "/wp-login.php").await.problem(404, "not-found", "another");
    let deleted = answer(request(&server, &salon, Method::DELETE, "/v1/bookings")).await;
    deleted.problem(405, "method-not-allowed", "a wrong method");
    assert_eq!(deleted.header("allow"), Some("GET, POST"));
    let head = request(&server, &salon, Method::HEAD, "/v1/services").send().await.unwrap();
    let whole = request(&server, &salon, Method::GET, "/v1/services").send().await.unwrap();
    let length = |answer: &reqwest::Response| answer.headers()["content-length"].clone();
    assert_eq!((head.status().as_u16(), length(&head)), (200, length(&whole)));
    assert!(head.bytes().await.unwrap().is_empty());
    let invented = Method::from_bytes(b"BREW").unwrap();
    answer(request(&server, &salon, invented, "/v1/bookings")).await.problem(405, "method-not-allowed", "no method");

    let raw = |kind: &str, body: String| {
        answer(request(&server, &salon, Method::POST, "/v1/bookings").header("Content-Type", kind).body(body))
    };
    let json = "application/json";
    let large = with(salon.booking(0, 0, 0), "/customer/firstName", json!("x".repeat(64 * 1024))).to_string();
    raw(json, large).await.problem(413, "payload-too-large", "64 KiB");
    raw("text/plain", salon.booking(0, 0, 0).to_string()).await.problem(415, "unsupported-media-type", "no JSON");
    raw(json, "{\"serviceId\":".to_owned()).await.problem(400, "bad-request", "broken JSON");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32));
    raw(json, deep).await.problem(400, "bad-request", "deep JSON");

    let preflight = |from: &'static str| {
        let request = server.client.request(Method::OPTIONS, format!("{}/v1/bookings", server.url));
        let asked = "authorization,content-type,idempotency-key,x-workspace-id,if-match";
        let request = request.header("Access-Control-Request-Headers", asked);
        answer(request.header("Origin", from).header("Access-Control-Request-Method", "POST"))
    };
    let allowed = preflight(origin).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, Some(origin)));
    preflight("https://elsewhere.example.ch").await.problem(400, "bad-request", "a stranger's page");
    let named = request(&server, &salon, Method::GET, "/v1/services").header("X-Request-ID", "front-end-7");
    assert_eq!(answer(named).await.header("x-request-id"), Some("front-end-7"));

    let metrics = server.client.get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
    let counted = |method: &str, status: u16| {
        metrics.lines().find(|line| {
            let labels = [format!("method=\"{method}\""), format!("status=\"{status}\"")];
            line.contains("route=\"unmatched\"") && labels.iter().all(|label| line.contains(label))
        })
    };
    for (method, status, count) in [("GET", 404, 2), ("DELETE", 405, 1), ("other", 405, 1), ("OPTIONS", 400, 1)] {
        let line = counted(method, status).unwrap_or_else(|| panic!("{method} {status} is not counted"));
        assert!(line.ends_with(&format!(" {count}")), "{line}");
    }
    assert!(!metrics.contains("wp-login"), "what clients make up makes no series");
}

/// Slow senders hold a connection, but nothing else and not for ever.
async fn who_takes_too_long_is_told_to_come_back(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start_with(dir.path(), &[("CODECCLOUD_SERVER_REQUEST_TIMEOUT_MS", "300")]);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let head = format!(
        "POST /v1/bookings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nX-Workspace-ID: {}\r\n\
         Idempotency-Key: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        salon.token,
        salon.tenant_id,
        key()
    );
    let slow_body = speak(&server, head.as_bytes()).to_lowercase();
    assert!(slow_body.starts_with("http/1.1 503"), "{slow_body}");
    assert!(slow_body.contains("retry-after: 1") && slow_body.contains("problems/unavailable"), "{slow_body}");
    let slow_head = speak(&server, b"GET /v1/services HTTP/1.1\r\nHost: x\r\n");
    assert!(slow_head.starts_with("HTTP/1.1 408"), "{slow_head}");
}

/// What the server says to that before it hangs up, or for ten seconds.
fn speak(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut said = [0; 4096];
    let length = stream.read(&mut said).unwrap();
    String::from_utf8_lossy(&said[..length]).into_owned()
}
