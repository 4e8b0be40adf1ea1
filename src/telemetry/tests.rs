use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::{fs, thread};

use metrics::{counter, gauge, histogram};
use tracing::{Span, info_span};

use super::metrics_catalogue::{ALL, COMMANDS, HTTP_DURATION, Kind, describe_all};
use super::*;
use crate::settings::LogFormat;

#[test]
fn every_metric_is_rendered_with_its_help_and_type() {
    let recorder = prometheus::recorder();
    metrics::with_local_recorder(&recorder, || {
        describe_all();
        for metric in ALL {
            match metric.kind {
                Kind::Counter => counter!(metric.name).increment(1),
                Kind::Gauge => gauge!(metric.name).set(1.0),
                Kind::Histogram(_) => histogram!(metric.name).record(0.75),
            }
        }
        counter!(COMMANDS.name, "aggregate_type" => "loyalty_balance", "outcome" => "refused").increment(3);
    });
    let text = recorder.handle().render();
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}", metric.name);
    }
    assert!(text.contains(r#"codeccloud_commands_total{aggregate_type="loyalty_balance",outcome="refused"} 3"#));
    assert!(text.contains(&format!(r#"{}_bucket{{le="0.5"}} 0"#, HTTP_DURATION.name)), "{text}");
    assert!(text.contains(&format!(r#"{}_bucket{{le="1"}} 1"#, HTTP_DURATION.name)), "{text}");
}

#[test]
fn memory_is_what_linux_says() {
    assert_eq!(prometheus::resident_bytes("VmHWM:\t   9 kB\nVmRSS:\t   2048 kB\n"), Some(2_097_152.0));
    let text = Prometheus::install().render();
    let line = text.lines().find(|line| line.starts_with("codeccloud_process_resident_memory_bytes ")).unwrap();
    let bytes: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(bytes > 1_000_000.0, "{line}");
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn log() -> Log {
    Log { format: LogFormat::Json, filter: "off".to_owned() }
}

fn telemetry(receiver: SocketAddr) -> Telemetry {
    Telemetry { otlp_endpoint: Some(format!("http://{receiver}")), service_name: "codeccloud-under-test".to_owned() }
}

#[test]
fn a_trace_is_continued_and_reaches_the_collector() {
    let (address, requests) = fake_receiver();
    let provider = traces::provider(&telemetry(address)).unwrap();
    let mut own = None;
    subscriber::with_default(subscriber(&log(), provider.as_ref()), || {
        let span = info_span!("book");
        set_parent(&span, PARENT);
        own = traceparent_of(&span);
        span.in_scope(|| info_span!("append").in_scope(|| ()));
    });
    drop(TelemetryGuard { provider });

    let request = requests.recv_timeout(Duration::from_secs(10)).expect("dropping the guard sends what is left");
    let own = own.expect("the span is traced");
    let [version, trace, span, flags] = own.split('-').collect::<Vec<_>>()[..] else { panic!("{own}") };
    assert_eq!((version, trace, flags), ("00", "0af7651916cd43dd8448eb211c80319c", "01"));
    assert_ne!(span, "b7ad6b7169203331", "the span is a child of its parent");
    assert_eq!(request.head, "POST /v1/traces HTTP/1.1");
    let holds = |bytes: &[u8]| request.body.windows(bytes.len()).any(|window| window == bytes);
    for hex in [trace, span, "b7ad6b7169203331"] {
        assert!(holds(&bytes_of(hex)), "{hex}");
    }
    for text in ["book", "append", "codeccloud-under-test"] {
        assert!(holds(text.as_bytes()), "{text}");
    }
}

/// As in the server: set up and torn down on a thread that runs async tasks, where blocking clients like to panic.
#[tokio::test]
async fn traces_start_and_stop_within_a_runtime() {
    let (address, requests) = fake_receiver();
    let provider = traces::provider(&telemetry(address)).unwrap();
    subscriber::with_default(subscriber(&log(), provider.as_ref()), || info_span!("tick").in_scope(|| ()));
    drop(TelemetryGuard { provider });
    assert!(!requests.recv_timeout(Duration::from_secs(10)).unwrap().body.is_empty());
}

#[test]
fn a_collector_that_does_not_answer_does_not_hold_up_the_stop() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let provider = traces::provider(&telemetry(silent.local_addr().unwrap())).unwrap();
    subscriber::with_default(subscriber(&log(), provider.as_ref()), || info_span!("tick").in_scope(|| ()));
    let begun = std::time::Instant::now();
    drop(TelemetryGuard { provider });
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn what_is_no_traceparent_is_ignored() {
    let (address, _requests) = fake_receiver();
    let provider = traces::provider(&telemetry(address)).unwrap();
    subscriber::with_default(subscriber(&log(), provider.as_ref()), || {
        let span = info_span!("book");
        set_parent(&span, "00-not-a-trace");
        assert_ne!(traceparent_of(&span), None, "the span begins a trace of its own");
    });
}

/// They cost a command nothing where nobody exports traces, whatever else is logged at the default level.
#[test]
fn spans_of_a_commands_way_exist_for_exporters_only() {
    let log = Log { format: LogFormat::Json, filter: "info".to_owned() };
    let wanted = |provider| subscriber::with_default(super::subscriber(&log, provider), trace::is_wanted);
    let (address, _requests) = fake_receiver();
    let provider = traces::provider(&telemetry(address)).unwrap();
    assert!(wanted(provider.as_ref()));
    assert!(!wanted(None));
}

/// A metric that nothing emits promises what no operator will ever see.
#[test]
fn every_metric_of_the_catalogue_is_emitted_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let catalogue = root.join("actors/src/metrics_catalogue.rs");
    let mut sources = String::new();
    for folder in ["src", "actors/src"] {
        let not_here = |path: &Path| path != catalogue && !path.ends_with("tests.rs");
        read_sources(&root.join(folder), &not_here, &mut sources);
    }
    let catalogue = fs::read_to_string(&catalogue).unwrap();
    let defined =
        catalogue.lines().filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix(": Metric = Metric {"));
    let silent: Vec<&str> = defined.filter(|name| !sources.contains(&format!("{name}.name"))).collect();
    assert!(silent.is_empty(), "emit them or take them out: {silent:?}");
}

fn read_sources(folder: &Path, is_source: &impl Fn(&Path) -> bool, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, is_source, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") && is_source(&path) {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn without_an_endpoint_nothing_is_traced() {
    let off = Telemetry { otlp_endpoint: None, service_name: "codeccloud".to_owned() };
    assert!(traces::provider(&off).unwrap().is_none());
    subscriber::with_default(subscriber(&log(), None), || {
        let span = info_span!("book");
        set_parent(&span, PARENT);
        assert_eq!(traceparent_of(&span), None);
    });
    assert_eq!(traceparent_of(&Span::none()), None);
}

struct Request {
    head: String,
    body: Vec<u8>,
}

/// Stands in for a collector: takes requests on a port of its own, answers 200 to each, and hands them over.
fn fake_receiver() -> (SocketAddr, mpsc::Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if sender.send(receive(stream.unwrap())).is_err() {
                return;
            }
        }
    });
    (address, requests)
}

fn receive(mut stream: TcpStream) -> Request {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = reader.by_ref().lines().map(Result::unwrap);
    let head = lines.next().unwrap();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    Request { head, body }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
