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
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, Resource};
use codeccloud_actors::ports::{Clock, FeedCursor};
use tokio::sync::watch;

use crate::http::{Problem, Slug};
use crate::ports::{Authenticator, Queries, Reference};

pub struct AdminPorts {
    pub queries: Arc<dyn Queries>,
    pub reference: Arc<dyn Reference>,
    pub authenticator: Arc<dyn Authenticator>,
    /// How far the bookings that `queries` shows have come.
    pub progress: watch::Receiver<FeedCursor>,
    pub clock: Arc<dyn Clock>,
}

pub struct Admin {
    ports: AdminPorts,
    /// When the feed was last heard of; 0 is never. It moves even without events: it polls.
    heard_ms: AtomicI64,
    closing: watch::Sender<bool>,
}

impl Admin {
    /// Call it within a tokio runtime.
    pub fn start(ports: AdminPorts) -> Arc<Admin> {
        let admin = Arc::new(Admin { ports, heard_ms: AtomicI64::new(0), closing: watch::Sender::new(false) });
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
        config
            .app_data(Data::from(admin.clone()))
            .service(only("/admin", "GET").get(page::show))
            .service(only("/admin/login", "GET, POST").get(login::form).post(login::enter))
            .service(only("/admin/logout", "POST").post(login::leave))
            .service(only("/admin/assets/{name}", "GET").get(page::asset))
            .service(only("/admin/stream", "GET").get(stream::open));
    }
}

/// Other methods than `allowed` are told so.
fn only(path: &str, allowed: &'static str) -> Resource {
    let refuse = move |request: HttpRequest| async move {
        Problem::new(Slug::MethodNotAllowed, format!("this page knows {allowed}"))
            .with_header(header::ALLOW, HeaderValue::from_static(allowed))
            .respond(&request)
    };
    web::resource(path).default_service(web::to(refuse))
}
