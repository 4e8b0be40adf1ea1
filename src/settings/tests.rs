use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::overlay::{DEFAULTS, keys};
use super::*;

fn sources(environment: &[(&str, &str)]) -> Sources {
    let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Sources { environment, is_root: true, ..Sources::default() }
}

fn with_file(mut sources: Sources, text: &str) -> Sources {
    sources.file = Some(ConfigFile { path: PathBuf::from("my.toml"), text: text.to_owned() });
    sources
}

fn with_flag(mut sources: Sources, key: &str, value: &str) -> Sources {
    sources.flags.push((key.to_owned(), value.to_owned()));
    sources
}

fn faults(sources: Sources) -> Vec<String> {
    load(sources).expect_err("the settings are at fault").iter().map(Fault::to_string).collect()
}

/// A directory of the test's own, removed when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn of_test(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("codeccloud-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Settings have no defaults but those of the file, and refuse keys that they don't know: that the file alone makes
/// settings proves that it has every key and no other.
#[test]
fn the_default_file_has_every_key_and_explains_it() {
    let settings = load(sources(&[])).unwrap();
    assert_eq!(settings.server.listen.port(), 8080);

    let table: toml::Table = toml::from_str(DEFAULTS).unwrap();
    let mut explained = BTreeSet::new();
    let (mut section, mut after_comment) = ("", false);
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| after_comment && !line.starts_with('#')) {
            explained.insert(format!("{section}.{key}"));
        }
        after_comment = line.starts_with("# ");
    }
    assert_eq!(explained, keys(&table).collect(), "each key needs a comment above it");
}

#[test]
fn every_known_variable_leads_to_a_key_and_is_named_in_the_default_file() {
    let table: toml::Table = toml::from_str(DEFAULTS).unwrap();
    for (variable, key) in environment::KNOWN {
        assert!(keys(&table).any(|known| known == key), "{key}");
        assert!(DEFAULTS.contains(&format!("Variable: {variable}.")), "{variable}");
    }
}

#[test]
fn later_sources_win() {
    let file = "[feed]\npoll_ms = 1\npage_events = 1\ncoalesce_ms = 1\n";
    let environment = [("CODECCLOUD_FEED_PAGE_EVENTS", "2"), ("CODECCLOUD_FEED_COALESCE_MS", "2")];
    let all = with_flag(with_file(sources(&environment), file), "feed.coalesce_ms", "3");
    let feed = load(all).unwrap().feed;
    assert_eq!((feed.horizon_warn_seconds, feed.poll_ms, feed.page_events, feed.coalesce_ms), (10, 1, 2, 3));
}

