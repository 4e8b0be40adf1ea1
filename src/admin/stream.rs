//! `GET /admin/stream`: the day again whenever it changed, and each second how far the feed is. It belongs to the page, not
//! to the API: what it sends is the page's HTML.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::TenantId;
use codeccloud_actors::ports::FeedCursor;
use codeccloud_actors::reference::TenantReference;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::Admin;
use super::access::{self, Refusal, Visitor};
use super::grid::Day;
use super::page::{DayQuery, NO_DAY};
use super::streams::OpenStream;
use crate::http::{Problem, Slug};

/// Also the heartbeat that keeps proxies from closing the stream.
const BEAT: Duration = Duration::from_secs(1);
/// Until somebody with too many streams may have closed one.
const RETRY_SECONDS: u16 = 5;
/// Between two looks at the day, however fast the salon's bookings change.
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
    let Some(open) = admin.streams.open(visitor.scope.tenant_id, visitor.scope.caller.user_id) else {
        let problem = Problem::new(Slug::RateLimited, "you have too many of these streams open");
        return problem.with_header(header::RETRY_AFTER, RETRY_SECONDS.into()).respond(&request);
    };
    let subscriber = Subscriber::new(admin, token, visitor.scope.tenant_id, day, open);
    let events = unfold(subscriber, |mut subscriber| async {
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
    tenant_id: TenantId,
    day: Day,
    progress: watch::Receiver<FeedCursor>,
    closing: watch::Receiver<bool>,
    beat: Interval,
    next_look: Instant,
    /// What the last look was at.
    seen: Option<Seen>,
    /// Of the grid that was sent last.
    sent: Option<u64>,
    _open: OpenStream,
}

/// All that a day is made of, by marks that are cheap to compare: the feed moves for every tenant, and by its polls when
/// there is nothing new.
#[derive(PartialEq)]
struct Seen {
    change: u64,
    /// The very same reference data, not merely equal ones.
    reference: Option<Same>,
}

struct Same(Arc<TenantReference>);

impl PartialEq for Same {
    fn eq(&self, other: &Same) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Subscriber {
    fn new(admin: Data<Admin>, token: String, tenant_id: TenantId, day: Day, open: OpenStream) -> Subscriber {
        let mut progress = admin.ports.progress.clone();
        // The first look is due at once: the page may be older than this stream.
        progress.mark_changed();
        let closing = admin.closing.subscribe();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let next_look = Instant::now();
        Subscriber {
            admin,
            token,
            tenant_id,
            day,
            progress,
            closing,
            beat,
            next_look,
            seen: None,
            sent: None,
            _open: open,
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
                    let now = self.as_of_now();
                    if self.seen.as_ref() != Some(&now) {
                        let visitor = self.admin.visitor(&self.token).ok()?;
                        if let Some(event) = self.look(&visitor, now).await {
                            return Some(event);
                        }
                    }
                }
            }
        }
    }

    fn as_of_now(&self) -> Seen {
        let ports = &self.admin.ports;
        Seen { change: (ports.change_of)(self.tenant_id), reference: ports.reference.tenant(self.tenant_id).map(Same) }
    }

    /// The day, if it is not what was sent last.
    async fn look(&mut self, visitor: &Visitor, now: Seen) -> Option<Bytes> {
        let looked = self.admin.fragment(visitor, &self.day).await;
        self.next_look = Instant::now() + PAUSE;
        let Ok(fragment) = looked else {
            self.next_look += BEAT;
            self.progress.mark_changed();
            return None;
        };
        self.seen = Some(now);
        let hash = hash_of(&fragment);
        let is_new = self.sent.replace(hash) != Some(hash);
        is_new.then(|| event("day", &fragment))
    }

    fn feed(&self) -> Bytes {
        let (position, age_ms) = self.admin.feed();
        event("feed", &json!({ "position": position, "ageMs": age_ms }).to_string())
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
