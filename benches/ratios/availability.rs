//! Availability of one person on one day, with a token that is checked, against a handler that returns as many bytes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::constant::ConstantServer;
use super::database::BenchDir;
use super::server::Server;
use super::table::{Bar, Rounds, Table};
use super::{ROUND, ROUNDS};

const CONNECTIONS: usize = 32;

/// A path, and what is sent with it.
#[derive(Clone)]
struct Ask {
    address: String,
    path: String,
    token: String,
    tenant_id: String,
}

pub async fn measure(table: &mut Table) {
    let server = Server::start(BenchDir::new());
    let ask = availability_of_a_day(&server).await;
    let (status, body) = ask.once().await;
    assert_eq!(status, StatusCode::OK);
    let slots = serde_json::from_slice::<Value>(&body).expect("JSON")["slots"].as_array().map_or(0, Vec::len);
    assert!(slots > 5, "a day with free slots");
    let constant = ConstantServer::start(body.len());
    let bare = Ask { address: constant.address.clone(), ..ask.clone() };
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let ours = ask.per_second().await;
        rounds.push(ours, bare.per_second().await);
    }
    let name = format!("availability, {slots} slots, {} bytes", body.len());
    table.compare(name, "answers/s", &rounds, Bar::RatioAtLeast(0.6));
    server.stop();
}

async fn availability_of_a_day(server: &Server) -> Ask {
    let tenants: Value = serde_json::from_str(&server.output(&["tenant", "list", "--json"])).expect("JSON");
    let tenant_id = tenants[0]["id"].as_str().expect("a demo salon").to_owned();
    let token = server.output(&["token", "--tenant", &tenant_id, "--role", "service"]);
    let mut ask = Ask { address: server.address().to_owned(), path: "/v1/services".to_owned(), token, tenant_id };
    let services: Value = serde_json::from_slice(&ask.once().await.1).expect("JSON");
    let service = services[0]["id"].as_str().expect("a service").to_owned();
    ask.path = "/v1/staff".to_owned();
    let staff: Value = serde_json::from_slice(&ask.once().await.1).expect("JSON");
    // A Wednesday; the first who performs the service then is the one.
    for person in staff.as_array().expect("a list") {
        let person = person["id"].as_str().expect("an id");
        ask.path = format!(
            "/v1/bookings/availability?serviceId={service}&staffId={person}\
             &from=2027-06-02T00:00:00Z&to=2027-06-03T00:00:00Z"
        );
        let (status, body) = ask.once().await;
        if status == StatusCode::OK && body.len() > 1_000 {
            break;
        }
    }
    ask
}

impl Ask {
    async fn once(&self) -> (StatusCode, Bytes) {
        self.send(&mut self.connect().await).await
    }

    async fn per_second(&self) -> f64 {
        let began = Instant::now();
        let mut running = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let ask = self.clone();
            running.spawn(async move {
                let mut connection = ask.connect().await;
                let mut count = 0_u64;
                while began.elapsed() < ROUND {
                    let (status, _) = ask.send(&mut connection).await;
                    assert_eq!(status, StatusCode::OK);
                    count += 1;
                }
                count
            });
        }
        let mut answers = 0;
        while let Some(count) = running.join_next().await {
            answers += count.expect("no connection fails");
        }
        answers as f64 / began.elapsed().as_secs_f64()
    }

    async fn connect(&self) -> SendRequest<Empty<Bytes>> {
        let stream = TcpStream::connect(&self.address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        sender
    }

    async fn send(&self, connection: &mut SendRequest<Empty<Bytes>>) -> (StatusCode, Bytes) {
        let request = Request::get(&self.path)
            .header("Host", &self.address)
            .header("Authorization", format!("Bearer {}", self.token))
            .header("X-Workspace-ID", &self.tenant_id)
            .body(Empty::new())
            .expect("a valid request");
        let answer = tokio::time::timeout(Duration::from_secs(5), connection.send_request(request));
        let answer = answer.await.expect("in time").expect("answered");
        let status = answer.status();
        (status, answer.into_body().collect().await.expect("a body").to_bytes())
    }
}
