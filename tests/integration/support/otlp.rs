//! Stands in for a collector: takes spans by OTLP over HTTP, and reads of their protobuf what tests ask about.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    pub trace_id: String,
    pub span_id: String,
    /// Empty at the root of a trace.
    pub parent_id: String,
    pub name: String,
    pub attributes: HashMap<String, String>,
}

pub struct Collector {
    pub endpoint: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&spans);
        thread::spawn(move || {
            for stream in listener.incoming() {
                receive(stream.unwrap(), &received);
            }
        });
        Collector { endpoint, spans }
    }

    /// The trace's spans, once they are what `complete` waits for.
    pub async fn trace(&self, trace_id: &str, complete: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mut spans = self.spans.lock().unwrap().clone();
            spans.retain(|span| span.trace_id == trace_id);
            if complete(&spans) {
                return spans;
            }
            assert!(Instant::now() < deadline, "the trace stays incomplete: {spans:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn receive(mut stream: TcpStream, received: &Mutex<Vec<Span>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = reader.by_ref().lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "POST /v1/traces HTTP/1.1");
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let header = |name: &str| headers.iter().find_map(|line| line.strip_prefix(name));
    assert_eq!(header("content-type: "), Some("application/x-protobuf"));
    let mut body = vec![0; header("content-length: ").unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    // ExportTraceServiceRequest.resource_spans, ResourceSpans.scope_spans, ScopeSpans.spans.
    for resource in messages(&body, 1) {
        for scope in messages(resource, 2) {
            received.lock().unwrap().extend(messages(scope, 2).map(span));
        }
    }
}

fn span(message: &[u8]) -> Span {
    let text = |number| String::from_utf8(messages(message, number).next().unwrap_or_default().to_vec()).unwrap();
    let id = |number| messages(message, number).flatten().map(|byte| format!("{byte:02x}")).collect();
    Span {
        trace_id: id(1),
        span_id: id(2),
        parent_id: id(4),
        name: text(5),
        attributes: messages(message, 9).map(attribute).collect(),
    }
}

fn attribute(message: &[u8]) -> (String, String) {
    let value = messages(message, 2).next().unwrap_or_default();
    let text = fields(value).next().map(|(_, value)| match value {
        Field::Number(number) => number.to_string(),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    });
    let key = messages(message, 1).next().unwrap_or_default();
    (String::from_utf8_lossy(key).into_owned(), text.unwrap_or_default())
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// All values of one field that are messages, texts or bytes.
fn messages(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(move |(number, value)| match value {
        Field::Bytes(bytes) if number == wanted => Some(bytes),
        Field::Bytes(_) | Field::Number(_) => None,
    })
}

fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let key = varint(&mut message);
        let value = match key & 7 {
            0 => Field::Number(varint(&mut message)),
            1 => Field::Number(u64::from_le_bytes(take(&mut message, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut message);
                Field::Bytes(take(&mut message, usize::try_from(length).unwrap()))
            }
            5 => Field::Number(u32::from_le_bytes(take(&mut message, 4).try_into().unwrap()).into()),
            other => panic!("protobuf has no wire type {other}"),
        };
        Some((key >> 3, value))
    })
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number of more than 64 bits")
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = message.split_at(length);
    *message = rest;
    taken
}
