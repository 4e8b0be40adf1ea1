use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path};
use codeccloud_actors::ids::{BookingId, CustomerId, Version};
use codeccloud_actors::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::extractors::Query;
use crate::http::paging::{self, Listing};
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::http::{Door, etag};
use crate::ports;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoyaltyAccount {
    pub customer_id: CustomerId,
    pub balance: u32,
    /// What decides the tier.
    pub earned_last_year: u32,
    pub tier: Option<String>,
    pub next_expiry: Option<Expiry>,
}

#[derive(Serialize, JsonSchema)]
pub struct Expiry {
    pub points: u32,
    pub at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoyaltyEntry {
    /// What happened, such as `points_accrued` or `points_redeemed`.
    pub kind: &'static str,
    /// Negative where points were taken.
    pub points: i64,
    pub booking_id: Option<BookingId>,
    pub occurred_at: Timestamp,
}

#[derive(Deserialize, JsonSchema)]
pub struct HistoryQuery {
    /// 1 to 200; absent: 50.
    #[schemars(range(min = 1, max = paging::LIMIT_MAX))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

impl Validate for HistoryQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        paging::check_limit(errors, self.limit);
    }
}

/// Always whole: points expire and tiers end while the version stays.
pub async fn balance(door: Data<Door>, session: Session, path: Path<CustomerId>) -> Result<HttpResponse, Problem> {
    session.may_see(*path)?;
    let view = door.queries.loyalty(session.scope(), *path).await?;
    if view.version == Version::NONE {
        be_known(&door, &session, *path).await?;
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of(view.version))).json(LoyaltyAccount::from(view)))
}

/// Newest first; the cursor is the version of the last entry.
pub async fn history(
    door: Data<Door>,
    session: Session,
    path: Path<CustomerId>,
    Query(query): Query<HistoryQuery>,
) -> Result<HttpResponse, Problem> {
    session.may_see(*path)?;
    let before = query.cursor.map(|cursor| cursor.parse().map(Version).map_err(|_| paging::unreadable_cursor()));
    let limit = paging::limit(query.limit);
    let page = door.queries.loyalty_history(session.scope(), *path, before.transpose()?, limit).await?;
    if page.items.is_empty() {
        be_known(&door, &session, *path).await?;
    }
    let next_cursor = page.items.last().filter(|_| page.more).map(|entry| entry.version.to_string());
    let data = page.items.into_iter().map(LoyaltyEntry::from).collect();
    Ok(HttpResponse::Ok().json(Listing { data, next_cursor }))
}

/// Who never had points has an empty account only as a customer of the salon.
async fn be_known(door: &Door, session: &Session, id: CustomerId) -> Result<(), Problem> {
    door.customers.current(session.tenant_id, id).await?;
    Ok(())
}

impl From<ports::LoyaltyView> for LoyaltyAccount {
    fn from(view: ports::LoyaltyView) -> LoyaltyAccount {
        LoyaltyAccount {
            customer_id: view.customer_id,
            balance: view.balance,
            earned_last_year: view.earned_last_year,
            tier: view.tier,
            next_expiry: view.next_expiry.map(|(points, at)| Expiry { points, at }),
        }
    }
}

impl From<ports::LoyaltyEntry> for LoyaltyEntry {
    fn from(entry: ports::LoyaltyEntry) -> LoyaltyEntry {
        let ports::LoyaltyEntry { kind, points, booking_id, occurred_at, .. } = entry;
        LoyaltyEntry { kind, points, booking_id, occurred_at }
    }
}