#[test]
fn variables_of_deployments_are_known_and_ours_win_over_them() {
    let key = BASE64.encode([7; 32]);
    let settings = load(sources(&[
        ("DATABASE_URL", "postgres://a:b@db/one"),
        ("CODECCLOUD_DATABASE_URL", "postgres://a:b@db/two"),
        ("FEATURE_SCALE", "on"),
        ("CORS_ALLOWED_ORIGINS", "https://a.example, http://localhost:3000"),
        ("VAULT_PREVIOUS_MASTER_KEYS", &format!("old:{key},older:{key}")),
        ("AUDIT_SEAL_PREVIOUS_KEYS", &format!("old:{key}:7")),
        ("DATA_RETENTION_YEARS", "12"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/"),
        ("OTEL_SERVICE_NAME", ""),
        ("CODECCLOUD_POSTGRES_BIN", "/usr/lib/postgresql/15/bin"),
        ("HOME", "/root"),
    ]))
    .unwrap();
    assert_eq!(settings.database.url.unwrap().expose(), "postgres://a:b@db/two");
    assert!(settings.scale.feature);
    assert_eq!(settings.server.cors_allowed_origins, ["https://a.example", "http://localhost:3000"]);
    assert_eq!(settings.vault.previous_master_keys[1].id, "older");
    assert_eq!(settings.vault.previous_master_keys[1].key.expose(), &[7; 32]);
    let retired = &settings.audit.previous_seal_keys[0];
    assert_eq!((retired.id.as_str(), retired.key.expose(), retired.last_seal), ("old", &[7; 32], 7));
    assert_eq!(settings.telemetry.otlp_endpoint.unwrap(), "http://localhost:4318");
    assert_eq!(settings.telemetry.service_name, "codeccloud", "an empty variable counts as not set");
}

#[test]
fn all_faults_come_at_once_each_with_source_key_and_what_is_expected() {
    let file = "[server]\nlisten = 8080\nlissten = \"x\"\n[journal]\nlanes = 0\n[jurnal]\n[log]\nformat = \"xml\"\n";
    let environment = [
        ("DATABASE_URL", "mysql://root:hunter2@db/x"),
        ("VAULT_MASTER_KEY", "aHVudGVyMg=="),
        ("VAULT_PREVIOUS_MASTER_KEYS", "hunter2"),
        ("AUDIT_SEAL_PREVIOUS_KEYS", "old:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="),
        ("SUPABASE_JWT_PUBLIC_JWKS", r#"{"keys":[{"kty":"oct","k":"aHVudGVyMg"}]}"#),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
        ("REDIS_URL", "rediss://:hunter2@cache:6379"),
        ("FEATURE_SCALE", "perhaps"),
        ("CODECCLOUD_IDEMPOTENCY_RETENTION_HOURS", "23"),
        ("CODECCLOUD_ACTORS_RESTART_BACKOFF_MS_MIN", "20000"),
        ("CODECCLOUD_SERVER_LISTNE", "127.0.0.1:1"),
    ];
    let mut found = faults(with_flag(with_file(sources(&environment), file), "server.workers", "many"));
    found.sort();
    let expected = [
        "command line: server.workers: expected a whole number",
        "default: actors.restart_backoff_ms_max: expected no less than actors.restart_backoff_ms_min",
        "environment AUDIT_SEAL_PREVIOUS_KEYS: audit.previous_seal_keys: expected a list of id:key:number, each key 32 bytes in base64, with the number of the last seal under it",
        "environment CODECCLOUD_IDEMPOTENCY_RETENTION_HOURS: idempotency.retention_hours: expected a whole number from 24 to 87600",
        "environment CODECCLOUD_SERVER_LISTNE: unknown variable",
        "environment DATABASE_URL: database.url: expected a URL such as postgres://user:password@host:5432/database",
        "environment FEATURE_SCALE: scale.feature: expected a switch (true or false; in the environment also on, off, 1, 0)",
        "environment OTEL_EXPORTER_OTLP_ENDPOINT: telemetry.otlp_endpoint: expected an http:// URL such as http://localhost:4318; no TLS is built in, so not https://",
        "environment REDIS_URL: redis.url: expected a URL such as redis://user:password@host:6379/0, or unix:///run/redis.sock; no TLS is built in, so not rediss://",
        "environment SUPABASE_JWT_PUBLIC_JWKS: auth.jwks: expected the JSON of a set of public keys, {\"keys\":[…]}",
        "environment VAULT_MASTER_KEY: vault.master_key: expected 32 bytes in base64",
        "environment VAULT_PREVIOUS_MASTER_KEYS: vault.previous_master_keys: expected a list of id:key, each key 32 bytes in base64",
        "my.toml: journal.lanes: expected a whole number from 1 to 64",
        "my.toml: jurnal: unknown key",
        "my.toml: log.format: expected pretty or json",
        "my.toml: server.lissten: unknown key",
        "my.toml: server.listen: expected a text in quotes",
    ];
    assert_eq!(found, expected);
    assert!(!found.concat().contains("hunter2"));
}

#[test]
fn whom_to_trust_is_no_use_where_nobody_has_to_prove_anything() {
    let pooled = |url: &str, direct: &str| {
        sources(&[
            ("DATABASE_CA_FILE", "/etc/ssl/database.pem"),
            ("DATABASE_URL", url),
            ("DATABASE_DIRECT_URL", direct),
            ("CODECCLOUD_DATABASE_POOLER", "transaction"),
        ])
    };
    let (required, preferred) = ("postgres://a:b@db/one?sslmode=require", "postgres://a:b@db/one");
    assert!(load(pooled(required, required)).is_ok());
    assert!(load(pooled(required, "")).is_ok());
    for (url, direct, named) in [(preferred, required, "database.url"), (required, preferred, "database.direct_url")] {
        let expected = format!(
            "environment DATABASE_CA_FILE: database.ca_file: expected sslmode=require in {named}, since anything less may \
             fall back to plain text"
        );
        assert_eq!(faults(pooled(url, direct)), [expected]);
    }
}

#[test]
fn what_a_start_asks_for_comes_at_once_with_all_other_faults() {
    let environment = [("DATABASE_URL", "postgres://a:b@db/one"), ("CODECCLOUD_JOURNAL_LANES", "0")];
    let unread = Fault { source: Source::Flag, key: "lanes".to_owned(), problem: "--set takes KEY=VALUE".to_owned() };
    let sources = Sources { faults: vec![unread], ..sources(&environment) };
    assert_eq!(load(sources.clone()).unwrap_err().len(), 2, "other commands need no more");
    let mut found: Vec<String> = load_for_start(sources).unwrap_err().iter().map(|fault| fault.key.clone()).collect();
    found.sort();
    assert_eq!(found, ["audit.seal_key", "auth.jwt_secret", "journal.lanes", "lanes", "vault.master_key"]);
    let unreadable = load_for_start(self::sources(&[("DATABASE_URL", "mysql://db"), ("FEATURE_SCALE", "on")]));
    assert_eq!(unreadable.unwrap_err().len(), 4, "it names a database all the same");
}

#[test]
fn mail_needs_a_sender_and_leases_last_longer_than_what_they_are_for() {
    let environment = [
        ("CODECCLOUD_SMTP_HOST", "localhost"),
        ("CODECCLOUD_SMTP_ENCRYPTION", "ssl"),
        ("CODECCLOUD_OUTBOX_LEASE_SECONDS", "24"),
        ("CODECCLOUD_OUTBOX_RETRY_SECONDS_MIN", "7200"),
    ];
    let mut found = faults(sources(&environment));
    found.sort();
    assert_eq!(
        found,
        [
            "default: outbox.retry_seconds_max: expected no less than outbox.retry_seconds_min",
            "default: smtp.from: expected an address, because smtp.host is set",
            "environment CODECCLOUD_OUTBOX_LEASE_SECONDS: outbox.lease_seconds: expected 5 more than webhooks.timeout_seconds, so that a slow answer is still heard",
            "environment CODECCLOUD_SMTP_ENCRYPTION: smtp.encryption: expected none, starttls or tls",
        ]
    );
    let sender = faults(sources(&[("CODECCLOUD_SMTP_FROM", "Salon")]));
    assert_eq!(
        sender,
        ["environment CODECCLOUD_SMTP_FROM: smtp.from: expected an address such as no-reply@example.ch"]
    );
    let plain = [("CODECCLOUD_SMTP_ENCRYPTION", "none"), ("CODECCLOUD_SMTP_CA_FILE", "/etc/ssl/own.pem")];
    assert_eq!(
        faults(sources(&plain)),
        ["environment CODECCLOUD_SMTP_CA_FILE: smtp.ca_file: expected smtp.encryption to be starttls or tls"]
    );
}

#[test]
fn a_file_that_is_not_toml_is_a_fault_with_its_line() {
    let found = faults(with_file(sources(&[]), "[server]\nworkers = = 2\n"));
    assert!(found[0].starts_with("my.toml: line 2: "), "{found:?}");
}

#[test]
fn data_lives_where_the_user_may_write() {
    let user = |environment: &[(&str, &str)]| Sources { is_root: false, ..sources(environment) };
    let dir = |sources| load(sources).unwrap().data.dir;
    assert_eq!(dir(sources(&[("HOME", "/root")])), Path::new("/var/lib/codeccloud"));
    assert_eq!(dir(user(&[("HOME", "/home/a")])), Path::new("/home/a/.local/share/codeccloud"));
    assert_eq!(dir(user(&[("HOME", "/home/a"), ("XDG_DATA_HOME", "/data")])), Path::new("/data/codeccloud"));
    assert_eq!(dir(user(&[("CODECCLOUD_DATA_DIR", "/mine")])), Path::new("/mine"));
    assert_eq!(faults(user(&[])), ["default: data.dir: expected a directory, or HOME in the environment"]);
}

#[test]
fn a_named_database_asks_for_secrets_of_ones_own() {
    let url = ("DATABASE_URL", "postgres://a:b@db/one");
    let scale = ("FEATURE_SCALE", "on");
    let settings = load(sources(&[url, scale])).unwrap();
    assert!(settings.check_for_start(true).is_ok());
    assert_eq!(settings.check_for_start(settings.is_embedded()).unwrap_err().len(), 3);

    let public = ("SUPABASE_JWT_SECRET", "super-secret-jwt-token-with-at-least-32-characters-long");
    let zeros = BASE64.encode([0; 32]);
    let settings = load(sources(&[url, scale, public, ("VAULT_MASTER_KEY", &zeros), ("AUDIT_SEAL_KEY", &zeros)]));
    assert_eq!(settings.unwrap().check_for_start(false).unwrap_err().len(), 3);

    let own = ("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef");
    let key = BASE64.encode(std::array::from_fn::<u8, 32, _>(|index| index as u8));
    let settings = load(sources(&[url, scale, own, ("VAULT_MASTER_KEY", &key), ("AUDIT_SEAL_KEY", &key)])).unwrap();
    assert_eq!(settings.check_for_start(false), Ok(()));
}

#[test]
fn secrets_are_generated_once_for_the_owner_alone_and_never_printed() {
    let directory = Directory::of_test("secrets");
    let first = load_or_create(&directory.0).unwrap();
    let second = load_or_create(&directory.0).unwrap();
    assert_eq!(first.jwt_secret, second.jwt_secret);
    assert_eq!(first.master_key, second.master_key);
    assert_eq!(first.audit_seal_key, second.audit_seal_key);
    assert_ne!(first.jwt_secret.expose(), &BASE64.encode(first.master_key.expose()));

    let files: Vec<_> = std::fs::read_dir(&directory.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files, [directory.0.join("secrets.toml")], "no draft is left over");
    assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);

    let dir = directory.0.to_str().unwrap();
    let scale = sources(&[("FEATURE_SCALE", "on")]);
    let settings = load(with_flag(scale, "data.dir", dir)).unwrap().with_generated_secrets().unwrap();
    assert_eq!(settings.auth.jwt_secret.as_ref(), Some(&first.jwt_secret));
    assert_eq!(settings.vault.master_key.as_ref(), Some(&first.master_key));
    assert!(settings.check_for_start(false).is_ok());
    let printed = format!("{settings:?} {} {}", first.jwt_secret, first.master_key);
    assert!(printed.contains("***"));
    assert!(!printed.contains(first.jwt_secret.expose()));
    assert!(!printed.contains(&format!("{:?}", first.master_key.expose())));
}

#[test]
fn secrets_that_were_set_are_kept() {
    let directory = Directory::of_test("set-secrets");
    let own = "0123456789abcdef0123456789abcdef";
    let environment = [("SUPABASE_JWT_SECRET", own), ("CODECCLOUD_DATA_DIR", directory.0.to_str().unwrap())];
    let settings = load(sources(&environment)).unwrap().with_generated_secrets().unwrap();
    assert_eq!(settings.auth.jwt_secret.unwrap().expose(), own);
    assert!(settings.vault.master_key.is_some());
}

/// Several commands may meet an older version's file at once, and must end up with one key.
#[test]
fn a_secret_that_an_older_version_did_not_know_is_added_once() {
    let directory = Directory::of_test("older-secrets");
    let first = load_or_create(&directory.0).unwrap();
    let path = directory.0.join("secrets.toml");
    let older: String = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with("audit_seal_key"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&path, &older).unwrap();
    let keys: BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| load_or_create(&directory.0).unwrap())).collect();
        threads.into_iter().map(|thread| *thread.join().unwrap().audit_seal_key.expose()).collect()
    });
    assert_eq!(keys.len(), 1);
    assert!(!keys.contains(first.audit_seal_key.expose()));
    assert!(std::fs::read_to_string(&path).unwrap().starts_with(&older), "what was there stays");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 1, "no draft is left over");
}

#[test]
fn a_damaged_file_of_secrets_is_never_replaced() {
    let directory = Directory::of_test("damaged-secrets");
    std::fs::create_dir_all(&directory.0).unwrap();
    std::fs::write(directory.0.join("secrets.toml"), "jwt_secret = \"x\"\n").unwrap();
    assert!(matches!(load_or_create(&directory.0), Err(SecretsError::Malformed { .. })));
    assert_eq!(std::fs::read_to_string(directory.0.join("secrets.toml")).unwrap(), "jwt_secret = \"x\"\n");
}
