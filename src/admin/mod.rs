//! The live day of a salon at `/admin`: pages rendered here, kept up to date by server-sent events. Read-only.
//!
//! It knows the house by its ports, and the feed by the progress of the projection that it shows.

mod access;
mod grid;
mod html;
mod lanes;
mod login;
mod page;
mod stream;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix_web::web::{Data, ServiceConfig, to};
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::{Clock, FeedCursor};
use tokio::sync::watch;

use streams::Streams;

use crate::http::{self, Verb};
use crate::ports::{Authenticator, Queries, Reference};

pub struct AdminPorts {
    pub queries: Arc<dyn Queries>,
    pub reference: Arc<dyn Reference>,
    pub authenticator: Arc<dyn Authenticator>,
    /// How far the bookings that `queries` shows have come.
    pub progress: watch::Receiver<FeedCursor>,
    /// Another number whenever the bookings of a tenant have changed: the feed moves for everybody's.
    pub change_of: Box<dyn Fn(TenantId) -> u64 + Send + Sync>,
    pub clock: Arc<dyn Clock>,
    /// From a request's head to its answer's.
    pub request_limit: Duration,
}

pub struct Admin {
    ports: AdminPorts,
    /// When the feed was last heard of; 0 is never. It moves even without events: it polls.
    heard_ms: AtomicI64,
    closing: watch::Sender<bool>,
    streams: Streams,
}

impl Admin {
    /// Call it within a tokio runtime.
    pub fn start(ports: AdminPorts) -> Arc<Admin> {
        let (heard_ms, closing) = (AtomicI64::new(0), watch::Sender::new(false));
        let admin = Arc::new(Admin { ports, heard_ms, closing, streams: Streams::default() });
        tokio::spawn(listen(admin.clone()));
        admin
    }

    /// Ends all streams: they would hold up a graceful stop.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Where the feed is, and how old the newest moment is whose events are all shown; `None` when not known yet.
    fn feed(&self) -> (i64, Option<i64>) {
        let cursor = *self.ports.progress.borrow();
        let complete_ms = match cursor.window {
            // It is behind, reading page by page.
            Some(window) => window.since_ms.max(cursor.since_ms),
            None => self.heard_ms.load(Ordering::Relaxed),
        };
        let age_ms = self.ports.clock.now().as_millis() - complete_ms;
        let position = cursor.window.map_or(cursor.floor, |window| window.after.max(cursor.floor));
        (position.0, (complete_ms > 0).then_some(age_ms.max(0)))
    }
}

/// Until the projection is gone, or the pages are closed.
async fn listen(admin: Arc<Admin>) {
    let mut progress = admin.ports.progress.clone();
    while progress.changed().await.is_ok() && !*admin.closing.borrow() {
        admin.heard_ms.store(admin.ports.clock.now().as_millis(), Ordering::Relaxed);
    }
}

pub fn configure(admin: Arc<Admin>) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |config| {
        let page = |path, handlers| http::page(path, admin.ports.request_limit, handlers);
        config
            .app_data(Data::from(admin.clone()))
            .service(page("/admin", vec![(Verb::Get, to(page::show))]))
            .service(page("/admin/login", vec![(Verb::Get, to(login::form)), (Verb::Post, to(login::enter))]))
            .service(page("/admin/logout", vec![(Verb::Post, to(login::leave))]))
            .service(page("/admin/assets/{name}", vec![(Verb::Get, to(page::asset))]))
            .service(page("/admin/stream", vec![(Verb::Get, to(stream::open))]));
    }
}
