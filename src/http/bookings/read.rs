use std::collections::HashMap;

use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use codeccloud_actors::ids::{BookingId, CustomerId, StaffId, TenantId};
use codeccloud_actors::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::booking::{ApiStatus, Booking};
use crate::http::extractors::Query;
use crate::http::paging::{self, Listing};
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::http::{Door, etag};
use crate::ports::{BookingFilter, BookingOrder, BookingView, Page};
use crate::vault::CustomerProfile;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingQuery {
    /// The slot starts at this time or later.
    pub from: Option<Timestamp>,
    /// The slot starts before this time.
    pub to: Option<Timestamp>,
    pub staff_id: Option<StaffId>,
    pub customer_id: Option<CustomerId>,
    pub status: Option<ApiStatus>,
    /// By the start of the slot; absent: `asc`.
    pub order: Option<Order>,
    /// 1 to 200; absent: 50.
    #[schemars(range(min = 1, max = paging::LIMIT_MAX))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    #[default]
    Asc,
    Desc,
}

impl Validate for BookingQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            errors.slot("to", from, to);
        }
        paging::check_limit(errors, self.limit);
    }
}

/// Always whole: the customer's data in it can change while the booking's version stays.
pub async fn get(door: Data<Door>, session: Session, path: Path<BookingId>) -> Result<HttpResponse, Problem> {
    let view = door.queries.booking(session.scope(), *path).await?;
    let people = People::of(&door, session.tenant_id, std::slice::from_ref(&view)).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of(view.version))).json(people.booking(&view)))
}

pub async fn list(
    door: Data<Door>,
    session: Session,
    request: HttpRequest,
    Query(query): Query<BookingQuery>,
) -> Result<HttpResponse, Problem> {
    let (page, people) = find(&door, &session, &query).await?;
    Ok(paging::bare(&request, listing(&page, &people)))
}

pub async fn search(
    door: Data<Door>,
    session: Session,
    Query(query): Query<BookingQuery>,
) -> Result<HttpResponse, Problem> {
    let (page, people) = find(&door, &session, &query).await?;
    Ok(HttpResponse::Ok().json(listing(&page, &people)))
}

async fn find(door: &Door, session: &Session, query: &BookingQuery) -> Result<(Page<BookingView>, People), Problem> {
    let (status, moved) = query.status.map(ApiStatus::parts).unzip();
    let after = query.cursor.as_deref().map(|cursor| read_cursor(cursor).ok_or_else(paging::unreadable_cursor));
    let filter = BookingFilter {
        from: query.from,
        to: query.to,
        staff_id: query.staff_id,
        customer_id: query.customer_id,
        statuses: status.into_iter().collect(),
        moved: moved.flatten(),
        order: match query.order.unwrap_or_default() {
            Order::Asc => BookingOrder::EarliestFirst,
            Order::Desc => BookingOrder::LatestFirst,
        },
        after: after.transpose()?,
        limit: paging::limit(query.limit),
    };
    let page = door.queries.bookings(session.scope(), filter).await?;
    let people = People::of(door, session.tenant_id, &page.items).await?;
    Ok((page, people))
}

fn listing<'a>(page: &Page<BookingView>, people: &'a People) -> Listing<Booking<'a>> {
    let last = page.items.last().filter(|_| page.more);
    Listing {
        data: page.items.iter().map(|view| people.booking(view)).collect(),
        next_cursor: last.map(|view| format!("{}.{}", view.details.slot.start.as_millis(), view.id)),
    }
}

fn read_cursor(cursor: &str) -> Option<(Timestamp, BookingId)> {
    let (millis, id) = cursor.split_once('.')?;
    let start = Timestamp::from_millis(millis.parse().ok()?);
    (Timestamp::MIN..=Timestamp::MAX).contains(&start).then_some((start, id.parse().ok()?))
}

/// The personal data that belongs to a page of bookings, fetched together.
struct People {
    tenant_id: TenantId,
    profiles: HashMap<CustomerId, CustomerProfile>,
    reasons: HashMap<BookingId, String>,
}

impl People {
    async fn of(door: &Door, tenant_id: TenantId, bookings: &[BookingView]) -> Result<People, Problem> {
        let mut customers: Vec<CustomerId> = bookings.iter().filter_map(|view| view.details.customer_id).collect();
        customers.sort_unstable();
        customers.dedup();
        let cancelled: Vec<BookingId> =
            bookings.iter().filter(|view| view.details.reason_recorded).map(|view| view.id).collect();
        let mut people = People { tenant_id, profiles: HashMap::new(), reasons: HashMap::new() };
        if !customers.is_empty() {
            people.profiles = door.customers.profiles(tenant_id, &customers).await?;
        }
        if !cancelled.is_empty() {
            people.reasons = door.customers.cancellation_reasons(tenant_id, &cancelled).await?;
        }
        Ok(people)
    }

    fn booking(&self, view: &BookingView) -> Booking<'_> {
        let profile = view.details.customer_id.and_then(|id| self.profiles.get(&id));
        Booking::new(view, self.tenant_id, profile, self.reasons.get(&view.id).map(String::as_str))
    }
}
