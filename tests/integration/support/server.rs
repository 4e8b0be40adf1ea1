//! The real binary as its own process, and a front-end that talks to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use codeccloud::clock::SystemIds;
use codeccloud_actors::ports::Ids;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

pub struct Server {
    child: Child,
    pub url: String,
    pub client: reqwest::Client,
}

/// A demo salon with what it takes to book there.
#[derive(Clone, Debug)]
pub struct Salon {
    pub tenant_id: String,
    pub token: String,
    pub service_id: String,
    pub duration_minutes: i64,
    pub price: Value,
    pub staff_ids: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub replayed: Option<String>,
    pub retry_after: Option<String>,
    pub etag: Option<String>,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Which mode the demo salons are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Mvp,
    Scale,
}

impl Mode {
    pub fn start(self, data_dir: &Path) -> Server {
        self.start_with(data_dir, &[])
    }

    pub fn start_with(self, data_dir: &Path, environment: &[(&str, &str)]) -> Server {
        Server::start_with(data_dir, &[&[self.feature()], environment].concat())
    }

    /// With everything that it logs in a file of the data directory.
    pub fn start_logging(self, data_dir: &Path) -> Server {
        std::fs::create_dir_all(data_dir).unwrap();
        let mut command = command(data_dir);
        command
            .envs([self.feature(), ("CODECCLOUD_LOG_FILTER", "debug")])
            .stderr(std::fs::File::create(data_dir.join("server.log")).unwrap());
        Server::of(command)
    }

    pub fn feature(self) -> (&'static str, &'static str) {
        match self {
            Mode::Mvp => ("FEATURE_SCALE", "off"),
            Mode::Scale => ("FEATURE_SCALE", "on"),
        }
    }
}

/// The tests named, each in MVP mode and in scale mode: a client can't tell which one it is.
macro_rules! in_both_modes {
    ($($test:ident),+ $(,)?) => {
        mod mvp {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::support::Mode::Mvp).await;
            })+
        }

        mod scale {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::support::Mode::Scale).await;
            })+
        }
    };
}
pub(crate) use in_both_modes;

impl Server {
    /// Starts the server on its embedded database, with the demo salons.
    pub fn start(data_dir: &Path) -> Server {
        Server::of(command(data_dir))
    }

    /// The same, with its traces sent to `endpoint`, at once.
    pub fn traced(data_dir: &Path, endpoint: &str) -> Server {
        Server::start_with(data_dir, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50")])
    }

    /// With some settings of the environment changed.
    pub fn start_with(data_dir: &Path, environment: &[(&str, &str)]) -> Server {
        let mut command = command(data_dir);
        command.envs(environment.iter().copied());
        Server::of(command)
    }

    pub fn of(mut command: Command) -> Server {
        command.args(["serve", "--demo", "--listen", "127.0.0.1:0"]);
        Server::saying("API ", command)
    }

    /// Without bringing salons along, and so with rates limited.
    pub fn without_demo(mut command: Command) -> Server {
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        Server::saying("listening on ", command)
    }

    /// What it prints before the address that it listens at.
    fn saying(words: &str, mut command: Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.trim().strip_prefix(words).map(|api| api.trim().trim_end_matches("/v1").to_owned()))
            .expect("the server says where it listens");
        // Whatever it prints later must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, url, client: reqwest::Client::new() }
    }

