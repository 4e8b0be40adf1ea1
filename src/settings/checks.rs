use std::collections::BTreeSet;

use tokio_postgres::config::SslMode;

use super::{Fault, Pooler, Secret, Settings, SmtpEncryption, Source};

/// Values that are fine one by one, but not together. The first key is the one that the fault is laid at.
pub struct Contradiction {
    pub keys: &'static [&'static str],
    pub problem: &'static str,
}

pub fn contradictions(settings: &Settings) -> Vec<Contradiction> {
    let mut found = Vec::new();
    let mut require = |holds: bool, keys, problem| {
        if !holds {
            found.push(Contradiction { keys, problem });
        }
    };
    require(
        settings.actors.restart_backoff_ms_min <= settings.actors.restart_backoff_ms_max,
        &["actors.restart_backoff_ms_max", "actors.restart_backoff_ms_min"],
        "expected no less than actors.restart_backoff_ms_min",
    );
    require(
        settings.outbox.retry_seconds_min <= settings.outbox.retry_seconds_max,
        &["outbox.retry_seconds_max", "outbox.retry_seconds_min"],
        "expected no less than outbox.retry_seconds_min",
    );
    require(
        settings.webhooks.timeout_seconds + LEASE_MARGIN_SECONDS <= settings.outbox.lease_seconds,
        &["outbox.lease_seconds", "webhooks.timeout_seconds"],
        "expected 5 more than webhooks.timeout_seconds, so that a slow answer is still heard",
    );
    require(
        settings.smtp.host.is_none() || settings.smtp.from.is_some(),
        &["smtp.from", "smtp.host"],
        "expected an address, because smtp.host is set",
    );
    require(
        settings.smtp.ca_file.as_os_str().is_empty() || settings.smtp.encryption != SmtpEncryption::None,
        &["smtp.ca_file", "smtp.encryption"],
        "expected smtp.encryption to be starttls or tls",
    );
    require(
        settings.database.pooler == Pooler::None || settings.database.url.is_some(),
        &["database.pooler", "database.url"],
        "expected none, since there is no database.url that leads to a pooler",
    );
    require(
        settings.database.pooler == Pooler::Transaction || settings.database.direct_url.is_none(),
        &["database.direct_url", "database.pooler"],
        "expected a database.pooler that it leads past",
    );
    require(
        settings.database.ca_file.as_os_str().is_empty() || demands_encryption(settings.database.url.as_ref()),
        &["database.ca_file", "database.url"],
        "expected sslmode=require in database.url, since anything less may fall back to plain text",
    );
    require(
        settings.database.ca_file.as_os_str().is_empty()
            || settings.database.direct_url.is_none()
            || demands_encryption(settings.database.direct_url.as_ref()),
        &["database.ca_file", "database.direct_url"],
        "expected sslmode=require in database.direct_url, since anything less may fall back to plain text",
    );
    let mut ids = BTreeSet::from([settings.vault.master_key_id.as_str()]);
    require(
        settings.vault.previous_master_keys.iter().all(|key| ids.insert(&key.id)),
        &["vault.previous_master_keys", "vault.master_key_id"],
        "expected ids that differ from each other and from vault.master_key_id",
    );
    let mut ids = BTreeSet::from([settings.audit.seal_key_id.as_str()]);
    require(
        settings.audit.previous_seal_keys.iter().all(|key| ids.insert(&key.id)),
        &["audit.previous_seal_keys", "audit.seal_key_id"],
        "expected ids that differ from each other and from audit.seal_key_id",
    );
    found
}

fn demands_encryption(url: Option<&Secret<String>>) -> bool {
    let config = url.and_then(|url| url.expose().parse::<tokio_postgres::Config>().ok());
    config.is_some_and(|config| config.get_ssl_mode() == SslMode::Require)
}

/// For taking a delivery and marking it.
const LEASE_MARGIN_SECONDS: u64 = 5;

/// Secrets that are printed in manuals, and so protect nothing.
const PUBLIC_SECRETS: [&str; 2] = [
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
];

/// A shorter one can be guessed offline from any token (RFC 7518, section 3.2).
const JWT_SECRET_BYTES_MIN: usize = 32;

impl Settings {
    /// No database is named, so the server runs its own.
    pub fn is_embedded(&self) -> bool {
        self.database.url.is_none()
    }

    /// Refuses secrets that are missing or known to everybody. With the embedded database, missing ones are generated.
    pub fn check_for_start(&self, embedded: bool) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        if !embedded {
            self.check_secrets(&mut faults);
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    fn check_secrets(&self, faults: &mut Vec<Fault>) {
        let mut fault = |variable: &str, key: &str, problem: &str| {
            let source = Source::Environment(variable.to_owned());
            faults.push(Fault { source, key: key.to_owned(), problem: problem.to_owned() });
        };
        match &self.auth.jwt_secret {
            None if self.auth.jwks.is_none() => {
                fault(
                    "SUPABASE_JWT_SECRET",
                    "auth.jwt_secret",
                    "expected a secret, or public keys in SUPABASE_JWT_PUBLIC_JWKS",
                );
            }
            Some(secret) if PUBLIC_SECRETS.contains(&secret.expose().as_str()) => {
                fault(
                    "SUPABASE_JWT_SECRET",
                    "auth.jwt_secret",
                    "expected a secret of your own, not the one from a manual",
                );
            }
            Some(secret) if secret.expose().len() < JWT_SECRET_BYTES_MIN => {
                fault("SUPABASE_JWT_SECRET", "auth.jwt_secret", "expected 32 characters or more");
            }
            Some(_) | None => {}
        }
        for (variable, key, set) in [
            ("VAULT_MASTER_KEY", "vault.master_key", &self.vault.master_key),
            ("AUDIT_SEAL_KEY", "audit.seal_key", &self.audit.seal_key),
        ] {
            match set {
                None => fault(variable, key, "expected 32 bytes in base64"),
                Some(bytes) if is_one_byte_repeated(bytes.expose()) => fault(variable, key, "expected random bytes"),
                Some(_) => {}
            }
        }
    }
}

fn is_one_byte_repeated(key: &[u8]) -> bool {
    key.windows(2).all(|pair| pair[0] == pair[1])
}
