//! Every request that a handler of ours answers passes here: span, metrics, time limit, walls against panics, and the one
//! place where problems become answers; for the route table also authorisation and rate limit. A handler can't be reached
//! around it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard;
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse};
use futures_util::FutureExt;
use tracing::{Instrument, Span};

use super::metrics::RouteMetrics;
use super::problem::Problem;
use super::route::{Access, Route, Verb};
use super::session::Session;
use super::{Door, authorise, idempotency, trace};
use crate::ports::{Quota, RateLimited};

/// What is around a handler, whoever may call it.
struct Frame {
    verb: Verb,
    path: &'static str,
    /// Of its spans.
    name: String,
    /// From the request's head to its answer's, whatever takes the time: finding out who asks, the body, the handler.
    limit: Duration,
    metrics: RouteMetrics,
}

struct Gate {
    route: &'static Route,
    door: Arc<Door>,
    frame: Frame,
}

/// The route's handler, behind its gate.
pub fn guarded(route: &'static Route, door: &Arc<Door>) -> actix_web::Route {
    let frame = Frame::of(route.verb, route.path, door.limits.request);
    let gate = Rc::new(Gate { route, door: door.clone(), frame });
    let handler = match route.verb {
        // Who asks for the head gets the answer's, and the server leaves the body out.
        Verb::Get => (route.handler)().guard(guard::Any(guard::Get()).or(guard::Head())),
        Verb::Post | Verb::Put | Verb::Patch | Verb::Delete => (route.handler)().method(route.verb.method()),
    };
    handler.wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
        let gate = gate.clone();
        async move { Ok::<_, Error>(gate.pass(request, next).await) }
    }))
}

/// A handler that no role is asked of: it looks at its visitors itself.
pub fn framed(verb: Verb, path: &'static str, limit: Duration, handler: actix_web::Route) -> actix_web::Route {
    let frame = Rc::new(Frame::of(verb, path, limit));
    handler.method(verb.method()).wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
        let frame = frame.clone();
        async move {
            let head = request.request().clone();
            let response = frame.around(&head, handle(request, next)).await;
            Ok::<_, Error>(ServiceResponse::new(head, response))
        }
    }))
}

impl Frame {
    fn of(verb: Verb, path: &'static str, limit: Duration) -> Frame {
        let name = format!("{} {path}", verb.as_str());
        Frame { verb, path, name, limit, metrics: RouteMetrics::of(verb.as_str(), path) }
    }

    async fn around(
        &self,
        request: &HttpRequest,
        work: impl Future<Output = Result<HttpResponse, Problem>>,
    ) -> HttpResponse {
        let started = Instant::now();
        let span = trace::request_span(&self.name, self.verb.as_str(), self.path, request);
        let answering = async {
            let outcome = match tokio::time::timeout(self.limit, AssertUnwindSafe(work).catch_unwind()).await {
                Err(_) => Err(Problem::unavailable("the request took too long", 1)),
                // The panic hook has logged where and why.
                Ok(Err(_)) => Err(Problem::internal(&"a handler panicked")),
                Ok(Ok(outcome)) => outcome,
            };
            outcome.unwrap_or_else(|problem| problem.respond(request))
        };
        let response = answering.instrument(span.clone()).await;
        span.record("status", response.status().as_u16());
        self.metrics.record(response.status(), started.elapsed());
        response
    }
}

impl Gate {
    async fn pass(&self, request: ServiceRequest, next: Next<BoxBody>) -> ServiceResponse {
        let head = request.request().clone();
        let mut quota = None;
        let admitted = async {
            self.admit(&head, &mut quota).await?;
            handle(request, next).await
        };
        let mut response = self.frame.around(&head, admitted).await;
        if let Some(quota) = quota {
            quota.write_to(response.headers_mut());
        }
        ServiceResponse::new(head, response)
    }

    async fn admit(&self, request: &HttpRequest, quota: &mut Option<Quota>) -> Result<(), Problem> {
        if self.route.access == Access::Public {
            return Ok(());
        }
        let session = authorise::session(&self.door, self.route.access, request).await?;
        Span::current().record("tenant_id", tracing::field::display(session.tenant_id));
        *quota = self.quota(&session).await;
        if let Some(quota) = quota {
            quota.check()?;
        }
        if self.route.needs_idempotency_key() {
            idempotency::key(request)?;
        }
        request.extensions_mut().insert(session);
        Ok(())
    }

    async fn quota(&self, session: &Session) -> Option<Quota> {
        let limiter = self.door.rate_limiter.as_ref().filter(|_| self.route.rate_limited)?;
        let (tenant_id, user_id) = (session.tenant_id, session.caller.user_id);
        limiter.take(RateLimited { tenant_id, user_id, route: self.route.path }, self.door.clock.now()).await
    }
}

async fn handle(request: ServiceRequest, next: Next<BoxBody>) -> Result<HttpResponse, Problem> {
    let response = next.call(request).await.map_err(|error| Problem::from(&error))?.into_parts().1;
    match response.error() {
        Some(error) => Err(Problem::from(error)),
        None => Ok(response),
    }
}
