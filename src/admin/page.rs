use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::time::DAY_MS;
use jiff::civil::Date;
use serde::Deserialize;

use super::Admin;
use super::access::{self, Refusal, Visitor};
use super::grid::{Day, grid};
use super::html::{self, Text};
use super::login;
use crate::http::Problem;
use crate::ports::{BookingFilter, QueryError};

const SHELL: &str = include_str!("day.html");
const NOTICE: &str = include_str!("notice.html");
const ASSETS: [(&str, &str, &str); 3] = [
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("day.css", "text/css; charset=utf-8", include_str!("day.css")),
    ("day.js", "text/javascript; charset=utf-8", include_str!("day.js")),
];

/// More bookings than this on two days are no salon's; the bound keeps a page from growing without end.
const BOOKINGS_MAX: usize = 4_000;

pub const NO_DAY: &str = "date must be a day, such as 2030-01-31";

/// No booking is longer, so none that reaches into a day began earlier before it.
const BOOKING_MS_MAX: i64 = DAY_MS;

#[derive(Deserialize)]
pub struct DayQuery {
    date: Option<String>,
}

impl DayQuery {
    /// Today by the salon's clock unless another is asked for; `None` for what isn't a date.
    pub fn day(&self, admin: &Admin, visitor: &Visitor) -> Option<Day> {
        let zone = &visitor.reference.zone;
        let date: Date = match self.date.as_deref() {
            None | Some("") => admin.ports.clock.now().date_in(zone),
            Some(text) => text.parse().ok()?,
        };
        Day::new(date, zone)
    }
}

pub async fn show(admin: Data<Admin>, request: HttpRequest, query: Query<DayQuery>) -> HttpResponse {
    let visitor = match access::token(&request).ok_or(Refusal::SignedOut).and_then(|token| admin.visitor(&token)) {
        Ok(visitor) => visitor,
        Err(Refusal::SignedOut) => return html::redirect("/admin/login").finish(),
        Err(Refusal::Forbidden) => return login::forbidden(),
    };
    let Some(day) = query.day(&admin, &visitor) else {
        return notice(StatusCode::BAD_REQUEST, NO_DAY);
    };
    match admin.fragment(&visitor, &day).await {
        Ok(fragment) => html::page(StatusCode::OK, admin.page(&visitor, &day, &fragment)),
        Err(error) => {
            tracing::warn!(%error, "a day could not be shown");
            unavailable()
        }
    }
}

/// It tries again by itself.
fn unavailable() -> HttpResponse {
    let mut page = notice(StatusCode::SERVICE_UNAVAILABLE, "The bookings can't be read at the moment.");
    let headers = page.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    headers.insert(header::REFRESH, HeaderValue::from_static("2"));
    page
}

fn notice(status: StatusCode, message: &str) -> HttpResponse {
    html::page(status, html::fill(NOTICE, &[("message", &Text(message).to_string())]))
}

pub async fn asset(name: Path<String>) -> Result<HttpResponse, Problem> {
    let found = ASSETS.iter().find(|(known, ..)| *known == name.as_str());
    let (_, kind, text) = found.ok_or_else(|| Problem::not_found("the asset"))?;
    Ok(html::guarded(StatusCode::OK).content_type(*kind).insert_header((header::CACHE_CONTROL, "no-cache")).body(*text))
}

impl Admin {
    /// The grid of a day, as it is now.
    pub async fn fragment(&self, visitor: &Visitor, day: &Day) -> Result<String, QueryError> {
        let filter = BookingFilter {
            from: Some(day.slot.start.plus_millis(-BOOKING_MS_MAX)),
            to: Some(day.slot.end),
            limit: BOOKINGS_MAX,
            ..BookingFilter::default()
        };
        let mut bookings = self.ports.queries.bookings(visitor.scope, filter).await?;
        bookings.items.retain(|booking| booking.details.slot.overlaps(day.slot));
        let mut fragment = grid(day, &visitor.reference, &bookings.items);
        if bookings.more {
            fragment.push_str("<p>There are more bookings than can be shown.</p>");
        }
        Ok(fragment)
    }

    fn page(&self, visitor: &Visitor, day: &Day, fragment: &str) -> String {
        let (position, age_ms) = self.feed();
        let text = |date: Result<Date, _>| date.unwrap_or(day.date).to_string();
        html::fill(
            SHELL,
            &[
                ("tenant", &Text(&visitor.reference.name).to_string()),
                ("date", &day.date.to_string()),
                ("previous", &text(day.date.yesterday())),
                ("next", &text(day.date.tomorrow())),
                ("weekday", day.date.strftime("%A").to_string().as_str()),
                ("position", &position.to_string()),
                ("age", &age_ms.map_or("–".to_owned(), |age| format!("{}.{} s", age / 1_000, age % 1_000 / 100))),
                ("grid", fragment),
            ],
        )
    }
}
