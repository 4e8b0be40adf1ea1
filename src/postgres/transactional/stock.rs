//! Products' stock, from the tables.

use codeccloud_actors::aggregates::stock_item::StockItem;
use codeccloud_actors::ids::{ProductId, Version};
use codeccloud_actors::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::TransactionalQueries;
use super::rows::{self, STOCK};
use crate::ports::{Page, QueryError, Scope, StockMovement, StockView};
use crate::postgres::types::PgTime;

/// Of one more movement than is wanted, which tells whether there are more. Those of other software have no place among
/// an item's versions and are left out; they count in its sums.
const MOVEMENTS: &str = "SELECT version, quantity_delta, reserved_delta, reason, (context ->> 'reservationId')::uuid, created_at \
     FROM product_stock_movements WHERE tenant_id = $1 AND product_id = $2 AND version < $3 \
     ORDER BY version DESC LIMIT $4";

impl TransactionalQueries {
    pub(super) async fn stock_of(&self, scope: Scope, product_id: ProductId) -> Result<StockView, QueryError> {
        self.check_product(scope, product_id)?;
        let mut views = self.stock_views(scope, vec![product_id.0]).await?;
        Ok(views.remove(0))
    }

    pub(super) async fn all_stock(&self, scope: Scope) -> Result<Vec<StockView>, QueryError> {
        let products = self.reference(scope.tenant_id)?.products.keys().map(|id| id.0).collect();
        let mut views = self.stock_views(scope, products).await?;
        views.sort_unstable_by_key(|view| view.product_id);
        Ok(views)
    }

    pub(super) async fn movements(
        &self,
        scope: Scope,
        product_id: ProductId,
        before: Option<Version>,
        limit: usize,
    ) -> Result<Page<StockMovement>, QueryError> {
        self.check_product(scope, product_id)?;
        let before = before.and_then(|before| i32::try_from(before.0).ok()).unwrap_or(i32::MAX);
        let one_more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let arguments = [
            (&scope.tenant_id.0 as _, Type::UUID),
            (&product_id.0 as _, Type::UUID),
            (&before as _, Type::INT4),
            (&one_more as _, Type::INT8),
        ];
        let rows = self.reading(scope).await?.query(MOVEMENTS, &arguments).await?;
        Ok(Page { items: rows.iter().take(limit).map(movement).collect(), more: rows.len() > limit })
    }

    async fn stock_views(&self, scope: Scope, products: Vec<Uuid>) -> Result<Vec<StockView>, QueryError> {
        let now = self.ports.clock.now();
        let arguments = [(&scope.tenant_id.0 as _, Type::UUID), (&products as _, Type::UUID_ARRAY)];
        let rows = self.reading(scope).await?.query(STOCK, &arguments).await?;
        rows.iter().map(|row| shown(row, now)).collect()
    }

    fn check_product(&self, scope: Scope, product_id: ProductId) -> Result<(), QueryError> {
        let is_known = self.reference(scope.tenant_id)?.products.contains_key(&product_id);
        if is_known { Ok(()) } else { Err(QueryError::NotFound("product")) }
    }
}

fn shown(row: &Row, now: Timestamp) -> Result<StockView, QueryError> {
    let (product_id, version, item): (ProductId, Version, StockItem) = rows::stock_item(row)
        .map_err(|error| QueryError::Unavailable(format!("a stock item can't be read: {error}")))?;
    Ok(StockView { product_id, on_hand: item.on_hand(), reserved: item.reserved_at(now), version })
}

fn movement(row: &Row) -> StockMovement {
    let PgTime(occurred_at) = row.get(5);
    StockMovement {
        version: Version(u32::try_from(row.get::<_, i32>(0)).expect("versions start at 1")),
        quantity_delta: row.get::<_, i32>(1).into(),
        reserved_delta: row.get::<_, i32>(2).into(),
        reason: row.get(3),
        reservation_id: row.get(4),
        occurred_at,
    }
}
