//! Who gets in, and what a viewer costs.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::App;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::cookie::Cookie;
use actix_web::http::header;
use actix_web::test::{self, TestRequest};
use codeccloud_actors::ports::FeedCursor;
use codeccloud_actors::testing::{ManualClock, time};
use tokio::sync::watch;

use super::super::access::COOKIE;
use super::super::{Admin, AdminPorts, configure};
use crate::http::tests::house::{House, Mood};

struct World {
    house: Arc<House>,
    progress: watch::Sender<FeedCursor>,
    changes: Arc<AtomicU64>,
    admin: Arc<Admin>,
}

impl World {
    fn new() -> World {
        let house = House::that(Mood::Accepts);
        let progress = watch::Sender::new(FeedCursor::default());
        let changes = Arc::new(AtomicU64::new(0));
        let counted = changes.clone();
        let admin = Admin::start(AdminPorts {
            queries: house.clone(),
            reference: house.clone(),
            authenticator: house.clone(),
            progress: progress.subscribe(),
            change_of: Box::new(move |_| counted.load(Ordering::Relaxed)),
            clock: Arc::new(ManualClock::at(time("2027-03-01T08:00:00Z"))),
            request_limit: Duration::from_secs(1),
        });
        World { house, progress, changes, admin }
    }

    /// Long enough for a look at every move.
    async fn feed_moves(&self, body: &mut BoxBody) {
        for _ in 0..4 {
            self.progress.send_modify(|_| {});
            let reading = async { while next(body).await.is_some() {} };
            let _ = tokio::time::timeout(Duration::from_millis(150), reading).await;
        }
    }
}

async fn next(body: &mut BoxBody) -> Option<()> {
    poll_fn(|context| Pin::new(&mut *body).poll_next(context)).await.map(|event| drop(event.expect("no stream fails")))
}

fn stream() -> TestRequest {
    TestRequest::get().uri("/admin/stream").cookie(Cookie::new(COOKIE, "owner"))
}

#[actix_web::test]
async fn nobody_looks_while_only_other_salons_book() {
    let world = World::new();
    let app = test::init_service(App::new().configure(configure(world.admin.clone()))).await;
    let mut body = test::call_service(&app, stream().to_request()).await.into_body();
    world.feed_moves(&mut body).await;
    assert_eq!(world.house.seen().len(), 1, "the first look");
    world.changes.store(1, Ordering::Relaxed);
    world.feed_moves(&mut body).await;
    assert_eq!(world.house.seen().len(), 2, "and one at what is new");
}

#[actix_web::test]
async fn a_stranger_at_the_login_is_looked_up_at_once() {
    let world = World::new();
    let app = test::init_service(App::new().configure(configure(world.admin.clone()))).await;
    let enter = |token: &str| TestRequest::post().uri("/admin/login").set_form([("token", token)]).to_request();
    assert_eq!(test::call_service(&app, enter("owner")).await.status(), 303);
    assert!(world.house.seen().is_empty());
    assert_eq!(test::call_service(&app, enter("owner@9")).await.status(), 403);
    assert_eq!(world.house.seen(), ["looks again"]);
}

#[actix_web::test]
async fn one_user_has_no_more_streams_than_can_be_looked_at() {
    let world = World::new();
    let app = test::init_service(App::new().configure(configure(world.admin.clone()))).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(test::call_service(&app, stream().to_request()).await);
        assert_eq!(streams.last().map(|stream| stream.status().as_u16()), Some(200));
    }
    let refused = test::call_service(&app, stream().to_request()).await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key(header::RETRY_AFTER)), (429, true));
    streams.pop();
    assert_eq!(test::call_service(&app, stream().to_request()).await.status(), 200, "when another is closed");
}
