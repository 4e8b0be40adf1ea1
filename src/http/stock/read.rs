use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path};
use codeccloud_actors::ids::{ProductId, Version};
use codeccloud_actors::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::http::extractors::Query;
use crate::http::paging::{self, Listing};
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::http::{Door, etag};
use crate::ports;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stock {
    pub product_id: ProductId,
    pub on_hand: i64,
    pub reserved: i64,
    /// On hand and not reserved.
    pub available: i64,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Movement {
    /// `receive`, `reserve`, `release`, `consume`, `expire`, or the reason of a correction.
    pub reason: String,
    /// What it did to what is on hand.
    pub quantity_delta: i64,
    /// What it did to what is reserved.
    pub reserved_delta: i64,
    pub reservation_id: Option<Uuid>,
    pub occurred_at: Timestamp,
}

#[derive(Deserialize, JsonSchema)]
pub struct MovementQuery {
    /// 1 to 200; absent: 50.
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

impl Validate for MovementQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        paging::check_limit(errors, self.limit);
    }
}

/// Always whole: reservations expire while the version stays.
pub async fn get(door: Data<Door>, session: Session, path: Path<ProductId>) -> Result<HttpResponse, Problem> {
    let view = door.queries.stock(session.scope(), *path).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag::of(view.version))).json(Stock::from(view)))
}

/// Newest first; the cursor is the version of the last movement.
pub async fn movements(
    door: Data<Door>,
    session: Session,
    path: Path<ProductId>,
    Query(query): Query<MovementQuery>,
) -> Result<HttpResponse, Problem> {
    let before = query.cursor.map(|cursor| cursor.parse().map(Version).map_err(|_| paging::unreadable_cursor()));
    let limit = paging::limit(query.limit);
    let page = door.queries.stock_movements(session.scope(), *path, before.transpose()?, limit).await?;
    let next_cursor = page.items.last().filter(|_| page.more).map(|movement| movement.version.to_string());
    let data = page.items.into_iter().map(Movement::from).collect();
    Ok(HttpResponse::Ok().json(Listing { data, next_cursor }))
}

impl From<ports::StockView> for Stock {
    fn from(view: ports::StockView) -> Stock {
        Stock {
            product_id: view.product_id,
            on_hand: view.on_hand,
            reserved: view.reserved,
            available: view.available(),
        }
    }
}

impl From<ports::StockMovement> for Movement {
    fn from(movement: ports::StockMovement) -> Movement {
        let ports::StockMovement { quantity_delta, reserved_delta, reason, reservation_id, occurred_at, .. } = movement;
        Movement { reason, quantity_delta, reserved_delta, reservation_id, occurred_at }
    }
}
