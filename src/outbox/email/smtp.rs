use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codeccloud_actors::time::Timestamp;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio_rustls::rustls::Error as TlsError;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::mail::Mail;
use crate::outbox::delivery::Outcome;
use crate::settings::{Secret, SmtpEncryption};

/// The mail server, and the address that mail comes from.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    pub host: String,
    pub port: u16,
    pub encryption: SmtpEncryption,
    /// A file with those that the server's certificate may come from; `None` is those that browsers trust.
    pub authorities: Option<PathBuf>,
    pub credentials: Option<(String, Secret<String>)>,
    pub from: String,
    /// For one step of the exchange.
    pub timeout: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum SmtpSettingsError {
    #[error("smtp.from is no address")]
    From,
    #[error("smtp.host can't be used with TLS: {0}")]
    Tls(String),
    #[error("smtp.ca_file: {path}: {problem}")]
    Authorities { path: String, problem: String },
}

/// Replies to the recipient's address that mail never reaches it.
const NO_SUCH_RECIPIENT: [u16; 4] = [550, 551, 553, 556];

/// Enhanced codes (RFC 3463) that say the same at any step. Others of their class are about the sender.
const NO_SUCH_MAILBOX: [&str; 5] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"];

/// One connection a mail. The library's own transport knows a timeout for connecting alone, and waits for the answer to its
/// goodbye once the mail is taken: a server that hangs would have mail sent again and again.
pub struct Smtp {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<Credentials>,
    hello: ClientId,
    from: Mailbox,
    timeout: Duration,
}

enum Encryption {
    None,
    StartTls(TlsParameters),
    Tls(TlsParameters),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Connection,
    Sender,
    Recipient,
    Content,
}

enum Failure {
    TookTooLong,
    Refused(Step, Error),
    /// The address takes characters that the server doesn't.
    Unsupported,
}

impl Smtp {
    pub fn new(settings: &SmtpSettings) -> Result<Smtp, SmtpSettingsError> {
        let from: Mailbox = settings.from.parse().map_err(|_| SmtpSettingsError::From)?;
        let encryption = match settings.encryption {
            SmtpEncryption::None => Encryption::None,
            SmtpEncryption::StartTls => Encryption::StartTls(tls(settings)?),
            SmtpEncryption::Tls => Encryption::Tls(tls(settings)?),
        };
        let credentials = settings.credentials.as_ref();
        Ok(Smtp {
            host: settings.host.clone(),
            port: settings.port,
            encryption,
            credentials: credentials.map(|(user, secret)| Credentials::new(user.clone(), secret.expose().clone())),
            hello: ClientId::Domain(from.email.domain().to_owned()),
            from,
            timeout: settings.timeout,
        })
    }

    pub async fn send(&self, mail: &Mail<'_>, now: Timestamp) -> Outcome {
        let letter = match mail.envelope(&self.from, now) {
            Ok(letter) => letter,
            Err(unsendable) => return Outcome::Refused { reason: unsendable.to_string(), status: None },
        };
        match self.hand_over(&letter).await {
            Ok(status) => Outcome::Done { status: Some(status) },
            Err(failure) => outcome_of(&failure),
        }
    }

