use std::cell::RefCell;
use std::time::Duration;

use actix_web::http::StatusCode;
use codeccloud_actors::metrics_catalogue::{HTTP_DURATION, HTTP_REQUESTS};
use metrics::{Counter, Histogram, counter, histogram};

/// A route's series, looked up once for each worker: doing so for each request would cost more than counting.
pub struct RouteMetrics {
    method: &'static str,
    route: &'static str,
    duration: Histogram,
    /// A route answers with a handful of statuses.
    by_status: RefCell<Vec<(StatusCode, Counter)>>,
}

impl RouteMetrics {
    pub fn of(method: &'static str, route: &'static str) -> RouteMetrics {
        let duration = histogram!(HTTP_DURATION.name, "route" => route);
        RouteMetrics { method, route, duration, by_status: RefCell::default() }
    }

    pub fn record(&self, status: StatusCode, duration: Duration) {
        self.duration.record(duration);
        let mut by_status = self.by_status.borrow_mut();
        let known = by_status.iter().position(|(known, _)| *known == status);
        let at = known.unwrap_or_else(|| {
            by_status.push((status, self.requests(status)));
            by_status.len() - 1
        });
        by_status[at].1.increment(1);
    }

    fn requests(&self, status: StatusCode) -> Counter {
        let status = status.as_str().to_owned();
        counter!(HTTP_REQUESTS.name, "route" => self.route, "method" => self.method, "status" => status)
    }
}
