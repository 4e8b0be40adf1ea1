//! What goes for the table's routes goes for the pages of other modules too.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::dev::Service;
use actix_web::test::{self, TestRequest};
use actix_web::web::{ServiceConfig, to};
use codeccloud_actors::metrics_catalogue::HTTP_REQUESTS;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::house::{House, Mood};
use super::{app, door};
use crate::http::{self, Verb};

async fn shown() -> HttpResponse {
    HttpResponse::Ok().finish()
}

async fn panics() -> HttpResponse {
    panic!("the page fell in")
}

async fn hangs() -> HttpResponse {
    pending().await
}

fn pages(config: &mut ServiceConfig) {
    let limit = Duration::from_millis(50);
    config
        .service(http::page("/shown", limit, vec![(Verb::Get, to(shown))]))
        .service(http::page("/panics", limit, vec![(Verb::Get, to(panics))]))
        .service(http::page("/hangs", limit, vec![(Verb::Get, to(hangs))]));
}

#[test]
fn a_page_is_counted_and_neither_panics_nor_hangs() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendering = recorder.handle();
    let statuses = metrics::with_local_recorder(&recorder, || {
        actix_web::rt::System::new().block_on(async {
            let app = test::init_service(app(Arc::new(door(&House::that(Mood::Accepts))), pages)).await;
            let mut statuses = Vec::new();
            for path in ["/shown", "/panics", "/hangs"] {
                let answering = app.call(TestRequest::get().uri(path).to_request());
                let answer = tokio::time::timeout(Duration::from_secs(5), answering).await.expect("an answer");
                statuses.push(answer.expect("problems are answers, not errors").status().as_u16());
            }
            statuses
        })
    });
    assert_eq!(statuses, [200, 500, 503]);
    let counted = rendering.render();
    for (path, status) in ["/shown", "/panics", "/hangs"].into_iter().zip(statuses) {
        let series = format!("{}{{route=\"{path}\",method=\"GET\",status=\"{status}\"}} 1", HTTP_REQUESTS.name);
        assert!(counted.contains(&series), "no {series} in\n{counted}");
    }
}
