//! The private PostgreSQL: starts, keeps its data, and gets over whatever kills it or its server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use codeccloud::postgres::embedded::{Access, EmbeddedError, EmbeddedPostgres, url_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use tokio_postgres::NoTls;

/// A data directory that goes with its test.
struct DataDir(PathBuf);

impl DataDir {
    fn new(name: &str) -> DataDir {
        let path = std::env::temp_dir().join(format!("codeccloud-test-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        DataDir(path)
    }

    fn cluster(&self) -> PathBuf {
        self.0.join("postgres/cluster")
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn note(url: &str, text: &str) {
    let client = connect(url).await;
    client.batch_execute("CREATE TABLE IF NOT EXISTS notes (note text)").await.unwrap();
    client.execute("INSERT INTO notes VALUES ($1)", &[&text]).await.unwrap();
}

async fn notes(url: &str) -> Vec<String> {
    let rows = connect(url).await.query("SELECT note FROM notes ORDER BY note", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}/cwd")).read_link().is_ok()
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn starts_answers_stops_and_keeps_its_data() {
    let dir = DataDir::new("keeps");
    let first = EmbeddedPostgres::start(&dir.0).await.unwrap();
    let pid = first.pid().unwrap();
    assert_eq!(url_of(&dir.0), Some(first.url()));
    note(&first.url(), "first").await;
    first.stop().await;
    assert!(!is_alive(pid));
    assert_eq!(url_of(&dir.0), None);

    let second = EmbeddedPostgres::start_with(&dir.0, &[("work_mem", "7MB"), ("max_connections", "20")]).await.unwrap();
    assert_eq!(notes(&second.url()).await, ["first"]);
    let client = connect(&second.url()).await;
    for (parameter, expected) in [("work_mem", "7MB"), ("max_connections", "20"), ("TimeZone", "UTC")] {
        let row = client.query_one(&format!("SHOW {parameter}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), expected);
    }
    second.stop().await;
}

#[tokio::test]
async fn the_server_is_bound_by_row_security_and_only_its_user_can_enter() {
    let dir = DataDir::new("roles");
    let postgres = EmbeddedPostgres::start(&dir.0).await.unwrap();
    let client = connect(&postgres.url()).await;
    let role = client
        .query_one(
            "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user",
            &[],
        )
        .await
        .unwrap();
    let attributes: Vec<bool> = (0..4).map(|column| role.get(column)).collect();
    assert_eq!(attributes, [false, false, false, true]);
    client.batch_execute("CREATE EXTENSION btree_gist").await.unwrap();

    let superuser = connect(&postgres.superuser_url()).await;
    let is_superuser = superuser.query_one("SHOW is_superuser", &[]).await.unwrap();
    assert_eq!(is_superuser.get::<_, String>(0), "on");

    for directory in ["postgres", "postgres/socket", "postgres/cluster"] {
        let metadata = fs::metadata(dir.0.join(directory)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o700, "{directory}");
        assert_ne!(metadata.uid(), 0, "{directory}");
    }
    postgres.stop().await;
}

#[tokio::test]
async fn a_killed_postgres_is_started_again_even_with_backends_left_behind() {
    let dir = DataDir::new("killed");
    let postgres = EmbeddedPostgres::start(&dir.0).await.unwrap();
    note(&postgres.url(), "committed").await;
    for round in 1..=2 {
        // A backend that computes doesn't notice that its postmaster is gone.
        let busy = connect(&postgres.superuser_url()).await;
        let busy =
            tokio::spawn(async move { busy.batch_execute("SELECT count(*) FROM generate_series(1, 1e10)").await });
        tokio::time::sleep(Duration::from_millis(200)).await;

        let killed = postgres.pid().unwrap();
        send(killed, Signal::SIGKILL);
        until("a restart", || postgres.restarts() == round && postgres.pid().is_some()).await;
        assert_ne!(postgres.pid(), Some(killed));
        assert!(busy.await.unwrap().is_err());
        assert_eq!(notes(&postgres.url()).await, ["committed"]);
    }
    postgres.stop().await;
}

#[tokio::test]
async fn a_stop_is_obeyed_while_postgres_is_being_started_again() {
    let dir = DataDir::new("stopped");
    let postgres = EmbeddedPostgres::start(&dir.0).await.unwrap();
    send(postgres.pid().unwrap(), Signal::SIGKILL);
    until("its death to be noticed", || postgres.pid().is_none()).await;
    postgres.stop().await;
    assert_eq!(url_of(&dir.0), None);
}

#[tokio::test]
async fn after_a_kill_of_the_server_its_postgres_can_be_used_and_is_replaced() {
    let dir = DataDir::new("stale");
    let (mut server, stale) = server_in_a_process_of_its_own(&dir.0);
    note(&url_of(&dir.0).unwrap(), "before").await;
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(is_alive(stale));

    let access = Access::open(&dir.0).await.unwrap();
    assert!(matches!(access, Access::Attached { .. }));
    assert_eq!(notes(&access.url()).await, ["before"]);
    access.close().await;
    assert!(is_alive(stale), "who attaches doesn't stop it");

    let postgres = EmbeddedPostgres::start(&dir.0).await.unwrap();
    assert!(!is_alive(stale));
    let log = fs::read_to_string(dir.0.join("postgres.log")).unwrap();
    assert!(!log.contains("not properly shut down"), "{log}");
    assert_eq!(notes(&postgres.url()).await, ["before"]);
    postgres.stop().await;
}

/// PostgreSQL runs for months, and holds the file open.
#[tokio::test]
async fn a_log_that_has_grown_long_is_begun_anew_while_postgres_runs() {
    let dir = DataDir::new("log");
    let postgres = EmbeddedPostgres::start(&dir.0).await.unwrap();
    let log = dir.0.join("postgres.log");
    let mut file = fs::File::options().append(true).open(&log).unwrap();
    file.write_all(&vec![b'.'; 17 << 20]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while log.metadata().unwrap().len() > 1 << 20 {
        assert!(Instant::now() < deadline, "it stays long");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(dir.0.join("postgres.log.1").metadata().unwrap().len() >= 17 << 20);
    connect(&postgres.url()).await.batch_execute("SELECT 1/0").await.unwrap_err();
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.len() < 1_000 && text.contains("division by zero"), "{text:?}");
    postgres.stop().await;
}

#[tokio::test]
async fn a_command_without_a_server_has_postgres_for_its_own_time() {
    let dir = DataDir::new("command");
    let access = Access::open(&dir.0).await.unwrap();
    assert!(matches!(access, Access::Owned(_)));
    note(&access.url(), "by the command").await;
    access.close().await;
    assert_eq!(url_of(&dir.0), None);
}

#[tokio::test]
async fn two_data_directories_run_side_by_side_and_one_has_one_server() {
    let (one, other) = (DataDir::new("one"), DataDir::new("other"));
    let (first, second) = tokio::join!(EmbeddedPostgres::start(&one.0), EmbeddedPostgres::start(&other.0));
    let (first, second) = (first.unwrap(), second.unwrap());
    note(&first.url(), "one").await;
    note(&second.url(), "other").await;
    assert_eq!(notes(&first.url()).await, ["one"]);
    assert_eq!(notes(&second.url()).await, ["other"]);

    let refusal = EmbeddedPostgres::start(&one.0).await.err().unwrap();
    assert!(matches!(refusal, EmbeddedError::InUse { .. }), "{refusal}");
    assert!(refusal.to_string().contains(&format!("pid {}", std::process::id())), "{refusal}");
    assert_eq!(notes(&first.url()).await, ["one"], "the refused start left it alone");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn an_interrupted_initdb_and_a_number_used_again_stand_in_nobodys_way() {
    let dir = DataDir::new("leftovers");
    let unfinished = dir.0.join("postgres/unfinished-1");
    fs::create_dir_all(unfinished.join("base")).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    EmbeddedPostgres::start(&dir.0).await.unwrap().stop().await;
    assert!(!unfinished.exists());

    // PostgreSQL mistakes a live process of its own user for the postmaster that the file names.
    let owner = fs::metadata(dir.cluster()).unwrap();
    let mut sleeper = Command::new("sleep");
    if Uid::effective().is_root() {
        sleeper.uid(owner.uid()).gid(owner.gid());
    }
    let mut sleeper = sleeper.arg("60").spawn().unwrap();
    let pid_file = format!("{}\n{}\n1700000000\n5432\n/nowhere\n\n\nready\n", sleeper.id(), dir.cluster().display());
    fs::write(dir.cluster().join("postmaster.pid"), pid_file).unwrap();
    assert_eq!(url_of(&dir.0), None);
    EmbeddedPostgres::start(&dir.0).await.unwrap().stop().await;
    assert!(sleeper.try_wait().unwrap().is_none(), "an innocent process was ended");
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_no_obstacle() {
    let dir = DataDir::new(&"x".repeat(100));
    let postgres = EmbeddedPostgres::start(&dir.0).await.unwrap();
    note(&postgres.url(), "far down").await;
    assert_eq!(url_of(&dir.0), Some(postgres.url()));
    let row = connect(&postgres.superuser_url()).await.query_one("SHOW unix_socket_directories", &[]).await.unwrap();
    postgres.stop().await;
    fs::remove_dir(row.get::<_, String>(0).trim_matches('"')).unwrap();
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let dir = DataDir::new("fails");
    let error = EmbeddedPostgres::start_with(&dir.0, &[("shared_buffers", "nonsense")]).await.err().unwrap();
    assert!(error.to_string().contains("invalid value for parameter \"shared_buffers\""), "{error}");

    if Uid::effective().is_root() {
        let closed = dir.0.join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let error = EmbeddedPostgres::start(&closed.join("data")).await.err().unwrap();
        let EmbeddedError::NotTraversable { directory, .. } = error else { panic!("{error}") };
        assert_eq!(directory, closed.canonicalize().unwrap());
    }
}

/// Run by root, the rest of this file shows root's way; this shows a normal user's.
#[test]
fn a_normal_user_needs_no_root() {
    if !Uid::effective().is_root() {
        return;
    }
    let dir = DataDir::new("nobody");
    fs::create_dir(&dir.0).unwrap();
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o777)).unwrap();
    let binary = dir.0.join("tests");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let output = Command::new(&binary)
        .args(["--exact", &test_name("starts_answers_stops_and_keeps_its_data")])
        .env("TMPDIR", &dir.0)
        .current_dir(&dir.0)
        .uid(nobody.uid.as_raw())
        .gid(nobody.gid.as_raw())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

const SERVED_DIRECTORY: &str = "CODECCLOUD_TEST_SERVED_DIRECTORY";

/// A real process to kill, and the number of its postmaster.
fn server_in_a_process_of_its_own(data_dir: &Path) -> (Child, u32) {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test_name("serves_until_killed"), "--ignored", "--nocapture"])
        .env(SERVED_DIRECTORY, data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let pid = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("postmaster ")?.parse().ok());
    (server, pid.expect("the server says when it is up"))
}

#[tokio::test]
#[ignore = "the body of a process that another test starts and kills"]
async fn serves_until_killed() {
    let Some(data_dir) = std::env::var_os(SERVED_DIRECTORY) else { return };
    let postgres = EmbeddedPostgres::start(Path::new(&data_dir)).await.unwrap();
    println!("\npostmaster {}", postgres.pid().unwrap());
    std::future::pending::<()>().await;
}

/// As the test harness knows it: the path of this module within the binary, which starts with the crate's name.
fn test_name(function: &str) -> String {
    let (_crate, module) = module_path!().split_once("::").unwrap();
    format!("{module}::{function}")
}
