//! `GET /admin/stream`: the day again whenever it changed, and each second how far the feed is. It belongs to the page, not
//! to the API: what it sends is the page's HTML.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::metrics_catalogue::SSE_SUBSCRIBERS;
use codeccloud_actors::ports::FeedCursor;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::Admin;
use super::access::{self, Refusal, Visitor};
use super::grid::Day;
use super::page::{DayQuery, NO_DAY};
use crate::http::{Problem, Slug};

/// Also the heartbeat that keeps proxies from closing the stream.
const BEAT: Duration = Duration::from_secs(1);
/// Between two looks at the day, however fast the feed moves.
const PAUSE: Duration = Duration::from_millis(100);

pub async fn open(admin: Data<Admin>, request: HttpRequest, query: Query<DayQuery>) -> HttpResponse {
    let Some(token) = access::token(&request) else { return refused(Refusal::SignedOut, &request) };
    let visitor = match admin.visitor(&token) {
        Ok(visitor) => visitor,
        Err(refusal) => return refused(refusal, &request),
    };
    let Some(day) = query.day(&admin, &visitor) else {
        return Problem::new(Slug::BadRequest, NO_DAY).respond(&request);
    };
    let events = unfold(Subscriber::new(admin, token, day), |mut subscriber| async {
        subscriber.next().await.map(|event| (Ok::<_, actix_web::Error>(event), subscriber))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events)
}

fn refused(refusal: Refusal, request: &HttpRequest) -> HttpResponse {
    let problem = match refusal {
        Refusal::SignedOut => Problem::new(Slug::Unauthorized, "sign in at /admin/login first"),
        Refusal::Forbidden => Problem::new(Slug::Forbidden, "this stream is for managers and owners"),
    };
    problem.respond(request)
}

struct Subscriber {
    admin: Data<Admin>,
    token: String,
    day: Day,
    progress: watch::Receiver<FeedCursor>,
    closing: watch::Receiver<bool>,
    beat: Interval,
    next_look: Instant,
    /// Where the feed was at the last look: it also moves, by its polls, when there is nothing new.
    looked_at: Option<FeedCursor>,
    /// Of the grid that was sent last.
    sent: Option<u64>,
}

impl Subscriber {
    fn new(admin: Data<Admin>, token: String, day: Day) -> Subscriber {
        metrics::gauge!(SSE_SUBSCRIBERS.name).increment(1.0);
        let mut progress = admin.ports.progress.clone();
        // The first look is due at once: the page may be older than this stream.
        progress.mark_changed();
        let closing = admin.closing.subscribe();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Subscriber {
            admin,
            token,
            day,
            progress,
            closing,
            beat,
            next_look: Instant::now(),
            looked_at: None,
            sent: None,
        }
    }

    /// The next event; `None` when the server stops, or the visitor may not look any more.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let moved = async {
                sleep_until(self.next_look).await;
                self.progress.changed().await
            };
            let closed = async { self.closing.wait_for(|closing| *closing).await.map(|_| ()) };
            tokio::select! {
                _ = closed => return None,
                _ = self.beat.tick() => {
                    self.admin.visitor(&self.token).ok()?;
                    return Some(self.feed());
                }
                moved = moved => {
                    moved.ok()?;
                    let visitor = self.admin.visitor(&self.token).ok()?;
                    if let Some(event) = self.look(&visitor).await {
                        return Some(event);
                    }
                }
            }
        }
    }

    /// The day, if it is not what was sent last.
    async fn look(&mut self, visitor: &Visitor) -> Option<Bytes> {
        let cursor = *self.progress.borrow_and_update();
        if self.looked_at == Some(cursor) {
            return None;
        }
        let looked = self.admin.fragment(visitor, &self.day).await;
        self.next_look = Instant::now() + PAUSE;
        let Ok(fragment) = looked else {
            self.next_look += BEAT;
            self.progress.mark_changed();
            return None;
        };
        self.looked_at = Some(cursor);
        let hash = hash_of(&fragment);
        let is_new = self.sent.replace(hash) != Some(hash);
        is_new.then(|| event("day", &fragment))
    }

    fn feed(&self) -> Bytes {
        let (position, age_ms) = self.admin.feed();
        event("feed", &json!({ "position": position, "ageMs": age_ms }).to_string())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        metrics::gauge!(SSE_SUBSCRIBERS.name).decrement(1.0);
    }
}

/// `line` is a single line.
fn event(name: &str, line: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {line}\n\n"))
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
