use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use codeccloud_actors::ids::ProductId;
use codeccloud_actors::reference::Product;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::Door;
use crate::http::extractors::Query;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::StockView;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryQuery {
    /// Only what should be ordered; absent: false.
    #[serde(default)]
    pub below_minimum: bool,
    /// Also products that are not sold any more; absent: false.
    #[serde(default)]
    pub include_inactive: bool,
    /// 1 to 200; absent: 50.
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

impl Validate for InventoryQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        paging::check_limit(errors, self.limit);
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryItem {
    pub product_id: ProductId,
    pub sku: String,
    pub name: String,
    pub on_hand: i64,
    pub reserved: i64,
    pub available: i64,
    pub minimum: u32,
    /// Less is available than there should be.
    pub below_minimum: bool,
}

/// By the products' names.
pub async fn inventory(
    door: Data<Door>,
    session: Session,
    Query(query): Query<InventoryQuery>,
) -> Result<HttpResponse, Problem> {
    let stock: HashMap<ProductId, StockView> =
        door.queries.inventory(session.scope()).await?.into_iter().map(|view| (view.product_id, view)).collect();
    let products = session.reference.products.values().filter(|product| product.active || query.include_inactive);
    // A product younger than the answer has its turn with the next one.
    let items = products.filter_map(|product| Some((product, InventoryItem::of(product, stock.get(&product.id)?))));
    let wanted = items.filter(|(_, item)| item.below_minimum || !query.below_minimum);
    let named = wanted.map(|(product, item)| (product.name.as_str(), product.id.0, item)).collect();
    Ok(HttpResponse::Ok().json(paging::by_name(named, query.cursor.as_deref(), paging::limit(query.limit))?))
}

impl InventoryItem {
    fn of(product: &Product, stock: &StockView) -> InventoryItem {
        InventoryItem {
            product_id: product.id,
            sku: product.sku.clone(),
            name: product.name.clone(),
            on_hand: stock.on_hand,
            reserved: stock.reserved,
            available: stock.available(),
            minimum: product.minimum_stock,
            below_minimum: stock.available() < i64::from(product.minimum_stock),
        }
    }
}
