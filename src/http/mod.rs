//! The door: REST for booking front-ends. It knows the house by its ports only.
//!
//! To add an endpoint: its handler and its types in the folder of its resource, and an entry in [`routes`]. Roles, rate
//! limit, idempotency, metrics, the OpenAPI document and the docs page follow from the entry.

mod audit;
mod authorise;
mod bookings;
mod customers;
mod docs;
mod etag;
mod execute;
mod extractors;
mod figures;
mod gate;
mod health;
mod idempotency;
mod loyalty;
mod metrics;
mod openapi;
mod paging;
mod problem;
mod products;
mod rate_limit;
mod request_id;
mod route;
mod routes;
mod services;
mod session;
mod staff;
mod stock;
#[cfg(test)]
pub mod tests;
mod trace;
mod unmatched;
mod validate;
mod webhooks;

use std::future::ready;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpRequest, HttpServer, Resource};
use codeccloud_actors::ports::{Clock, Ids};

pub use problem::{Problem, Slug};
pub use route::{Access, Route, Verb};
pub use routes::ROUTES;

use crate::ports::{Audit, Authenticator, Commands, Customers, Queries, RateLimiter, Readiness, Reference, Webhooks};

/// Browsers may ask again after this long whether they may ask.
const PREFLIGHT_SECONDS: usize = 3_600;

/// For the head of a request. Whoever sends it more slowly holds a connection for nothing.
const HEAD_WAIT: Duration = Duration::from_secs(5);

pub struct Door {
    pub commands: Arc<dyn Commands>,
    pub queries: Arc<dyn Queries>,
    pub reference: Arc<dyn Reference>,
    pub customers: Arc<dyn Customers>,
    pub audit: Arc<dyn Audit>,
    pub webhooks: Arc<dyn Webhooks>,
    pub authenticator: Arc<dyn Authenticator>,
    pub readiness: Arc<dyn Readiness>,
    /// `None` is without limit.
    pub rate_limiter: Option<Arc<dyn RateLimiter>>,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub limits: Limits,
    /// Origins of front-ends in browsers; `*` is any.
    pub cors_origins: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the request's head to its answer; also the deadline of its command.
    pub request: Duration,
    /// How long a graceful stop waits for what runs.
    pub shutdown: Duration,
    pub workers: usize,
    pub body_bytes: usize,
}

/// Serves until the returned server's handle stops it; signals are the caller's business. `further` adds what other
/// modules serve, such as live pages.
pub fn serve(
    door: Arc<Door>,
    listener: TcpListener,
    further: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let limits = door.limits;
    let server = HttpServer::new(move || app(door.clone(), further.clone()))
        .workers(limits.workers)
        .shutdown_timeout(limits.shutdown.as_secs())
        .disable_signals()
        .client_request_timeout(HEAD_WAIT)
        .listen(listener)?;
    Ok(server.run())
}

/// Layers, from the outermost: request id, words for what the framework refuses, CORS, and for each route its gate.
fn app(
    door: Arc<Door>,
    further: impl FnOnce(&mut ServiceConfig),
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let ids = door.ids.clone();
    App::new()
        .configure(resources(&door))
        .configure(further)
        .default_service(web::to(unmatched::unknown_route))
        .wrap(cors(&door.cors_origins))
        .wrap(from_fn(unmatched::explain))
        .wrap(from_fn(move |request: ServiceRequest, next: Next<_>| {
            let ids = ids.clone();
            async move { request_id::assign(&*ids, request, next).await }
        }))
}

/// The route table, as actix wants it: routes of one path together.
fn resources(door: &Arc<Door>) -> impl FnOnce(&mut ServiceConfig) {
    let door = door.clone();
    move |config| {
        config.app_data(Data::from(door.clone()));
        let mut paths: Vec<&'static str> = ROUTES.iter().map(|route| route.path).collect();
        paths.dedup();
        for path in paths {
            let siblings = ROUTES.iter().filter(|route| route.path == path);
            let handlers = siblings.map(|route| (route.verb, gate::guarded(route, &door)));
            config.service(resource(path, handlers.collect()));
        }
    }
}

/// A page of another module: what goes for the routes of the table goes for it too, except that no role is asked for.
/// `limit` is for its answer's head; a stream may go on.
pub fn page(path: &'static str, limit: Duration, handlers: Vec<(Verb, actix_web::Route)>) -> Resource {
    let framed = |(verb, handler)| (verb, gate::framed(verb, path, limit, handler));
    resource(path, handlers.into_iter().map(framed).collect())
}

fn resource(path: &str, handlers: Vec<(Verb, actix_web::Route)>) -> Resource {
    let known: Vec<Verb> = handlers.iter().map(|(verb, _)| *verb).collect();
    let refuse = move |request: HttpRequest| ready(unmatched::unknown_method(&request, &known));
    let resource = handlers.into_iter().fold(web::resource(path), |resource, (_, handler)| resource.route(handler));
    resource.default_service(web::to(refuse))
}

fn cors(origins: &[String]) -> Cors {
    let asked = [authorise::WORKSPACE.clone(), idempotency::KEY.clone(), request_id::HEADER.clone()];
    let exposed =
        [request_id::HEADER.clone(), idempotency::REPLAY.clone(), header::ETAG, header::LINK, header::LOCATION];
    let limits = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(HeaderName::from_static);
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH])
        .allowed_headers(asked)
        .allowed_headers(["traceparent", "tracestate"].map(HeaderName::from_static))
        .expose_headers(exposed)
        .expose_headers(limits)
        .expose_headers([header::RETRY_AFTER])
        .max_age(PREFLIGHT_SECONDS);
    origins.iter().fold(cors, |cors, origin| match origin.as_str() {
        "*" => cors.allow_any_origin(),
        origin => cors.allowed_origin(origin),
    })
}
