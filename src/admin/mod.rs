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

use actix_web::web::{self, Data, ServiceConfig};
use codeccloud_actors::ports::{Clock, FeedCursor};
use tokio::sync::watch;

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
    closing: watch::Sender<bool>,
}

impl Admin {
    pub fn new(ports: AdminPorts) -> Admin {
        Admin { ports, closing: watch::Sender::new(false) }
    }

    /// Ends all streams: they would hold up a graceful stop.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Where the feed is, and how old the newest moment is whose events are all shown. `None` before the first read.
    fn feed(&self) -> (i64, Option<i64>) {
        let cursor = *self.ports.progress.borrow();
        let age_ms = self.ports.clock.now().as_millis() - cursor.since_ms;
        (cursor.floor.0, (cursor.since_ms > 0).then_some(age_ms.max(0)))
    }
}

pub fn configure(admin: Arc<Admin>) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |config| {
        config
            .app_data(Data::from(admin.clone()))
            .route("/admin", web::get().to(page::show))
            .route("/admin/login", web::get().to(login::form))
            .route("/admin/login", web::post().to(login::enter))
            .route("/admin/logout", web::post().to(login::leave))
            .route("/admin/assets/{name}", web::get().to(page::asset))
            .route("/v1/admin/stream", web::get().to(stream::open));
    }
}
