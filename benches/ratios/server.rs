//! The real binary in its own process, on its own database.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio_postgres::Client;

use super::database::{BenchDir, as_superuser, connect};

pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    dir: BenchDir,
    /// `FEATURE_SCALE`
    scale: &'static str,
}

impl Server {
    /// In scale mode.
    pub fn start(dir: BenchDir) -> Server {
        Server::in_mode(dir, "on")
    }

    pub fn in_mode(dir: BenchDir, scale: &'static str) -> Server {
        let mut child = command(&dir, scale, &["serve", "--demo", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.trim().strip_prefix("API ").map(|api| api.trim().trim_end_matches("/v1").to_owned()))
            .expect("the server says where it listens");
        // Whatever it prints later must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, url, dir, scale }
    }

    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// What a command of the same data directory prints.
    pub fn output(&self, arguments: &[&str]) -> String {
        let output =
            command(&self.dir, self.scale, arguments).stderr(Stdio::null()).output().expect("the command runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "codeccloud {arguments:?} failed: {text}");
        text.trim().to_owned()
    }

    pub async fn superuser(&self) -> Client {
        connect(&as_superuser(&self.output(&["database", "url"]))).await
    }

    /// Runs the load tester against it, from a process of its own, as a user would.
    pub async fn load(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["load", "--url", &self.url, "--json"];
        all.extend_from_slice(arguments);
        let mut command = tokio::process::Command::from(command(&self.dir, self.scale, &all));
        let output = command.stderr(Stdio::null()).output().await.expect("the load tester runs");
        assert!(output.status.success(), "the load tester's check failed: {}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).expect("a report")
    }

    /// In MiB, its PostgreSQL not counted.
    pub fn resident(&self) -> f64 {
        resident(self.child.id())
    }

    /// Returns the data directory and how long the stop took.
    pub fn stop(mut self) -> (BenchDir, Duration) {
        let began = Instant::now();
        self.terminate();
        (std::mem::replace(&mut self.dir, BenchDir::new()), began.elapsed())
    }

    fn terminate(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.terminate();
    }
}

/// The resident memory of a process, in MiB.
pub fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux says it");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    kib / 1_024.0
}

fn command(dir: &BenchDir, scale: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codeccloud"));
    command.arg("--data-dir").arg(dir.path()).args(arguments);
    command.env("FEATURE_SCALE", scale).env_remove("DATABASE_URL");
    command
}