    /// A second server on a database that another one runs.
    pub fn beside(database_url: &str, data_dir: &Path) -> Server {
        Server::of(command_beside(database_url, data_dir, &[]))
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// As `kill -9` does: nothing in the process gets to run any more.
    pub fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As Ctrl-C does; returns how long the stop took.
    pub fn stop(mut self) -> Duration {
        let began = Instant::now();
        kill(self.pid(), Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the server stopped with {status}");
        began.elapsed()
    }

    pub async fn ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let health = self.client.get(format!("{}/health/ready", self.url)).send().await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(Instant::now() < deadline, "the server does not become ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The first demo salon, with a front-end server's token.
    pub async fn salon(&self, data_dir: &Path) -> Salon {
        self.salon_named(data_dir, "salon-aare").await
    }

    pub async fn salon_named(&self, data_dir: &Path, slug: &str) -> Salon {
        self.salon_by(|| command(data_dir), slug).await
    }

    /// The same, of a server on a named database.
    pub async fn salon_with(&self, command: impl Fn() -> Command) -> Salon {
        self.salon_by(command, "salon-aare").await
    }

    pub async fn salon_by(&self, command: impl Fn() -> Command, slug: &str) -> Salon {
        let tenants: Value = serde_json::from_str(&output_of(command(), &["tenant", "list", "--json"])).unwrap();
        let tenant_id = tenants
            .as_array()
            .unwrap()
            .iter()
            .find(|tenant| tenant["slug"] == slug)
            .and_then(|tenant| tenant["id"].as_str())
            .unwrap()
            .to_owned();
        let arguments = ["token", "--tenant", &tenant_id, "--role", "service"];
        let token = output_of(command(), &arguments).trim().to_owned();
        let mut salon = Salon {
            tenant_id,
            token,
            service_id: String::new(),
            duration_minutes: 0,
            price: Value::Null,
            staff_ids: Vec::new(),
        };
        let services = self.get(&salon, "/v1/services").await.json();
        let service = services
            .as_array()
            .unwrap()
            .iter()
            .min_by_key(|service| service["durationMinutes"].as_i64())
            .unwrap()
            .clone();
        salon.service_id = service["id"].as_str().unwrap().to_owned();
        salon.duration_minutes = service["durationMinutes"].as_i64().unwrap();
        salon.price = service["price"].clone();
        let staff = self.get(&salon, "/v1/staff").await.json();
        salon.staff_ids =
            staff.as_array().unwrap().iter().map(|member| member["id"].as_str().unwrap().to_owned()).collect();
        salon.staff_ids.sort();
        salon
    }

    /// The salon with the token of a new member, once the server knows that one: within a second.
    pub async fn member_of(&self, salon: &Salon, data_dir: &Path, role: &str) -> Salon {
        self.member_by(|| command(data_dir), salon, role).await
    }

    /// The same, of a server on a named database.
    pub async fn member_by(&self, command: impl Fn() -> Command, salon: &Salon, role: &str) -> Salon {
        let token = output_of(command(), &["token", "--tenant", &salon.tenant_id, "--role", role]).trim().to_owned();
        let member = Salon { token, ..salon.clone() };
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.get(&member, "/v1/bookings").await.status == 403 {
            assert!(Instant::now() < deadline, "the server does not learn of its new member");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        member
    }

    pub async fn get(&self, salon: &Salon, path: &str) -> Reply {
        self.send(Method::GET, salon, path, None, None).await.unwrap()
    }

    pub async fn post(&self, salon: &Salon, path: &str, key: &str, body: &Value) -> Reply {
        self.send(Method::POST, salon, path, Some(key), Some(body)).await.unwrap()
    }

    pub async fn send(
        &self,
        method: Method,
        salon: &Salon,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> reqwest::Result<Reply> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&salon.token)
            .header("X-Workspace-ID", &salon.tenant_id);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        Ok(Reply {
            status: answer.status().as_u16(),
            replayed: header("X-Idempotent-Replay"),
            retry_after: header("Retry-After"),
            etag: header("ETag"),
            text: answer.text().await?,
        })
    }
}

impl Salon {
    /// A booking of the salon's shortest service: `day` and `number` pick a slot in 2031, `person` who serves.
    pub fn booking(&self, person: usize, day: i64, number: i64) -> Value {
        // 2031-06-02 is a Monday; nine o'clock in Zurich is seven UTC in summer.
        let week = day / 5;
        let monday = codeccloud_actors::time::Timestamp::from_millis(1_938_150_000_000);
        let start = monday.plus_minutes((week * 7 + day % 5) * 24 * 60 + number * self.duration_minutes);
        json!({
            "serviceId": self.service_id, "staffId": self.staff_ids[person % self.staff_ids.len()],
            "slotStart": start, "slotEnd": start.plus_minutes(self.duration_minutes), "price": self.price,
            "customer": {
                "id": Uuid::from_u128(0x4000_8000_0000_0000_0000 + u128::try_from(number).unwrap()),
                "email": "anna@example.ch", "firstName": "Anna", "lastName": "Muster"
            }
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            // Its database goes with it: a plain kill would leave that running.
            let _ = kill(self.pid(), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// Of tests that don't care: 32 bytes in base64.
const SEAL_KEY: &str = "c2VhbHMgb2YgdGVzdHMgdGhhdCBkbyBub3QgY2FyZS4=";

pub fn key() -> String {
    format!("test-{}", SystemIds.uuid())
}

/// Of a new user; `tenant` is an id or a slug.
pub fn token(data_dir: &Path, tenant: &str, role: &str) -> String {
    output(data_dir, &["token", "--tenant", tenant, "--role", role]).trim().to_owned()
}

/// A new one each time; tokens are made for whole seconds, so those of the same second are alike.
pub fn token_of(data_dir: &Path, tenant: &str, role: &str, user: Uuid) -> String {
    output(data_dir, &["token", "--tenant", tenant, "--role", role, "--user", &user.to_string()]).trim().to_owned()
}

/// What a command prints.
pub fn output(data_dir: &Path, arguments: &[&str]) -> String {
    output_of(command(data_dir), arguments)
}

fn output_of(mut command: Command, arguments: &[&str]) -> String {
    let output = command.args(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "codeccloud {arguments:?} failed");
    String::from_utf8(output.stdout).unwrap()
}

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codeccloud"));
    command.arg("--data-dir").arg(data_dir).env("FEATURE_SCALE", "on").env_remove("DATABASE_URL");
    command
}

/// For a server on a named database, with no other environment than this and a key for its seals, which it notes nowhere:
/// it has no directory of its own.
pub fn command_on(database_url: &str, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codeccloud"));
    command.env("FEATURE_SCALE", "on").env("DATABASE_URL", database_url).env("AUDIT_SEAL_KEY", SEAL_KEY);
    command.env("CODECCLOUD_AUDIT_NEWEST_SEAL_FILE", "/proc/nowhere/seal.json").envs(environment.iter().copied());
    command
}

/// For another server on a database that one with this data directory runs.
pub fn command_beside(database_url: &str, data_dir: &Path, environment: &[(&str, &str)]) -> Command {
    let secrets: toml::Table = std::fs::read_to_string(data_dir.join("secrets.toml")).unwrap().parse().unwrap();
    let secret = |name: &str| secrets[name].as_str().unwrap();
    let known = [
        ("SUPABASE_JWT_SECRET", secret("jwt_secret")),
        ("VAULT_MASTER_KEY", secret("vault_master_key")),
        ("AUDIT_SEAL_KEY", secret("audit_seal_key")),
    ];
    let mut command = command_on(database_url, &known);
    command.envs(environment.iter().copied());
    command
}
