//! One trace per request: from the front-end through the door, actors and journal to the projections.

use codeccloud::postgres::embedded::EmbeddedPostgres;
use serde_json::Value;

use crate::support::otlp::{Collector, Span};
use crate::support::{Salon, Server, TestDir, connect, key};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const FRONT_END: &str = "b7ad6b7169203331";

async fn book(server: &Server, salon: &Salon) -> Value {
    let request = server
        .client
        .post(format!("{}/v1/bookings", server.url))
        .bearer_auth(&salon.token)
        .header("X-Workspace-ID", &salon.tenant_id)
        .header("Idempotency-Key", key())
        .header("Content-Type", "application/json")
        .header("traceparent", format!("00-{TRACE}-{FRONT_END}-01"))
        .body(salon.booking(0, 0, 0).to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn the<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let [span] = named(spans, name)[..] else { panic!("not one span {name}: {spans:#?}") };
    span
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_front_end_through_door_actor_and_journal_to_the_projections() {
    let (dir, collector) = (TestDir::new(), Collector::start());
    let server = Server::traced(dir.path(), &collector.endpoint);
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    book(&server, &salon).await;

    const REQUEST: &str = "POST /v1/bookings";
    // The booking's event and the calendar's: the one is folded by the summaries and the revenue, the other by the two read
    // models of time.
    let complete = |spans: &[Span]| named(spans, "apply").len() == 4 && !named(spans, REQUEST).is_empty();
    let spans = collector.trace(TRACE, complete).await;
    let (request, command) = (the(&spans, REQUEST), the(&spans, "command"));
    let (decide, append) = (the(&spans, "decide"), the(&spans, "append"));
    let parents = [&request.parent_id, &command.parent_id, &decide.parent_id, &append.parent_id];
    assert_eq!(parents, [FRONT_END, &request.span_id, &command.span_id, &decide.span_id], "{spans:#?}");
    assert_eq!(decide.attributes["aggregate_type"], "staff_utilisation");
    assert_eq!((append.attributes["batch_size"].as_str(), append.attributes["outcome"].as_str()), ("1", "committed"));

    // They go by what the events carry: the request's span.
    let applied = named(&spans, "apply");
    assert!(applied.iter().all(|span| span.parent_id == request.span_id), "{applied:#?}");
    let mut projections: Vec<&str> = applied.iter().map(|span| span.attributes["projection"].as_str()).collect();
    projections.sort_unstable();
    assert_eq!(projections, ["appointment_summaries", "availability", "revenue", "staff_utilisation"]);
    assert_eq!(spans.len(), 8, "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_events_still_carry_the_front_ends_trace() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    book(&server, &salon).await;
    server.stop();
    let postgres = EmbeddedPostgres::start(dir.path()).await.unwrap();
    let client = connect(&postgres.url()).await;
    client.batch_execute("SET ROLE codeccloud_reader").await.unwrap();
    let rows = client.query("SELECT metadata ->> 'traceparent' FROM event_store", &[]).await.unwrap();
    let carried: Vec<Option<&str>> = rows.iter().map(|row| row.get(0)).collect();
    let expected = format!("00-{TRACE}-{FRONT_END}-01");
    assert_eq!(carried, [Some(expected.as_str()), Some(expected.as_str())]);
    postgres.stop().await;
}
