//! Encryption of the way to the database, and who is believed to be it.
//!
//! `sslmode=require` in the URL demands both: an encrypted connection, and a certificate of the host that the URL names from an
//! authority that we trust, as libpq's `verify-full` does. What was not asked for, as with `prefer`, the default, can't fail
//! for want of a good certificate: it keeps out who listens, not who stands in between.

use std::path::Path;
use std::sync::Arc;

use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, WantsVerifier};
use tokio_rustls::rustls::{Error as TlsError, RootCertStore, SignatureScheme};

pub(super) type Connection = tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct AuthoritiesError {
    path: String,
    problem: String,
}

#[derive(Clone)]
pub(super) struct Tls {
    verifying: MakeRustlsConnect,
    encrypting: MakeRustlsConnect,
}

impl Tls {
    /// Trusts the certificate authorities that browsers do.
    pub fn public() -> Tls {
        Tls::trusting(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// Trusts those of a file in PEM format, and no others.
    pub fn of_file(path: &Path) -> Result<Tls, AuthoritiesError> {
        let unusable = |problem: String| AuthoritiesError { path: path.display().to_string(), problem };
        let mut authorities = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            authorities.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        if authorities.is_empty() {
            return Err(unusable("expected certificates in PEM format".to_owned()));
        }
        Ok(Tls::trusting(authorities))
    }

    fn trusting(authorities: RootCertStore) -> Tls {
        let provider = Arc::new(ring::default_provider());
        let verifying = builder(&provider).with_root_certificates(authorities);
        let anybody = Arc::new(Anybody(Arc::clone(&provider)));
        let encrypting = builder(&provider).dangerous().with_custom_certificate_verifier(anybody);
        Tls { verifying: connector(verifying), encrypting: connector(encrypting) }
    }

    /// As the URL demands it.
    pub fn for_url(&self, config: &Config) -> MakeRustlsConnect {
        if config.get_ssl_mode() == SslMode::Require { self.verifying.clone() } else { self.encrypting.clone() }
    }
}

fn builder(provider: &Arc<CryptoProvider>) -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
    builder.with_safe_default_protocol_versions().expect("the provider knows the protocol's versions")
}

fn connector(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> MakeRustlsConnect {
    let mut config = builder.with_no_client_auth();
    // Demanded by servers whose first byte is TLS (`sslnegotiation=direct`), and passed over by others.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    MakeRustlsConnect::new(config)
}

/// Takes everybody: who proves nothing needs no key either, nor a certificate that can be read.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
