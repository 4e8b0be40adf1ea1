//! One call of an endpoint: no redirect is followed, no proxy is used, nothing is believed of what comes back but its head.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use super::addresses::{TargetUrl, UrlError, is_public};

/// Of an answer's body, which nobody reads: enough for the connection to end in peace, if it comes at once.
const BODY_BYTES_MAX: usize = 16 * 1024;
const BODY_WAIT: Duration = Duration::from_millis(100);

/// No receiver may ask for a longer pause.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);

pub struct Caller {
    tls: TlsConnector,
    allow_private: bool,
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("the URL {0}")]
    Url(UrlError),
    #[error("its name leads to an address of a private network")]
    Private,
    #[error("its name can't be looked up")]
    Lookup,
    #[error("it can't be reached")]
    Connecting,
    #[error("its certificate or encryption is not acceptable")]
    Tls,
    #[error("the connection broke")]
    Broken,
    #[error("it took too long to answer")]
    Timeout,
}

impl Caller {
    /// Trusts the certificate authorities that browsers do.
    pub fn new(allow_private: bool, timeout: Duration) -> Caller {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the protocol's versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Caller { tls: TlsConnector::from(Arc::new(config)), allow_private, timeout }
    }

    pub(super) async fn post(&self, url: &str, headers: &[(&str, String)], body: String) -> Result<Reply, CallError> {
        let url = TargetUrl::parse(url, self.allow_private).map_err(CallError::Url)?;
        let calling = self.call(url.as_url(), headers, body);
        tokio::time::timeout(self.timeout, calling).await.unwrap_or(Err(CallError::Timeout))
    }

    async fn call(&self, url: &Url, headers: &[(&str, String)], body: String) -> Result<Reply, CallError> {
        let addresses = self.addresses(url).await?;
        // To the very addresses that were checked: a second look-up might find others.
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(|_| CallError::Connecting)?;
        let request = request(url, headers, body)?;
        if url.scheme() == "http" {
            return exchange(stream, request).await;
        }
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|_| CallError::Tls)?;
        let stream = self.tls.connect(name, stream).await.map_err(|_| CallError::Tls)?;
        exchange(stream, request).await
    }

    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, CallError> {
        let port = url.port_or_known_default().ok_or(CallError::Lookup)?;
        let addresses: Vec<SocketAddr> = match url.host() {
            Some(Host::Ipv4(address)) => vec![SocketAddr::new(IpAddr::from(address), port)],
            Some(Host::Ipv6(address)) => vec![SocketAddr::new(IpAddr::from(address), port)],
            Some(Host::Domain(name)) => lookup_host((name, port)).await.map_err(|_| CallError::Lookup)?.collect(),
            None => Vec::new(),
        };
        if addresses.is_empty() {
            return Err(CallError::Lookup);
        }
        // One that is private among public ones is no accident.
        if !self.allow_private && addresses.iter().any(|address| !is_public(address.ip())) {
            return Err(CallError::Private);
        }
        Ok(addresses)
    }
}

fn request(url: &Url, headers: &[(&str, String)], body: String) -> Result<Request<Full<Bytes>>, CallError> {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("CodecCloud/", env!("CARGO_PKG_VERSION")));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    request.body(Full::from(body)).map_err(|_| CallError::Url(UrlError::Malformed))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Reply, CallError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| CallError::Broken)?;
    // Dropped with this call, and with it the connection.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let mut response = sender.send_request(request).await.map_err(|_| CallError::Broken)?;
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    let draining = async {
        let mut read = 0;
        while read < BODY_BYTES_MAX {
            match response.frame().await {
                Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) | None => break,
            }
        }
    };
    let _ = tokio::time::timeout(BODY_WAIT, draining).await;
    Ok(Reply { status: response.status().as_u16(), retry_after })
}
