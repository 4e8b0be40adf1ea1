//! The way to a database elsewhere: encrypted where that is asked for, and to nobody but the database.

use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use codeccloud::clock::SystemIds;
use codeccloud::postgres::DatabaseRole;
use codeccloud_actors::ports::Ids;
use tokio_postgres::types::Type;

use crate::support::certificates::Authority;
use crate::support::{Database, Server, TestDir, command_on, database_of};

const NAME: &str = "database.example";

/// A PostgreSQL that can be reached by TCP, encrypted or not, at an address of its own.
struct Reachable {
    database: Database,
    address: Ipv4Addr,
    authority: Authority,
}

impl Reachable {
    async fn start() -> Reachable {
        Reachable::showing(|authority, address| authority.issue(NAME, address)).await
    }

    async fn showing(issue: impl for<'a> FnOnce(&'a Authority, &str) -> &'a Path) -> Reachable {
        // All tests' databases have the same port; this machine is all of 127.0.0.0/8.
        let [.., a, b, c] = *SystemIds.uuid().as_bytes();
        let address = Ipv4Addr::new(127, a.clamp(1, 250), b, c.clamp(1, 250));
        let database = Database::create_with(&[("listen_addresses", &address.to_string())]).await;
        let authority = Authority::new();
        let (issued, cluster) = (issue(&authority, &address.to_string()), database.cluster());
        let owner = std::fs::metadata(&cluster).unwrap();
        for file in ["server.crt", "server.key"] {
            let installed = cluster.join(file);
            std::fs::copy(issued.join(file), &installed).unwrap();
            std::fs::set_permissions(&installed, PermissionsExt::from_mode(0o600)).unwrap();
            chown(&installed, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let superuser = database.superuser().await;
        superuser.batch_execute("alter system set ssl = on").await.unwrap();
        std::fs::write(cluster.join("pg_hba.conf"), "local all all trust\nhost all all 127.0.0.0/8 trust\n").unwrap();
        superuser.batch_execute("select pg_reload_conf()").await.unwrap();
        let reachable = Reachable { database, address, authority };
        let offered = reachable.until("PostgreSQL offers encryption", async || {
            superuser.query_one("show ssl", &[]).await.unwrap().get::<_, String>(0) == "on"
        });
        offered.await;
        reachable
    }

    fn url(&self, options: &str) -> String {
        format!("postgresql://codeccloud@{}:5432/codeccloud?{options}", self.address)
    }

    /// Its name leads here without a look-up.
    fn named_url(&self, name: &str) -> String {
        self.url(&format!("sslmode=require&hostaddr={}", self.address))
            .replace(&format!("@{}", self.address), &format!("@{name}"))
    }

    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds().await {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Whether the connection is encrypted, or why there is none.
async fn encrypted(url: &str, authority: Option<&Authority>) -> Result<bool, String> {
    let mut database = database_of(url);
    if let Some(authority) = authority {
        database = database.trusting(&authority.file()).unwrap();
    }
    let client = database.connect(DatabaseRole::Owner).await.map_err(|error| format!("{error:?}"))?;
    let rows = client.query_typed("select ssl from pg_stat_ssl where pid = pg_backend_pid()", &[]).await.unwrap();
    Ok(rows[0].get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_the_database_is_not_talked_to() {
    let (reachable, stranger) = (Reachable::start().await, Authority::new());
    let (known, required) = (&reachable.authority, reachable.url("sslmode=require"));
    assert_eq!(encrypted(&required, Some(known)).await, Ok(true));
    assert_eq!(encrypted(&reachable.named_url(NAME), Some(known)).await, Ok(true));
    for (url, authority, reason) in [
        (&required, None, "UnknownIssuer"),
        (&required, Some(&stranger), "UnknownIssuer"),
        (&reachable.named_url("other.example"), Some(known), "NotValidForName"),
    ] {
        let refused = encrypted(url, authority).await;
        assert!(refused.as_ref().is_err_and(|error| error.contains(reason)), "{url}: {refused:?}");
    }
    // What was not asked for may not fail either.
    assert_eq!(encrypted(&reachable.url(""), None).await, Ok(true));
    assert_eq!(encrypted(&reachable.url("sslmode=disable"), None).await, Ok(false));
    let superuser = reachable.database.superuser().await;
    superuser.batch_execute("alter system set ssl = off").await.unwrap();
    superuser.batch_execute("select pg_reload_conf()").await.unwrap();
    reachable.until("it is switched off", async || encrypted(&reachable.url(""), None).await == Ok(false)).await;
    let refused = encrypted(&required, Some(known)).await;
    assert!(refused.as_ref().is_err_and(|error| error.contains("does not support TLS")), "{refused:?}");
}

/// A certificate of the first version, as PostgreSQL's manual made them for long: nobody can prove anything with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_asked_for_fails_for_no_certificate() {
    let reachable = Reachable::showing(|authority, _| authority.issue_old()).await;
    let known = Some(&reachable.authority);
    assert_eq!(encrypted(&reachable.url(""), known).await, Ok(true));
    let refused = encrypted(&reachable.url("sslmode=require"), known).await;
    assert!(refused.as_ref().is_err_and(|error| error.contains("UnsupportedCertVersion")), "{refused:?}");
    let nameless = format!("postgresql:///codeccloud?user=codeccloud&hostaddr={}", reachable.address);
    assert_eq!(encrypted(&nameless, None).await, Ok(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cancelled_on_the_same_terms() {
    let reachable = Reachable::start().await;
    let superuser = reachable.database.superuser().await;
    let database = database_of(&reachable.url("sslmode=require")).trusting(&reachable.authority.file()).unwrap();
    let pool = database.pool(DatabaseRole::Reader, 1, Duration::from_secs(5));
    let search = async { pool.get().await.unwrap().query_typed("SELECT pg_sleep($1)", &[(&60.0, Type::FLOAT8)]).await };
    assert!(tokio::time::timeout(Duration::from_millis(300), search).await.is_err(), "out of time");
    let sleeping = "select from pg_stat_activity where query like 'SELECT pg_sleep%' and state = 'active'";
    reachable.until("it is ended", async || superuser.query(sleeping, &[]).await.unwrap().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_of_a_server_are_encrypted() {
    let reachable = Reachable::start().await;
    let (url, authorities) = (reachable.url("sslmode=require"), reachable.authority.file());
    let environment = [
        ("DATABASE_CA_FILE", authorities.to_str().unwrap()),
        ("SUPABASE_JWT_SECRET", "a secret of tests that is long enough for them"),
        ("VAULT_MASTER_KEY", "a2V5IG9mIHRlc3RzIHRoYXQgZG8gbm90IGNhcmUuLi4="),
    ];
    let server = Server::of(command_on(&url, &environment));
    server.ready().await;
    let salon = server.salon_with(|| command_on(&url, &environment)).await;
    let booked = server.post(&salon, "/v1/bookings", &crate::support::key(), &salon.booking(0, 0, 0)).await;
    assert_eq!(booked.status, 201, "{}", booked.text);

    let superuser = reachable.database.superuser().await;
    let connections = async || -> Vec<(String, bool, String)> {
        let sql = "select coalesce(host(a.client_addr), 'socket'), s.ssl, a.query from pg_stat_activity a
            join pg_stat_ssl s using (pid) where a.usename = 'codeccloud'";
        let rows = superuser.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    };
    let listens = async || connections().await.iter().any(|(_, _, query)| query.starts_with("LISTEN"));
    reachable.until("it listens", listens).await;
    let all = connections().await;
    assert!(all.len() > 8, "{all:?}");
    assert!(all.iter().all(|(address, encrypted, _)| address != "socket" && *encrypted), "{all:?}");

    let dir = TestDir::new();
    let stranger = Authority::new();
    let untrusting = [("DATABASE_CA_FILE", stranger.file().to_str().unwrap().to_owned())];
    let untrusting: Vec<(&str, &str)> = untrusting.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let status = |environment: &[(&str, &str)]| {
        command_on(&url, environment).arg("--data-dir").arg(dir.path()).args(["schema", "status"]).output().unwrap()
    };
    assert!(status(&environment).status.success());
    let refused = status(&untrusting);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("UnknownIssuer"), "{said}");
}
