//! Products' stock, from the tables.

use codeccloud_actors::ids::{ProductId, Version};

use super::TransactionalQueries;
use crate::ports::{Page, QueryError, Scope, StockMovement, StockView};

impl TransactionalQueries {
    pub(super) async fn stock_of(&self, _scope: Scope, _product_id: ProductId) -> Result<StockView, QueryError> {
        Err(QueryError::Unavailable("stock is kept in scale mode only".to_owned()))
    }

    pub(super) async fn movements(
        &self,
        _scope: Scope,
        _product_id: ProductId,
        _before: Option<Version>,
        _limit: usize,
    ) -> Result<Page<StockMovement>, QueryError> {
        Err(QueryError::Unavailable("stock is kept in scale mode only".to_owned()))
    }

    pub(super) async fn all_stock(&self, _scope: Scope) -> Result<Vec<StockView>, QueryError> {
        Err(QueryError::Unavailable("stock is kept in scale mode only".to_owned()))
    }
}
