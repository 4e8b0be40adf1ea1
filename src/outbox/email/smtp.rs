use std::time::Duration;

use codeccloud_actors::time::Timestamp;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::mail::Mail;
use crate::outbox::delivery::Outcome;
use crate::settings::{Secret, SmtpEncryption};

/// The mail server, and the address that mail comes from.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    pub host: String,
    pub port: u16,
    pub encryption: SmtpEncryption,
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
}

/// Replies that say of the recipient, and of nothing else, that mail never reaches them.
const NO_SUCH_RECIPIENT: [u16; 4] = [550, 551, 553, 556];

pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    pub fn new(settings: &SmtpSettings) -> Result<Smtp, SmtpSettingsError> {
        let from: Mailbox = settings.from.parse().map_err(|_| SmtpSettingsError::From)?;
        let parameters = || {
            let parameters = TlsParameters::new(settings.host.clone());
            parameters.map_err(|error| SmtpSettingsError::Tls(error.to_string()))
        };
        let tls = match settings.encryption {
            SmtpEncryption::None => Tls::None,
            SmtpEncryption::StartTls => Tls::Required(parameters()?),
            SmtpEncryption::Tls => Tls::Wrapper(parameters()?),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(settings.timeout))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        if let Some((user, password)) = &settings.credentials {
            transport = transport.credentials(Credentials::new(user.clone(), password.expose().clone()));
        }
        Ok(Smtp { transport: transport.build(), from })
    }

    pub async fn send(&self, mail: &Mail<'_>, now: Timestamp) -> Outcome {
        let envelope = match mail.envelope(&self.from, now) {
            Ok(envelope) => envelope,
            Err(unsendable) => return Outcome::Refused { reason: unsendable.to_string(), status: None },
        };
        match self.transport.send(envelope).await {
            Ok(reply) => Outcome::Done { status: Some(reply.code().into()) },
            Err(error) => outcome_of(&error),
        }
    }
}

/// The server's own words stay out: they tend to quote the address.
fn outcome_of(error: &Error) -> Outcome {
    let status = error.status().map(u16::from);
    if let Some(status) = status {
        let reason = format!("the mail server answered {status}");
        return match NO_SUCH_RECIPIENT.contains(&status) {
            true => Outcome::Refused { reason, status: Some(status) },
            false => Outcome::Failed { reason, status: Some(status), wait: None },
        };
    }
    let reason = if error.is_timeout() {
        "the mail server took too long"
    } else if error.is_tls() {
        "the connection to the mail server can't be encrypted"
    } else if error.is_client() {
        "the mail server offers less than is needed"
    } else {
        "the mail server can't be reached"
    };
    Outcome::Failed { reason: reason.to_owned(), status: None, wait: None }
}