    async fn hand_over(&self, letter: &lettre::Message) -> Result<u16, Failure> {
        let (envelope, content) = (letter.envelope(), letter.formatted());
        let mut connection = self.connect().await?;
        let is_international = envelope.from().into_iter().chain(envelope.to()).any(|address| {
            let address: &str = address.as_ref();
            !address.is_ascii()
        });
        let server = connection.server_info();
        if is_international && !server.supports_feature(Extension::SmtpUtfEight) {
            return Err(Failure::Unsupported);
        }
        let mut parameters = Vec::new();
        parameters.extend(is_international.then_some(MailParameter::SmtpUtfEight));
        if !content.is_ascii() && server.supports_feature(Extension::EightBitMime) {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let from = MailFrom::new(envelope.from().cloned(), parameters);
        self.step(Step::Sender, connection.command(from)).await?;
        for recipient in envelope.to() {
            self.step(Step::Recipient, connection.command(Rcpt::new(recipient.clone(), Vec::new()))).await?;
        }
        self.step(Step::Content, connection.command(Data)).await?;
        let taken = self.step(Step::Content, connection.message(&content)).await?;
        // The mail is the server's from here on, whatever becomes of the goodbye.
        let patience = self.timeout;
        tokio::spawn(async move { tokio::time::timeout(patience, connection.quit()).await });
        Ok(taken.code().into())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let tls = match &self.encryption {
            Encryption::Tls(parameters) => Some(parameters.clone()),
            Encryption::None | Encryption::StartTls(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &self.hello, tls, None);
        let mut connection = self.step(Step::Connection, connecting).await?;
        if let Encryption::StartTls(parameters) = &self.encryption {
            self.step(Step::Connection, connection.starttls(parameters.clone(), &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            self.step(Step::Connection, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(connection)
    }

    async fn step<T>(&self, step: Step, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(done) => done.map_err(|error| Failure::Refused(step, error)),
            Err(_) => Err(Failure::TookTooLong),
        }
    }
}

fn tls(settings: &SmtpSettings) -> Result<TlsParameters, SmtpSettingsError> {
    let mut parameters = TlsParameters::builder(settings.host.clone());
    if let Some(file) = &settings.authorities {
        let authorities = authorities(file).map_err(|problem| {
            let path = file.display().to_string();
            SmtpSettingsError::Authorities { path, problem }
        })?;
        parameters = parameters.certificate_store(CertificateStore::None);
        for authority in authorities {
            parameters = parameters.add_root_certificate(authority);
        }
    }
    parameters.build().map_err(|error| SmtpSettingsError::Tls(error.to_string()))
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?.collect();
    let found = found.map_err(|error| error.to_string())?;
    if found.is_empty() {
        return Err("expected certificates in PEM format".to_owned());
    }
    let authority = |one: CertificateDer<'_>| Certificate::from_der(one.to_vec()).map_err(|error| error.to_string());
    found.into_iter().map(authority).collect()
}

/// The server's own words stay out: they tend to quote the address.
fn outcome_of(failure: &Failure) -> Outcome {
    let failed = |reason: &str| Outcome::Failed { reason: reason.to_owned(), status: None, wait: None };
    let (step, error) = match failure {
        Failure::TookTooLong => return failed("the mail server took too long"),
        Failure::Unsupported => return failed("the mail server does not know the address's characters"),
        Failure::Refused(step, error) => (*step, error),
    };
    if let Some(status) = error.status().map(u16::from) {
        let reason = format!("the mail server answered {status}");
        return match is_for_good(step, status, enhanced_code(error).as_deref()) {
            true => Outcome::Refused { reason, status: Some(status) },
            false => Outcome::Failed { reason, status: Some(status), wait: None },
        };
    }
    failed(if error.is_timeout() {
        "the mail server took too long"
    } else if error.is_tls() || is_of_tls(error) {
        "the connection to the mail server can't be encrypted"
    } else if error.is_client() {
        "the mail server offers less than is needed"
    } else {
        "the mail server can't be reached"
    })
}

/// A handshake that fails is to the library an error of the connection.
fn is_of_tls(error: &Error) -> bool {
    std::iter::successors(error.source(), |&source| source.source()).any(|source| {
        let io = source.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        io.is_some_and(|inner| inner.is::<TlsError>())
    })
}

/// Whether the recipient, and nobody else, is to blame. A relay that is refused, or a sender that is not known, is ours to
/// mend.
fn is_for_good(step: Step, status: u16, enhanced: Option<&str>) -> bool {
    match enhanced {
        Some(code) if NO_SUCH_MAILBOX.contains(&code) => status >= 500,
        Some(_) => false,
        None => step == Step::Recipient && NO_SUCH_RECIPIENT.contains(&status),
    }
}

/// Such as `5.1.1`, at the beginning of the server's words.
fn enhanced_code(error: &Error) -> Option<String> {
    let words = error.source()?.to_string();
    let first = words.split_whitespace().next()?;
    let is_code = first.split('.').count() == 3 && first.chars().all(|c| c.is_ascii_digit() || c == '.');
    is_code.then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_the_recipient_is_final() {
        for (step, status, enhanced) in
            [(Step::Recipient, 550, None), (Step::Recipient, 550, Some("5.1.1")), (Step::Content, 550, Some("5.1.1"))]
        {
            assert!(is_for_good(step, status, enhanced), "{step:?} {status} {enhanced:?}");
        }
        for (step, status, enhanced) in [
            (Step::Sender, 550, None),
            (Step::Sender, 553, Some("5.1.8")),
            (Step::Recipient, 550, Some("5.7.1")),
            (Step::Recipient, 451, Some("4.2.2")),
            (Step::Content, 550, None),
            (Step::Connection, 554, None),
        ] {
            assert!(!is_for_good(step, status, enhanced), "{step:?} {status} {enhanced:?}");
        }
    }
}
