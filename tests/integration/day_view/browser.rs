//! A real Chromium without a window, driven over the two pipes of its DevTools protocol.
//! <https://chromedevtools.github.io/devtools-protocol/>

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What `scripts/install-test-tools.sh` looks for.
const NAMES: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// The protocol is spoken on descriptors 3 and 4, which are ours as its input and output.
const ON_PIPES: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";

/// The browser's own services have no business in a test, and its sandbox refuses to run as root.
const FLAGS: [&str; 8] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
];

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Browser {
    process: Child,
    commands: ChildStdin,
    replies: BufReader<ChildStdout>,
    last_id: u64,
    /// Of the one tab.
    session_id: Option<String>,
    events: Vec<Value>,
}

impl Browser {
    pub async fn launch(profile: &Path) -> Browser {
        let mut command = Command::new("sh");
        command.args(["-c", ON_PIPES]).arg(program()).args(FLAGS).arg(format!("--user-data-dir={}", profile.display()));
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("sh is there");
        let commands = process.stdin.take().unwrap();
        let replies = BufReader::new(process.stdout.take().unwrap());
        let mut browser = Browser { process, commands, replies, last_id: 0, session_id: None, events: Vec::new() };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attaching = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attaching).await;
        browser.session_id = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    pub async fn close(mut self) {
        self.call("Browser.close", json!({})).await;
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        ended.expect("the browser closes").unwrap();
    }

    pub async fn resize(&mut self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Goes there and waits until everything is loaded.
    pub async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'").await;
    }

    /// The value of a script's expression.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let evaluation = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", evaluation).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until the expression is true; a page that is just being left has no say.
    pub async fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        let evaluation = json!({ "expression": expression, "returnByValue": true });
        while self.call("Runtime.evaluate", evaluation.clone()).await["result"]["value"] != true {
            assert!(Instant::now() < deadline, "in vain waited for: {expression}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    pub async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "ArrowRight" => (39, ""),
            other => panic!("how to press {other} is not known here"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    pub async fn screenshot(&mut self, file: &Path) {
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    /// What pages have complained of, and forgets it.
    pub fn complaints(&mut self) -> Vec<Value> {
        let is_complaint = |event: &mut Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                ["error", "warning"].iter().any(|kind| event["params"]["type"] == *kind)
            }
            Some("Log.entryAdded") => event["params"]["entry"]["level"] != "verbose",
            _ => false,
        };
        self.events.extract_if(.., is_complaint).collect()
    }

    /// Every address that pages have asked for.
    pub fn requests(&self) -> impl Iterator<Item = &str> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| event["params"]["request"]["url"].as_str())
    }

    pub async fn call(&mut self, method: &str, parameters: Value) -> Value {
        let calling = tokio::time::timeout(PATIENCE, self.exchange(method, parameters));
        calling.await.unwrap_or_else(|_| panic!("the browser does not answer to {method}"))
    }

    async fn exchange(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session_id) = self.session_id.as_ref().filter(|_| !method.starts_with("Browser.")) {
            command["sessionId"] = json!(session_id);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).await.unwrap();
        loop {
            let mut message = Vec::new();
            self.replies.read_until(0, &mut message).await.unwrap();
            assert_eq!(message.pop(), Some(0), "the browser has ended");
            let message: Value = serde_json::from_slice(&message).unwrap();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }
}

fn program() -> &'static str {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    NAMES.into_iter().find(is_there).expect("a browser: scripts/install-test-tools.sh installs one")
}
