//! A real Redis of a test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bb8_redis::redis::{Client, Cmd, Connection, FromRedisValue, cmd};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// On a socket, without anything on disk. It ends with its test.
pub struct RedisServer {
    socket: PathBuf,
    child: Option<Child>,
}

impl RedisServer {
    /// `dir` is the test's own, and short enough for the path of a socket.
    pub fn start(dir: &Path) -> RedisServer {
        let mut redis = RedisServer::absent(dir);
        redis.restart();
        redis
    }

    /// Where one will be.
    pub fn absent(dir: &Path) -> RedisServer {
        std::fs::create_dir_all(dir).unwrap();
        RedisServer { socket: dir.join("redis.sock"), child: None }
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Returns when it answers, empty.
    pub fn restart(&mut self) {
        self.kill_9();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&self.socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed by scripts/install-test-tools.sh");
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.connect().is_none() {
            assert!(Instant::now() < deadline, "Redis does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill_9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// It stays connected and answers nobody any more, until it is woken up.
    pub fn hang(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn wake_up(&self) {
        self.signal(Signal::SIGCONT);
    }

    pub fn flush_all(&self) {
        let _: () = self.ask(&cmd("FLUSHALL"));
    }

    pub fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query(&mut self.connect().expect("Redis runs")).unwrap()
    }

    pub fn keys(&self) -> Vec<String> {
        self.ask(cmd("KEYS").arg("*"))
    }

    fn connect(&self) -> Option<Connection> {
        let mut connection = Client::open(self.url()).unwrap().get_connection().ok()?;
        cmd("PING").query::<String>(&mut connection).ok().map(|_| connection)
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().expect("it was started").id();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
