//! The mail server of `mail_sink.py`, and other Python that tests call.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

pub struct MailSink {
    pub port: u16,
    process: Child,
    mails: Arc<Mutex<Vec<Value>>>,
}

impl MailSink {
    pub fn start() -> MailSink {
        MailSink::start_with(&[])
    }

    /// With arguments of `mail_sink.py`.
    pub fn start_with(arguments: &[&str]) -> MailSink {
        let mut process = python("mail_sink.py")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/install-test-tools.sh");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let first: Value = serde_json::from_str(&lines.next().expect("the sink starts")).unwrap();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let taken = mails.clone();
        std::thread::spawn(move || {
            for line in lines {
                taken.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        MailSink { port: u16::try_from(first["port"].as_u64().unwrap()).unwrap(), process, mails }
    }

    pub fn mails(&self) -> Vec<Value> {
        self.mails.lock().unwrap().clone()
    }

    pub async fn received(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.mails().len() < count {
            assert!(Instant::now() < deadline, "{} mails of {count}", self.mails().len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.mails()
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the reference library accepts a call that was signed with this secret.
pub fn is_signed(secret: &str, call: &crate::support::receiver::Call) -> bool {
    let mut checking = python("verify_webhook.py").stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let asked = serde_json::json!({ "secret": secret, "headers": call.headers, "body": call.body });
    checking.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    checking.wait().unwrap().success()
}

/// Of the environment that `scripts/install-test-tools.sh` makes.
fn python(script: &str) -> Command {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let tools = variable("CODECCLOUD_TEST_TOOLS").unwrap_or_else(|| {
        let caches = variable("XDG_CACHE_HOME").unwrap_or_else(|| variable("HOME").unwrap().join(".cache"));
        caches.join("codeccloud-test-tools")
    });
    let mut command = Command::new(tools.join("bin/python"));
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/integration/outbox").join(script));
    command
}
