//! One keep-alive connection, used by one task for one request at a time.
//!
//! The task that waits for an answer also drives the connection: a driver task of its own, hyper's usual way, would
//! cost two more wake-ups a request, and the load tester shares its cores with what it measures.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{HeaderMap, LINK};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;

use super::LoadError;

/// Longer than any server should take, short enough that a lost answer doesn't hold a connection for the whole run.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    /// The `Host` header.
    pub authority: String,
    /// What the base URL puts before `/v1`; empty or beginning with a slash.
    pub base: String,
}

impl Target {
    pub fn parse(url: &str) -> Result<Target, LoadError> {
        let fault = |why| LoadError::Url { url: url.to_owned(), why };
        let uri: Uri = url.parse().map_err(|_| fault("is no URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(fault("asks for https, which the load tester doesn't speak; use http")),
            Some(_) | None => return Err(fault("must begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| fault("names no host"))?;
        Ok(Target {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ExchangeError {
    /// No connection could be made.
    Unreachable,
    /// The connection ended before the answer was complete.
    ConnectionLost,
    Timeout,
    /// What came back isn't HTTP, or not the JSON that the contract promises.
    MalformedAnswer,
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExchangeError::Unreachable => "unreachable",
            ExchangeError::ConnectionLost => "connection lost",
            ExchangeError::Timeout => "timeout",
            ExchangeError::MalformedAnswer => "malformed answer",
        })
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Path and query of the next page: the `Link` header with `rel="next"`, absolute or not.
    pub fn next_page(&self) -> Option<String> {
        let links = self.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        let next = links.flat_map(|value| value.split(',')).find(|link| link.contains("rel=\"next\""))?;
        let (address, _) = next.trim().strip_prefix('<')?.split_once('>')?;
        let uri: Uri = address.parse().ok()?;
        uri.path_and_query().map(ToString::to_string)
    }
}

type Driver = http1::Connection<TokioIo<TcpStream>, Full<Bytes>>;

pub struct Connection {
    target: Arc<Target>,
    open: Option<Open>,
}

struct Open {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
    /// A driver that has returned must not be polled again.
    ended: bool,
}

impl Connection {
    /// Connects when first used.
    pub fn new(target: Arc<Target>) -> Connection {
        Connection { target, open: None }
    }

    /// Sends one request, connecting first if need be, and reads the whole answer. An error closes the connection.
    pub async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, ExchangeError> {
        let attempt = tokio::time::timeout(ANSWER_TIMEOUT, self.attempt(request)).await;
        let outcome = attempt.unwrap_or(Err(ExchangeError::Timeout));
        if outcome.is_err() {
            self.open = None;
        }
        outcome
    }

    async fn attempt(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, ExchangeError> {
        let mut reusable = self.open.take();
        if let Some(open) = &mut reusable
            && !open.is_alive().await
        {
            reusable = None;
        }
        let open = match reusable {
            Some(open) => open,
            None => Open::connect(&self.target).await?,
        };
        self.open.insert(open).exchange(request).await
    }
}

impl Open {
    async fn connect(target: &Target) -> Result<Open, ExchangeError> {
        let connected = TcpStream::connect((target.host.as_str(), target.port)).await;
        let stream = connected.map_err(|_| ExchangeError::Unreachable)?;
        stream.set_nodelay(true).map_err(|_| ExchangeError::Unreachable)?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, driver) = shaken.map_err(|_| ExchangeError::Unreachable)?;
        Ok(Open { sender, driver, ended: false })
    }

    /// Notices that the server closed the connection while it lay idle, which servers may do and is no error.
    async fn is_alive(&mut self) -> bool {
        poll_fn(|context| {
            self.ended = self.ended || Pin::new(&mut self.driver).poll(context).is_ready();
            Poll::Ready(!self.ended)
        })
        .await
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, ExchangeError> {
        let Open { sender, driver, ended } = self;
        let mut exchange = pin!(async {
            sender.ready().await?;
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        });
        let outcome: hyper::Result<Answer> = poll_fn(|context| {
            if let Poll::Ready(outcome) = exchange.as_mut().poll(context) {
                return Poll::Ready(outcome);
            }
            *ended = *ended || Pin::new(&mut *driver).poll(context).is_ready();
            exchange.as_mut().poll(context)
        })
        .await;
        outcome.map_err(|error| match error.is_parse() {
            true => ExchangeError::MalformedAnswer,
            false => ExchangeError::ConnectionLost,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_accepted() {
        let target = Target::parse("http://[::1]:8080/salon/").expect("valid");
        assert_eq!((target.host.as_str(), target.port, target.base.as_str()), ("::1", 8080, "/salon"));
        assert_eq!(Target::parse("http://localhost").expect("valid").port, 80);
        let refusal = Target::parse("https://localhost").expect_err("https").to_string();
        assert!(refusal.contains("https") && refusal.lines().count() == 1, "{refusal}");
        assert!(Target::parse("localhost:8080").is_err());
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        let mut headers = HeaderMap::new();
        let links = "</v1/bookings?page=1>; rel=\"first\", <http://host/v1/bookings?cursor=a%2Cb>; rel=\"next\"";
        headers.insert(LINK, links.parse().expect("a header value"));
        let answer = Answer { status: 200, headers, body: Bytes::new() };
        assert_eq!(answer.next_page().as_deref(), Some("/v1/bookings?cursor=a%2Cb"));
    }
}
