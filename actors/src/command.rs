//! Commands of all aggregates, each with the aggregate that decides it.

use uuid::Uuid;

use crate::aggregates::loyalty_balance::LoyaltyCommand;
use crate::aggregates::staff_utilisation::StaffCommand;
use crate::aggregates::stock_item::StockCommand;
use crate::ids::{AggregateType, BookingId, CustomerId, StaffId};
use crate::sagas::booking::BookingCommand;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    StaffUtilisation(StaffId, StaffCommand),
    LoyaltyBalance(CustomerId, LoyaltyCommand),
    /// Names its item itself, and may name several.
    StockItem(StockCommand),
    Booking(BookingId, BookingCommand),
}

impl Command {
    pub fn aggregate_type(&self) -> AggregateType {
        match self {
            Command::StaffUtilisation(..) => AggregateType::StaffUtilisation,
            Command::LoyaltyBalance(..) => AggregateType::LoyaltyBalance,
            Command::StockItem(_) => AggregateType::StockItem,
            Command::Booking(..) => AggregateType::Booking,
        }
    }

    pub fn aggregate_id(&self) -> Uuid {
        match self {
            Command::StaffUtilisation(id, _) => id.0,
            Command::LoyaltyBalance(id, _) => id.0,
            Command::StockItem(command) => command.product_id().0,
            Command::Booking(id, _) => id.0,
        }
    }
}
