use crate::rows::{Decided, RowChange};

use super::{StockItem, StockItemEvent};

pub(super) fn changes(_item: &StockItem, _decided: &Decided<'_, StockItemEvent>) -> Vec<RowChange> {
    Vec::new()
}
