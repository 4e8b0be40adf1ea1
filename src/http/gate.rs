//! Every request of the route table passes here: span, metrics, authorisation, rate limit, time limit, and the one place
//! where problems become answers. A handler can't be reached around it.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse};
use futures_util::FutureExt;
use tracing::{Instrument, Span};

use super::metrics::RouteMetrics;
use super::problem::Problem;
use super::rate_limit::{Quota, RateLimited};
use super::route::{Access, Route};
use super::session::Session;
use super::{Door, authorise, idempotency, trace};

struct Gate {
    route: &'static Route,
    /// Of its spans.
    name: String,
    door: Arc<Door>,
    metrics: RouteMetrics,
}

/// The route's handler, behind its gate.
pub fn guarded(route: &'static Route, door: &Arc<Door>) -> actix_web::Route {
    let gate = Rc::new(Gate {
        route,
        name: format!("{} {}", route.verb.as_str(), route.path),
        door: door.clone(),
        metrics: RouteMetrics::of(route.verb.as_str(), route.path),
    });
    (route.handler)().method(route.verb.method()).wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
        let gate = gate.clone();
        async move { Ok::<_, Error>(gate.pass(request, next).await) }
    }))
}

impl Gate {
    async fn pass(&self, request: ServiceRequest, next: Next<BoxBody>) -> ServiceResponse {
        let started = Instant::now();
        let head = request.request().clone();
        let span = trace::request_span(&self.name, self.route.verb.as_str(), self.route.path, &head);
        let response = self.answer(request, &head, next).instrument(span.clone()).await;
        span.record("status", response.status().as_u16());
        self.metrics.record(response.status(), started.elapsed());
        ServiceResponse::new(head, response)
    }

    async fn answer(&self, request: ServiceRequest, head: &HttpRequest, next: Next<BoxBody>) -> HttpResponse {
        let mut quota = None;
        let outcome = match self.admit(head, &mut quota).await {
            Ok(()) => self.handle(request, next).await,
            Err(problem) => Err(problem),
        };
        let mut response = outcome.unwrap_or_else(|problem| problem.respond(head));
        if let Some(quota) = quota {
            quota.write_to(response.headers_mut());
        }
        response
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

    async fn handle(&self, request: ServiceRequest, next: Next<BoxBody>) -> Result<HttpResponse, Problem> {
        let handled = AssertUnwindSafe(next.call(request)).catch_unwind();
        let response = match tokio::time::timeout(self.door.limits.request, handled).await {
            Err(_) => return Err(Problem::unavailable("the request took too long", 1)),
            // The panic hook has logged where and why.
            Ok(Err(_)) => return Err(Problem::internal(&"a handler panicked")),
            Ok(Ok(Err(error))) => return Err(Problem::from(&error)),
            Ok(Ok(Ok(response))) => response.into_parts().1,
        };
        match response.error() {
            Some(error) => Err(Problem::from(error)),
            None => Ok(response),
        }
    }
}
