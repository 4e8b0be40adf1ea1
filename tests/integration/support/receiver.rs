//! Receives webhooks, and answers as its test asks it to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Call {
    pub headers: HashMap<String, String>,
    pub body: String,
    pub at: Instant,
    /// What it was answered.
    pub status: u16,
}

/// Of a body that never ends, in its head.
const ENDLESS: &str = "x-endless: yes\r\n";

pub struct Receiver {
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Call {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Such as `scheduled`, and of which booking.
    pub fn event(&self) -> (String, String) {
        let body = self.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&body["data"]["bookingId"]), text(&body["type"]).replace("booking.", ""))
    }
}

impl Receiver {
    /// `answer` gets the call and how many came before it; its text stands between the status line and the blank line.
    pub fn start(answer: impl Fn(&Call, usize) -> (u16, String) + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?salon=1", listener.local_addr().unwrap());
        let (calls, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let taken = calls.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (taken, answer) = (taken.clone(), answer.clone());
                thread::spawn(move || receive(stream.unwrap(), &taken, &*answer));
            }
        });
        Receiver { url, calls }
    }

    pub fn that_answers(status: u16) -> Receiver {
        Receiver::start(move |_, _| (status, String::new()))
    }

    /// Its answer's body goes on for as long as anybody reads it.
    pub fn endless() -> Receiver {
        Receiver::start(|_, _| (200, ENDLESS.to_owned()))
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub async fn called(&self, times: usize) -> Vec<Call> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.calls().len() < times {
            assert!(Instant::now() < deadline, "{} calls of {times}", self.calls().len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.calls()
    }
}

fn receive(mut stream: TcpStream, calls: &Mutex<Vec<Call>>, answer: &(dyn Fn(&Call, usize) -> (u16, String) + Sync)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    assert_eq!(first, "POST /hook?salon=1 HTTP/1.1");
    let headers: HashMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())).unwrap())
        .collect();
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let mut call = Call { headers, body: String::from_utf8(body).unwrap(), at: Instant::now(), status: 0 };
    let before = calls.lock().unwrap().len();
    let (status, more) = answer(&call, before);
    call.status = status;
    calls.lock().unwrap().push(call);
    if more == ENDLESS {
        let _ = stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 1000000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
        return;
    }
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n{more}\r\n");
    let _ = stream.write_all(head.as_bytes());
}
